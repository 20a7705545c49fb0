"""Shells that touch know of each other; floors and distant things change nothing."""

import numpy as np
import pytest
from support.shapes import box, dumbbell, join, moved, sphere

import iseg_core as iseg
from iseg_core.geometry.proxy import make_proxy
from iseg_core.parts.measure import measure
from iseg_core.parts.shell_sets import copies, shell_sets
from iseg_core.parts.shells import find_shells


def shells_of(*meshes):
    proxy = make_proxy(join(*meshes), 5000)
    shells = find_shells(proxy.vertices, proxy.faces)
    first = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])[:-1]
    return shells, [proxy.nearest_to(int(vertex)) for vertex in first]


BALL = sphere(3)
TOUCHING = {
    "stands on it": moved(BALL, (0, 0, 2.01)),
    "goes through it": moved(BALL, (0, 0, 1.2)),
    "small, in the middle of a big face": None,
    "small, inside of the wall": moved(sphere(2), (0, 0, 1.0), 0.1),
}


@pytest.mark.parametrize("how", TOUCHING)
def test_shells_that_touch_are_a_cluster(how):
    base, other = (
        (box((4, 4, 0.5)), moved(sphere(2), (1.1, 0.7, 0.55), 0.3)) if TOUCHING[how] is None else (BALL, TOUCHING[how])
    )
    shells, (a, b) = shells_of(base, other)
    assert shells.labels[a] != shells.labels[b] and shells.clusters[a] == shells.clusters[b]
    assert len(shells.contacts) > 0
    assert (shells.labels[shells.contacts[:, 0]] != shells.labels[shells.contacts[:, 1]]).all()


def test_shells_apart_are_not():
    shells, (a, b) = shells_of(BALL, moved(BALL, (0, 0, 2.5)))
    assert shells.clusters[a] != shells.clusters[b] and len(shells.contacts) == 0


def test_vertices_without_faces_touch_nothing_and_change_nothing():
    tall = box((1, 2, 3))
    loose = np.concatenate([tall.vertices, np.random.default_rng(0).normal(size=(50, 3)) * 100])  # they are drawn in
    beside = iseg.Mesh(loose, tall.faces, tall.polygons)
    proxy = make_proxy(beside, 5000)
    shells = find_shells(proxy.vertices, proxy.faces)
    assert len(shells.contacts) == 0 and shells.clusters.max() == 50
    alone, among = iseg.instant(tall), iseg.instant(beside)
    for face in range(12):
        for granularity in ("fine", "part", "whole"):
            asked = {"positive": [iseg.SurfacePoint(face, (0.4, 0.3, 0.3))], "granularity": granularity}
            assert np.array_equal(among.segment(**asked, domain="face"), alone.segment(**asked, domain="face"))


def test_a_floor_is_a_cluster_of_its_own():
    floor = iseg.Mesh(
        np.array([[-6.0, -6, -1], [6, -6, -1], [6, 6, -1], [-6, 6, -1]]), np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    )
    shells, (a, b, c) = shells_of(BALL, floor, moved(BALL, (0, 0, 1.9)))
    assert shells.clusters[a] == shells.clusters[c] != shells.clusters[b]


FLOOR = iseg.Mesh(
    np.array([[-9.0, -9, -1.6], [9, -9, -1.6], [9, 9, -1.6], [-9, 9, -1.6]]), np.array([[0, 1, 2], [0, 2, 3]], np.int32)
)
ALONE = iseg.instant(dumbbell())


@pytest.mark.parametrize(
    "other",
    [FLOOR, moved(dumbbell(), (30, 0, 0), 5.0), moved(BALL, (500, 0, 0), 3.0)],
    ids=["floor", "larger copy", "distant"],
)
def test_what_is_not_clicked_changes_nothing(other):
    """Of what has as many samples as before; a click is measured in what it can mean."""
    mesh = dumbbell()
    both = iseg.instant(join(mesh, other))
    count = len(mesh.vertices)
    for clicks in (
        [(5, True)],
        [(5, True), (17, False)],
        [(int(mesh.vertices[:, 2].argmax()), True)],
        [(300, True), (2, False), (40, True)],
    ):
        for granularity in ("fine", "part", "whole"):
            alone, beside = (s.segment(clicks, granularity=granularity) >= 0.5 for s in (ALONE, both))
            assert not beside[count:].any()
            assert (alone & beside[:count]).sum() / (alone | beside[:count]).sum() >= 0.9


