"""Refinement cuts flat, evenly and without gaps; samples say what lies on a cut face."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shapes import box, join, moved, sphere

from iseg_core.geometry import proxy as proxies
from iseg_core.geometry.mesh import Mesh, check, face_areas
from iseg_core.geometry.polygon_fans import fan_polygons
from iseg_core.geometry.proxy import make_proxy
from iseg_core.geometry.refine import refine
from iseg_core.geometry.seams import border_vertices

BOX = box()
CUBE = make_proxy(BOX, 500)
FAN = check(np.array([[np.cos(t), np.sin(t), 0] for t in np.arange(24) * np.pi / 12]), [list(range(24))])


def sides(vertices, faces):
    ends = vertices[faces]
    return np.linalg.norm(ends - ends[:, [1, 2, 0]], axis=2)


@pytest.mark.parametrize("longest", [10.0, 0.9, 0.3, 0.07])
@pytest.mark.parametrize("mesh", [box((1, 2, 3)), FAN, sphere(1)], ids=["box", "fan", "sphere"])
def test_no_side_is_longer_than_asked_and_the_shape_is_the_same(mesh, longest):
    fine, pieces, face = refine(mesh.vertices, mesh.faces, np.full(len(mesh.faces), longest))
    assert sides(fine, pieces).max() <= longest + 1e-12 or len(pieces) == len(mesh.faces)
    assert np.array_equal(fine[: len(mesh.vertices)], mesh.vertices)
    areas = np.bincount(face, face_areas(Mesh(fine, pieces)), minlength=len(mesh.faces))
    assert np.allclose(areas, face_areas(mesh))  # each face is the sum of its pieces
    if longest == 10.0:
        assert np.array_equal(pieces, mesh.faces)
    # No gaps: the border is where it was, and nowhere else.
    border = border_vertices(pieces, len(fine))
    if mesh is FAN:
        middle = np.cos(np.pi / 24)  # of a side of the polygon
        assert np.linalg.norm(fine[border], axis=1).min() >= middle - 1e-9
    else:
        assert len(border) == 0


def test_pieces_keep_the_orientation_of_their_face():
    mesh = box()
    fine, pieces, face = refine(mesh.vertices, mesh.faces, np.full(12, 0.2))
    normal = [
        np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
        for v, f in ((fine, pieces), (mesh.vertices, mesh.faces))
    ]
    assert ((normal[0] * normal[1][face]).sum(axis=1) > 0).all()


def test_an_even_mesh_stays_what_it_is_and_has_no_samples():
    mesh = sphere(4)
    proxy = make_proxy(mesh, 5000)
    assert len(proxy.samples.faces) == 0 and len(proxy.vertices) == len(mesh.vertices)


def test_the_samples_of_a_polygon_lie_on_it_and_share_its_area():
    both = join(box((1, 2, 3)), moved(sphere(3), (4, 0, 0), 1.0))
    mesh = replace(both, polygons=np.r_[BOX.polygons, 6 : 6 + len(both.faces) - 12])
    proxy = make_proxy(mesh, 700)
    samples = proxy.samples
    assert np.array_equal(samples.faces, np.arange(12))  # of the box, whose faces alone are big
    assert np.array_equal(samples.polygons, np.arange(12) // 2)
    count = np.diff(samples.start)
    assert len(count) == 6 and count.min() > 10
    assert np.allclose(np.add.reduceat(samples.weights, samples.start[:-1]), 1, atol=1e-5)
    corners = proxy.place(mesh.faces[:12]).reshape(6, 6, 3)
    there = proxy.vertices[samples.vertices]
    polygon = np.repeat(np.arange(6), count)
    low, high = corners.min(axis=1)[polygon], corners.max(axis=1)[polygon]
    assert ((there >= low - 1e-9) & (there <= high + 1e-9)).all()
    # A linear function has its mean over a side at the side's middle.
    middle = (corners.min(axis=1) + corners.max(axis=1)) / 2
    for axis in range(3):
        assert np.allclose(samples.mean(proxy.vertices[:, axis]), np.repeat(middle[:, axis], 2), atol=1e-5)
    assert samples.nearest(12, np.zeros(3), proxy.vertices) is None


@given(st.integers(0, 11), st.floats(0, 1), st.floats(0, 1))
def test_the_sample_of_a_point_is_the_nearest(face, u, v):
    a, b = (u, v) if u + v <= 1 else (1 - u, 1 - v)
    point = np.array([1 - a - b, a, b]) @ CUBE.place(BOX.faces[face])
    found = CUBE.samples.nearest(face, point, CUBE.vertices)
    assert np.linalg.norm(CUBE.vertices[found] - point) <= np.linalg.norm(CUBE.vertices - point, axis=1).min() + 1e-9


def test_a_face_given_twice_or_turned_has_samples_as_well():
    mesh = moved(sphere(0), (0, 0, 0))
    twice = Mesh(mesh.vertices, np.concatenate([mesh.faces, mesh.faces[:1, [1, 2, 0]], mesh.faces[:1, ::-1]]))
    samples = make_proxy(twice, 500).samples
    assert np.array_equal(samples.faces, np.arange(22))
    own = [samples.vertices[samples.start[k] : samples.start[k + 1]].tolist() for k in (0, 20, 21)]
    assert own[0] == own[1] == own[2] and len(own[0]) > 10


def star(count):
    turn = np.arange(count) * 2 * np.pi / count
    out = 1 + 0.9 * (np.arange(count) % 2)
    return check(np.c_[out * np.cos(turn), out * np.sin(turn), 0 * turn], [list(range(count))])


NEEDLES = {
    "star": star(2000),
    "long box": box((1, 1, 1e6)),
    "flat triangle": check(np.array([[0, 0, 0], [1, 0, 0], [0.5, 1e-9, 0]]), [[0, 1, 2]]),
    "round": check(
        np.c_[
            np.cos(np.arange(20000) / 20000 * 2 * np.pi), np.sin(np.arange(20000) / 20000 * 2 * np.pi), np.zeros(20000)
        ],
        [list(range(20000))],
    ),
}


@pytest.mark.parametrize("name", NEEDLES)
def test_needles_are_not_cut_without_end(monkeypatch, name):
    made = []
    monkeypatch.setattr(proxies, "refine", lambda *given: made.append(refine(*given)) or made[-1])
    proxy = make_proxy(NEEDLES[name], 1000)
    assert len(made[0].pieces) < 50 * 1000 and len(proxy.vertices) >= 4


def test_needles_do_not_take_the_samples_of_the_shell_that_they_touch():
    needles = Mesh(star(400).vertices * 0.5 + [0, 0, 0.5], star(400).faces)
    samples = make_proxy(join(BOX, needles), 2000).samples
    count = np.diff(samples.start)[np.unique(samples.polygons[samples.faces < 12])]
    assert count.min() >= 8  # 1 where needles may be cut without end: the box is its corners


# ---- polygons ----


def fan_of(polygon, mesh):
    return fan_polygons(mesh.vertices, mesh.faces, mesh.polygons, np.full(len(mesh.faces), 0.5))


def test_a_flat_polygon_becomes_a_fan_around_its_middle_however_it_was_cut():
    ring = [[np.cos(t), np.sin(t), 0] for t in np.arange(24) * np.pi / 12]
    made = [fan_of(0, check(ring, [list(np.roll(np.arange(24), turn))])) for turn in (0, 7)]
    for fan in made:
        assert len(fan.vertices) == 25 and np.allclose(fan.vertices[24], 0)
        assert (fan.faces[:, 2] == 24).all() and len(fan.faces) == 24 and (fan.polygons == 0).all()
        assert np.array_equal(np.sort(fan.faces[:, 0]), np.arange(24))
        assert ((fan.faces[:, 0] + 1) % 24 == fan.faces[:, 1]).all()  # in the polygon's own direction
    assert {*map(tuple, made[0].faces.tolist())} == {*map(tuple, made[1].faces.tolist())}


@pytest.mark.parametrize(
    "corners",
    [
        [[0, 0, 0], [3, 0, 0], [3, 3, 0], [2.9, 0.1, 0]],  # no fan around its middle
        [[0, 0, 0], [3, 0, 0], [3, 3, 1], [0, 3, 0]],  # not flat
        [[0, 0, 0], [3, 0, 0], [3, 3, 0]],  # a triangle
        [[0, 0, 0], [0.3, 0, 0], [0.3, 0.3, 0], [0, 0.3, 0]],  # small
    ],
)
def test_other_polygons_stay_as_they_were_cut(corners):
    mesh = check(
        [*corners, [9, 9, 9], [9, 8, 9], [8, 8, 9], [8, 9, 9]],
        [list(range(len(corners))), [*range(len(corners), len(corners) + 4)]],
    )
    fan = fan_of(0, mesh)
    own = mesh.polygons == 0
    assert np.array_equal(fan.faces[fan.polygons == 0], mesh.faces[own])
    assert (fan.polygons == 1).sum() == 4  # the other one is a fan
