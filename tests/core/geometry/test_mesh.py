"""Meshes: what is refused and with which words, what is tolerated, polygons, welding and hashes."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.polygons import outline, tangle

from iseg_core.errors import MeshError
from iseg_core.formats.load import as_mesh
from iseg_core.geometry.mesh import check, equal_rows, face_areas, weld
from iseg_core.geometry.triangulate import LARGEST, clip_ears, triangulate

TRIANGLE = ([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])


def area_of(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


# ---- check: what is refused ----


@pytest.mark.parametrize(
    ("vertices", "faces", "words"),
    [
        ([], [], "empty"),
        (np.zeros((0, 3)), TRIANGLE[1], "empty"),
        (TRIANGLE[0], [], "no faces"),
        (TRIANGLE[0], np.zeros((0, 3), int), "no faces"),
        (TRIANGLE[0], [[0, 1], [1, 2]], "shape"),
        ([[0, 0, 0], [1, 0, np.nan], [0, 1, 0]], TRIANGLE[1], r"1 of 3 vertices have NaN or infinite.*first: 1"),
        ([[0, 0, 0], [1, 0, 0], [0, np.inf, 0]], TRIANGLE[1], "NaN or infinite"),
        ([*TRIANGLE[0], [np.nan] * 3], TRIANGLE[1], "NaN or infinite"),
        (TRIANGLE[0], [[0, 1, 3]], "names vertex 3, but the vertices are 0 to 2"),
        (TRIANGLE[0], [[0, 1, -1]], "names vertex -1"),
        (TRIANGLE[0], [[0, 1, 2**40]], "names vertex 1099511627776"),
        (TRIANGLE[0], [[0, 1, 2], [0, 1, 2, 7]], "names vertex 7"),
        ([[0, 0], [1, 0], [0, 1]], TRIANGLE[1], "shape"),
        (np.zeros(9), TRIANGLE[1], "shape"),
        ([[0, 0, 0], [1, 0]], TRIANGLE[1], "not numbers"),
        ([["a", "b", "c"]] * 3, TRIANGLE[1], "not numbers"),
        (None, TRIANGLE[1], "not numbers"),
        (np.array(TRIANGLE[0], complex), TRIANGLE[1], "not numbers"),
        (TRIANGLE[0], [[0.0, 1.0, 2.0]], "not integers"),
        (TRIANGLE[0], [[True, False, True]], "not integers"),
        (TRIANGLE[0], [0, 1, 2], "shape"),
        (TRIANGLE[0], None, "shape"),
        (TRIANGLE[0], [[[0, 1, 2]], [0, 1, 2]], "not lists"),
        ([[1, 1, 1]] * 3, TRIANGLE[1], "equal"),
        ([[0, 0, 0], [1, 1, 1], [2, 2, 2]], TRIANGLE[1], "zero area"),
        ([[0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.6, 0.9]], TRIANGLE[1], "zero area"),
        (np.array([[0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.6, 0.9]]) + 1e6, TRIANGLE[1], "zero area"),
        (TRIANGLE[0], [[0, 1, 1]], "zero area"),
        (np.array(TRIANGLE[0]) * 1e200, TRIANGLE[1], "Scale the mesh down"),
        (np.array(TRIANGLE[0]) * 1e-200, TRIANGLE[1], "Scale it up"),
    ],
)
def test_bad_meshes_are_refused_with_the_defect_and_the_remedy(vertices, faces, words):
    with pytest.raises(MeshError, match=words) as caught:
        check(vertices, faces)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).count(".") >= 2  # a sentence for the defect, one for the remedy


# ---- check: what is tolerated ----


def test_the_arrays_are_copied_and_kept_as_they_are():
    vertices, faces = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([[4, 2, 1], [1, 2, 0]])
    mesh = check(vertices, faces)
    assert mesh.vertices.dtype == np.float64 and mesh.faces.dtype == np.int32
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
    vertices[:] = 0
    assert mesh.vertices.any()


TOLERATED = {
    "one face": TRIANGLE,
    "non-manifold edge": ([*TRIANGLE[0], [0, 0, 1], [0, 0, -1]], [[0, 1, 2], [0, 1, 3], [0, 1, 4]]),
    "duplicate faces": (TRIANGLE[0], [[0, 1, 2], [0, 1, 2], [2, 1, 0]]),
    "degenerate face": (TRIANGLE[0], [[0, 1, 2], [0, 0, 1], [2, 2, 2]]),
    "isolated vertices": ([[9, 9, 9], *TRIANGLE[0], [-9, 9, 9]], [[1, 2, 3]]),
    "shells": ([*TRIANGLE[0], [5, 5, 5], [6, 5, 5], [5, 6, 5]], [[0, 1, 2], [3, 4, 5]]),
    "seam": ([*TRIANGLE[0], [0, 0, 0], [0, 1, 0], [-1, 0, 0]], [[0, 1, 2], [3, 4, 5]]),
    "unsigned indices": (TRIANGLE[0], np.array(TRIANGLE[1], np.uint64)),
    "integer coordinates": (np.array(TRIANGLE[0], int), TRIANGLE[1]),
}


@pytest.mark.parametrize("name", TOLERATED)
@pytest.mark.parametrize(("size", "offset"), [(1, 0), (1e-6, 0), (1e6, 0), (1, 1e6), (1e-6, 1)])
def test_odd_meshes_are_tolerated_at_every_size_and_place(name, size, offset):
    vertices, faces = TOLERATED[name]
    vertices = np.array(vertices) * size + offset
    mesh = check(vertices, faces)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)


# ---- polygons ----


def test_polygons_of_all_kinds_become_triangles_in_their_order():
    ring = np.stack([np.cos(np.arange(6)), np.sin(np.arange(6)), np.zeros(6)], axis=1)
    mesh = check(ring, [[0, 1, 2], [0, 1, 2, 3], [0, 1], [0, 1, 2, 3, 4, 5]])
    assert len(mesh.faces) == 1 + 2 + 4
    np.testing.assert_array_equal(mesh.faces[0], [0, 1, 2])
    assert set(mesh.faces[1:3].ravel()) == {0, 1, 2, 3}
    quads = check(ring, np.array([[0, 1, 2, 3], [2, 3, 4, 5]]))
    assert len(quads.faces) == 4


@given(st.integers(4, 12), st.integers(0, 10_000))
def test_triangles_of_a_concave_polygon_cover_it_once(corners, seed):
    """A polygon that is star-shaped around the origin, in any plane: areas add up, and no triangle is turned over."""
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * (np.arange(corners) + random.uniform(0.1, 0.9, corners)) / corners
    flat = random.uniform(0.1, 1, corners)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    plane = np.linalg.qr(random.normal(size=(3, 3)))[0][:, :2]
    points = flat @ plane.T
    faces = triangulate(points, np.arange(corners), np.array([corners]))
    following = np.roll(flat, -1, axis=0)
    expected = (flat[:, 0] * following[:, 1] - flat[:, 1] * following[:, 0]).sum() / 2
    a, b, c = (flat[faces[:, k]] for k in range(3))
    signed = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert len(faces) == corners - 2
    if expected > 1e-3:  # a star whose corners span less than half a turn may cross itself
        assert signed.sum() == pytest.approx(expected, rel=1e-9)
        assert signed.min() > -1e-9


def test_a_polygon_with_two_reflex_corners_needs_ears():
    comb = np.array([[0, 0], [6, 0], [6, 3], [5, 3], [5, 1], [4, 1], [4, 3], [3, 3], [3, 1], [1, 1], [1, 3], [0, 3]])
    points = np.column_stack([comb, np.zeros(len(comb))]).astype(float)
    faces = triangulate(points, np.arange(len(comb)), np.array([len(comb)]))
    assert area_of(points, faces) == pytest.approx(3 * 2 + 6 * 1)
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_a_polygon_that_crosses_itself_still_gives_triangles():
    star = np.array([[np.cos(4 * np.pi * k / 5), np.sin(4 * np.pi * k / 5), 0] for k in range(5)])
    assert clip_ears(star).shape == (3, 3)
    assert clip_ears(np.zeros((5, 3))).shape == (3, 3)


@pytest.mark.parametrize("kind", ["gear", "star", "spiral"])
def test_a_concave_polygon_of_thousands_of_corners_is_cut_soon(kind):
    points = outline(kind, 2000)
    began = time.process_time()
    faces = triangulate(points, np.arange(2000), np.array([2000]))
    assert time.process_time() - began < 5  # 0.2 s on an idle machine
    a, b, c = (points[faces[:, k]] for k in range(3))
    doubled = np.cross(b - a, c - a)[:, 2]  # [T]
    x, y, _ = points.T
    assert len(faces) == 1998 and (doubled > 0).all()
    assert doubled.sum() == pytest.approx((x * np.roll(y, -1) - np.roll(x, -1) * y).sum(), rel=1e-9)


@pytest.mark.parametrize("corners", [2000, LARGEST + 1, 100_000])
def test_a_polygon_that_crosses_itself_everywhere_takes_no_longer(corners):
    began = time.process_time()
    faces = triangulate(tangle(corners), np.arange(corners), np.array([corners]))
    assert time.process_time() - began < 5  # 0.2 s on an idle machine
    assert faces.shape == (corners - 2, 3) and len(np.unique(faces)) == corners


# ---- weld and hashes ----


def test_welding_is_by_exact_position_and_zero_has_no_sign():
    vertices = np.array([[1, 2, 3], [0.0, 0, 0], [1, 2, 3], [-0.0, 0, -0.0], [1, 2, 3 + 1e-15]])
    np.testing.assert_array_equal(weld(vertices), [0, 1, 0, 1, 2])


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 30), st.just(3)), elements=st.sampled_from([-0.0, 0.0, 1.0, 2.5]))
)
def test_equal_rows_are_those_that_are_equal(rows):
    ids, first = equal_rows(rows)
    for i in range(len(rows)):
        np.testing.assert_array_equal(ids == ids[i], (rows == rows[i]).all(axis=1))
        assert first[ids[i]] == np.flatnonzero(ids == ids[i])[0]
    np.testing.assert_array_equal(first, np.sort(first))


def test_the_hash_follows_the_geometry_and_the_topology_hash_only_the_faces():
    mesh = check(*TRIANGLE)
    moved = check(np.array(TRIANGLE[0]) * 2, TRIANGLE[1])
    turned = check(TRIANGLE[0], [[1, 2, 0]])
    more = check([*TRIANGLE[0], [7, 7, 7]], TRIANGLE[1])
    assert mesh.hash == check(*TRIANGLE).hash
    assert len({mesh.hash, moved.hash, turned.hash, more.hash}) == 4
    assert mesh.topology_hash == moved.topology_hash
    assert len({mesh.topology_hash, turned.topology_hash, more.topology_hash}) == 3


def test_as_mesh_takes_meshes_paths_and_pairs(tmp_path):
    mesh = check(*TRIANGLE)
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert as_mesh(mesh) is mesh
    assert as_mesh(path).hash == as_mesh(str(path)).hash == as_mesh(TRIANGLE).hash == mesh.hash
    with pytest.raises(MeshError, match="int is not a mesh"):
        as_mesh(3)


@pytest.mark.parametrize("scale", [2.0**-300, 0.37, 1.0, 2.0**300])
def test_areas_of_meshes_of_any_size(scale):
    mesh = check(np.array([[0, 0, 0], [3, 0, 0], [0, 4, 0], [9, 9, 9]]) * scale, [[0, 1, 2], [0, 1, 1], [3, 3, 3]])
    with np.errstate(all="raise"):
        assert np.allclose(face_areas(mesh) / scale**2, [6, 0, 0])