def test_a_click_may_mean_a_shell_and_a_cluster():
    """Four touching boxes of a tower: a click takes one, or all, and never leaks into a fifth far away."""
    tower = join(*(box((1, 1, 1), (0, 0, k)) for k in (0, 1.002, 2.004, 3.006)), box((1, 1, 1), (9, 0, 0)))
    segmenter, faces = iseg.instant(tower), np.arange(5).repeat(12)
    point = iseg.SurfacePoint(24 + 4, (0.4, 0.3, 0.3))
    took = {}
    for granularity in ("fine", "part", "whole"):
        answer = segmenter.segment([(point, True)], granularity=granularity, domain="face") >= 0.5
        took[granularity] = np.bincount(faces, answer, minlength=5).tolist()
    assert took["part"] == [0, 0, 12, 0, 0]
    assert took["whole"][2] == 12 and took["whole"][4] == 0 and sum(took["whole"]) > 12
    assert took["fine"][2] >= 1 and sum(took["fine"]) == took["fine"][2]


PLATE = box((8, 3, 0.4))
PEGS = [box((0.5, 0.5, 1), (x, y, 0.7)) for x, y in ((-3, -0.8), (-1, 0.7), (1.2, 0.2), (3, -0.6))]
THICK = box((0.9, 0.9, 1), (-3, 0.8, 0.7))


def test_two_copies_that_were_clicked_mean_all():
    """Four pegs of one size and a thicker one on a plate; what is excluded again is no copy that is meant."""
    segmenter, faces = iseg.instant(join(PLATE, *PEGS, THICK)), np.arange(6).repeat(12)
    top = [iseg.SurfacePoint(12 * k + 10, (0.3, 0.3, 0.4)) for k in range(6)]

    def took(*clicks: tuple[int, bool]) -> list[int]:
        answer = segmenter.segment([(top[k], include) for k, include in clicks], domain="face") >= 0.5
        return np.bincount(faces, answer, minlength=6).tolist()

    assert took((1, True)) == [0, 12, 0, 0, 0, 0]
    assert took((1, True), (3, True)) == [0, 12, 12, 12, 12, 0]
    assert took((1, True), (3, True), (4, False)) == [0, 12, 12, 12, 0, 0]
    assert took((1, True), (5, True))[1:] == [12, 0, 0, 0, 12]


def test_copies_are_turned_and_mirrored():
    plate, (a, b) = PLATE, (box((0.5, 0.7, 1), (-3, 0, 0.7)), box((0.7, 0.5, 1), (0, 0, 0.7)))
    [surface] = measure(*_proxy(plate, a, b, THICK)).surfaces
    areas = np.sort(surface.shell_sizes[:, 0] ** 2)  # [4]
    assert np.allclose(areas / areas[0], [1, 1, 5.22 / 3.1, 56.8 / 3.1], rtol=1e-3)
    one = int(surface.shell_sizes[:, 0].argmin())
    assert copies(surface, one).sum() == 2


def _proxy(*meshes):
    proxy = make_proxy(join(*meshes), 5000)
    return proxy.vertices, proxy.faces


def test_sets_of_shells_grow_by_the_closest():
    """Of a tower of four boxes the second is asked: its neighbours come first, and never all there is."""
    vertices, faces = _proxy(*(box((1, 1, 1), (0, 0, 1.002 * k)) for k in range(4)))
    [surface] = measure(vertices, faces).surfaces
    shells = surface.components
    level = np.argsort(np.argsort([surface.vertices[shells == k, 2].mean() for k in range(4)]))  # [S]
    own = int(np.flatnonzero(level == 1)[0])
    found = {tuple(sorted(level[s].tolist())) for s in shell_sets(surface, int(np.flatnonzero(shells == own)[0]))}
    assert found and all(1 in levels and 2 <= len(levels) < 4 for levels in found)
    assert found <= {(0, 1), (1, 2), (0, 1, 2)}
