"""Shells that touch know of each other; floors and distant things change nothing."""

import numpy as np
import pytest
from support.shapes import box, dumbbell, join, moved, sphere

import iseg_core as iseg
from iseg_core.geometry.proxy import make_proxy
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
