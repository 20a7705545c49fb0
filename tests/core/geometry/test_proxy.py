"""Proxies: welded, normalised, decimated, and a carry that stays in its shell and on its side."""

import csv
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from iseg_core.errors import SettingsError
from iseg_core.formats.load import load_mesh
from iseg_core.geometry.closest_point import Fans
from iseg_core.geometry.decimate import clean_faces
from iseg_core.geometry.mesh import Mesh, check, weld
from iseg_core.geometry.proxy import Proxy, make_proxy, normalise
from iseg_core.geometry.seams import close_seams


def shells_of(mesh: Mesh) -> np.ndarray:
    """Connected component of each of the user's vertices, equal positions and both sides of a seam being one. [V]"""
    ids = weld(mesh.vertices)
    welded = np.empty((ids.max() + 1, 3))
    welded[ids] = mesh.vertices
    ids = close_seams(welded, ids[mesh.faces])[ids]
    pairs = ids[mesh.faces][:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(ids.max() + 1,) * 2)
    return connected_components(graph, directed=False)[1][ids]


def edge_uses(faces: np.ndarray) -> np.ndarray:
    """How many faces share each edge. [E]"""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def carried_points(proxy: Proxy) -> np.ndarray:
    return np.einsum("vk,vkj->vj", proxy.carry_weight.astype(float), proxy.vertices[proxy.carry_index])


def assert_valid(mesh: Mesh, proxy: Proxy) -> None:
    """Everything that holds for every proxy of every mesh."""
    count = len(proxy.vertices)
    assert proxy.vertices.dtype == np.float64 and proxy.faces.dtype == np.int32
    assert proxy.carry_index.dtype == np.int32 and proxy.carry_weight.dtype == np.float32
    assert proxy.carry_index.shape == proxy.carry_weight.shape == (len(mesh.vertices), 3)
    assert np.isfinite(proxy.vertices).all()
    assert np.linalg.norm(proxy.vertices, axis=1).max() <= 1 + 1e-12
    assert len(proxy.faces) and proxy.faces.min() >= 0 and proxy.faces.max() < count
    assert proxy.carry_index.min() >= 0 and proxy.carry_index.max() < count
    assert (proxy.carry_weight >= 0).all()
    np.testing.assert_allclose(proxy.carry_weight.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(proxy.carry(np.full(count, 0.7)), 0.7, atol=1e-6)
    assert len(clean_faces(proxy.vertices, proxy.faces)) == len(proxy.faces)
    # No proxy vertex is heard in two shells.
    pairs = np.column_stack([proxy.carry_index.ravel(), np.repeat(shells_of(mesh), 3)])
    heard = np.unique(pairs[proxy.carry_weight.ravel() > 0], axis=0)
    assert len(np.unique(heard[:, 0])) == len(heard)


def torus(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """A closed surface of 2 * rows * columns faces with waves on it."""
    i, j = np.divmod(np.arange(rows * columns), columns)
    a, b = 2 * np.pi * i / rows, 2 * np.pi * j / columns
    r = 0.4 + 0.05 * np.sin(5 * a) * np.sin(3 * b)
    vertices = np.column_stack([(1 + r * np.cos(b)) * np.cos(a), (1 + r * np.cos(b)) * np.sin(a), r * np.sin(b)])
    up, right = (i + 1) % rows * columns + j, i * columns + (j + 1) % columns
    across = (i + 1) % rows * columns + (j + 1) % columns
    here = np.arange(rows * columns)
    return vertices, np.concatenate([np.stack([here, up, across], axis=1), np.stack([here, across, right], axis=1)])


def plate(side: int, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """A closed square plate: a grid, its copy below, and a rim."""
    i, j = np.divmod(np.arange(side * side), side)
    top = np.column_stack([i / (side - 1), j / (side - 1), np.full(side * side, thickness)])
    here = np.flatnonzero((i < side - 1) & (j < side - 1))
    up, right, across = here + side, here + 1, here + side + 1
    faces = np.concatenate([np.stack([here, up, across], axis=1), np.stack([here, across, right], axis=1)])
    k = np.arange(side - 1)
    rim = np.concatenate([k * side, (side - 1) * side + k, (side - 1 - k) * side + side - 1, side - 1 - k])
    below, following = rim + side * side, np.roll(rim, -1)
    walls = [np.stack([rim, below, following], axis=1), np.stack([following, below, following + side * side], axis=1)]
    vertices = np.concatenate([top, top * [1, 1, 0]])
    return vertices, np.concatenate([faces, faces[:, ::-1] + side * side, *walls])


# ---- small meshes: the identity ----


@pytest.mark.parametrize(("size", "offset"), [(1, 0), (1e-6, 0), (1e6, 0), (1, 1e6), (1e-50, 0), (1e90, 0)])
def test_a_small_even_mesh_is_its_own_proxy_at_every_size_and_place(size, offset):
    sphere = trimesh.creation.icosphere(2)
    shape = np.array(sphere.vertices) * [1.2, 1, 0.9] + [0.3, 0.1, 0]
    mesh = check(shape * size + offset, sphere.faces)
    proxy = make_proxy(mesh, 160)
    assert len(proxy.samples.faces) == 0
    assert_valid(mesh, proxy)
    np.testing.assert_array_equal(proxy.faces, mesh.faces)
    values = np.random.default_rng(0).random(len(shape), dtype=np.float32)
    np.testing.assert_array_equal(proxy.carry(values), values)
    np.testing.assert_array_equal(proxy.nearest, np.arange(len(shape)))
    expected = shape - shape.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1).max()
    np.testing.assert_allclose(proxy.vertices, expected, atol=1e-9)


def test_one_triangle():
    mesh = check([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    proxy = make_proxy(mesh, 4)
    assert_valid(mesh, proxy)
    assert len(proxy.samples.faces) == 1
    assert np.linalg.norm(proxy.vertices, axis=1).max() == pytest.approx(1)


def test_seams_are_welded_and_both_sides_get_the_same_answer():
    mesh = check(
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0.0, 0, -0.0], [1, 1, 0], [0, 1, 0]],
        [[0, 1, 2], [3, 4, 5]],
    )
    proxy = make_proxy(mesh, 4)
    assert_valid(mesh, proxy)
    assert len(proxy.vertices) == 4
    answer = proxy.carry(np.array([0.1, 0.2, 0.3, 0.4]))
    assert answer[0] == answer[3] and answer[2] == answer[4]


def test_degenerate_and_duplicate_faces_are_dropped_whatever_their_orientation():
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0.5, 0, 0]]
    faces = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 1, 2], [1, 3, 2], [0, 4, 1]]
    proxy = make_proxy(check(vertices, faces), 4)
    np.testing.assert_array_equal(proxy.faces, [[0, 1, 2], [1, 3, 2]])
    # Vertex 4 has only a face without area; it answers with a neighbour of its shell.
    assert len(proxy.vertices) == 4 and proxy.nearest[4] in (0, 1)


def test_isolated_vertices_and_shells_without_area_are_one_proxy_vertex_each():
    far = [1e9, 0, 0]
    mesh = check(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], far, [2, 2, 2], [3, 3, 3], [4, 4, 4], [0.1, 0.1, 0]],
        [[0, 1, 2], [4, 5, 6]],
    )
    proxy = make_proxy(mesh, 4)
    assert_valid(mesh, proxy)
    rest = len(np.unique(proxy.faces))  # of the one shell with an area
    assert len(proxy.vertices) == rest + 3
    assert len(set(proxy.nearest[[3, 4, 7]])) == 3
    assert len(set(proxy.nearest[[4, 5, 6]])) == 1
    # What has no face does not shrink the shape.
    alone = make_proxy(check(mesh.vertices[:3], [[0, 1, 2]]), 4)
    np.testing.assert_allclose(proxy.vertices[:rest], alone.vertices)


def test_normalisation_is_that_of_the_reference():
    vertices = np.random.default_rng(0).normal(size=(7, 3)) * 50 + 1000
    placed = normalise(vertices, np.array([[0, 1, 2], [2, 3, 4]]))
    used = vertices[:5]
    expected = (used - used.mean(axis=0)) / np.linalg.norm(used - used.mean(axis=0), axis=1).max()
    np.testing.assert_allclose(placed[:5], expected, atol=1e-12)


@pytest.mark.parametrize("count", [3, 0, -1])
def test_proxies_without_room_for_a_shape_are_refused(count):
    with pytest.raises(SettingsError, match="Ask for 4 or more"):
        make_proxy(check(*torus(8, 8)), count)


# ---- decimated meshes ----


@pytest.mark.parametrize("count", [100, 400, 1500])
def test_a_decimated_proxy_has_the_size_asked_for_and_lies_on_the_surface(count):
    mesh = check(*torus(80, 60))
    proxy = make_proxy(mesh, count)
    assert_valid(mesh, proxy)
    assert 0.9 * count <= len(proxy.vertices) <= 1.02 * count
    assert (edge_uses(proxy.faces) == 2).all()
    distance = np.linalg.norm(carried_points(proxy) - normalise(mesh.vertices, mesh.faces), axis=1)
    spacing = np.sqrt(12 / count)  # about the length of an edge
    assert distance.mean() < 0.1 * spacing and distance.max() < spacing


def test_proxies_are_deterministic():
    mesh = check(*torus(60, 50))
    one, two = make_proxy(mesh, 500), make_proxy(mesh, 500)
    for name in ("vertices", "faces", "carry_index", "carry_weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_linear_functions_are_carried_to_the_closest_point_of_the_surface():
    """So they are exact where a vertex lies on the proxy's surface, and off by the distance at most elsewhere."""
    mesh = check(*torus(80, 60))
    proxy = make_proxy(mesh, 800)
    slope = np.array([0.3, -0.5, 0.8])
    answer = proxy.carry(proxy.vertices @ slope)
    # Decimation may scale the whole into the unit sphere again; the carried points know by how much.
    placed = normalise(mesh.vertices, mesh.faces)
    points = carried_points(proxy)
    scale = (placed * points).sum() / (placed * placed).sum()
    distance = np.linalg.norm(points - placed * scale, axis=1)
    assert (np.abs(answer - placed @ slope * scale) <= np.linalg.norm(slope) * distance + 1e-5).all()
    on_surface = distance < 1e-6
    np.testing.assert_allclose(answer[on_surface], (placed @ slope * scale)[on_surface], atol=1e-5)
    assert distance.mean() < 2e-3


def test_vertices_of_a_flat_region_stay_even_and_carry_linear_functions():
    """Decimation by quadric error alone leaves a few huge triangles and needles here."""
    vertices, faces = plate(60, 0.02)
    mesh = check(vertices, faces)
    proxy = make_proxy(mesh, 1500)
    assert_valid(mesh, proxy)
    edges = proxy.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    lengths = np.linalg.norm(proxy.vertices[edges[:, 0]] - proxy.vertices[edges[:, 1]], axis=1)
    assert lengths.max() < 5 * np.median(lengths)
    x = normalise(mesh.vertices, mesh.faces)[:, 0]
    np.testing.assert_allclose(proxy.carry(proxy.vertices[:, 0]), x, atol=0.02)


@pytest.mark.parametrize("count", [300, 1000, 3000])
def test_the_two_sides_of_a_thin_plate_never_mix(count):
    """The plate is far thinner than the proxy's edges are long."""
    vertices, faces = plate(60, 0.002)
    mesh = check(vertices, faces)
    proxy = make_proxy(mesh, count)
    assert_valid(mesh, proxy)
    above = vertices[:, 2] > 0.001
    share = np.bincount(proxy.nearest, above, len(proxy.vertices)) / np.maximum(
        np.bincount(proxy.nearest, minlength=len(proxy.vertices)), 1
    )
    inside = (np.abs(vertices[:, :2] - 0.5) < 0.5 - 3 / np.sqrt(count)).all(axis=1)
    assert inside.sum() > 1000
    np.testing.assert_array_equal(proxy.carry(share)[inside] > 0.5, above[inside])


def test_shells_within_shells_never_mix():
    """Two spheres that nearly touch, one in the other, and a third across both."""
    sphere = trimesh.creation.icosphere(4)
    v, f = np.array(sphere.vertices), np.array(sphere.faces)
    mesh = check(np.concatenate([v, v * 0.999, v + [0.5, 0, 0]]), np.concatenate([f, f + len(v), f + 2 * len(v)]))
    proxy = make_proxy(mesh, 300)
    assert_valid(mesh, proxy)
    which = np.repeat([0.0, 1.0, 2.0], len(v))
    mean = np.bincount(proxy.nearest, which, len(proxy.vertices)) / np.bincount(proxy.nearest)
    np.testing.assert_allclose(proxy.carry(mean), which, atol=1e-6)


def test_shells_that_vanish_are_one_proxy_vertex_each():
    random = np.random.default_rng(0)
    box = trimesh.creation.box()
    many = 400
    vertices = np.concatenate([np.array(box.vertices) * 0.01 + centre for centre in random.normal(size=(many, 3))])
    faces = np.concatenate([np.array(box.faces) + 8 * k for k in range(many)])
    mesh = check(vertices, faces)
    proxy = make_proxy(mesh, 100)
    assert_valid(mesh, proxy)
    assert len(proxy.vertices) <= 1.02 * 100 + many
    assert len({frozenset(row) for row in proxy.nearest.reshape(many, 8)}) == many


@given(st.integers(0, 10_000))
def test_proxies_of_arbitrary_triangles_are_valid(seed):
    """Random triangles over few vertices: everything that a mesh can have wrong at once."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(random.integers(4, 60), 3)).round(random.integers(0, 3))
    faces = random.integers(0, len(points), (random.integers(1, 120), 3))
    try:
        mesh = check(points, faces)
    except ValueError:
        return
    for count in (4, 20, 1000):
        assert_valid(mesh, make_proxy(mesh, count))


def test_needles_that_no_collapse_may_touch_are_decimated_too():
    """Side faces a hundred times as long as wide: the decimator alone stops at two thirds of the vertices."""
    box = trimesh.creation.box((1, 1, 0.01))
    for _ in range(5):
        box = box.subdivide()
    mesh = check(box.vertices, box.faces)
    proxy = make_proxy(mesh, 400)
    assert_valid(mesh, proxy)
    assert len(proxy.vertices) <= 1.02 * 400


def test_a_million_faces():
    mesh = check(*torus(710, 710))
    assert len(mesh.faces) > 1_000_000
    proxy = make_proxy(mesh, 5000)
    np.testing.assert_allclose(proxy.carry_weight.sum(axis=1), 1, atol=1e-6)
    assert len(proxy.vertices) <= 5100
    assert (edge_uses(proxy.faces) == 2).all()
    distance = np.linalg.norm(carried_points(proxy) - normalise(mesh.vertices, mesh.faces), axis=1)
    assert distance.max() < 0.01


# ---- closest points ----


@given(st.integers(0, 10_000))
def test_the_closest_point_of_a_triangle_is_the_closest(seed):
    """No corner lies on the point's side of it: for a convex set, that is what closest means."""
    random = np.random.default_rng(seed)
    corners = random.normal(size=(3, 3)) * 10.0 ** random.integers(-3, 1, size=(3, 1))
    points = random.normal(size=(20, 3))
    fans = Fans(corners, np.array([[0, 1, 2]]))
    distance, index, weight = fans.closest(points, np.zeros(20, dtype=np.int64))
    np.testing.assert_array_equal(index, np.tile([0, 1, 2], (20, 1)))
    found = weight @ corners
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points - found, axis=1) ** 2, distance, rtol=1e-6, atol=1e-9)
    beyond = np.einsum("nj,nkj->nk", points - found, corners - found[:, None])
    assert beyond.max() < 1e-6


# ---- meshes no one here made ----

REAL = ["suzanne.obj", "teapot.obj", "spot.obj", "camel_b.obj", "horse.ply", "Knight.glb", "Lantern.gltf"]


@pytest.mark.parametrize("name", [*REAL, "vehicle-motorcycle.glb", "vehicle-truck-green.glb"])
@pytest.mark.parametrize("count", [300, 3000])
def test_real_meshes_have_valid_proxies(shared_data: Path, name, count):
    mesh = load_mesh(shared_data / "import" / name)
    proxy = make_proxy(mesh, count)
    assert_valid(mesh, proxy)
    assert len(proxy.vertices) <= 1.02 * count + len(np.unique(shells_of(mesh)))


@pytest.mark.parametrize("count", [500, 1500, 3000, 5000, 20000])
def test_the_horse_gets_hardly_a_hole(shared_data: Path, count):
    """The decimator pinches an edge now and then; once, whole patches were missing."""
    mesh = load_mesh(shared_data / "import" / "horse.ply")
    assert (edge_uses(mesh.faces) == 2).all()
    assert (edge_uses(make_proxy(mesh, count).faces) != 2).sum() <= 4


@pytest.mark.parametrize("number", ["15", "143", "238", "281"])
def test_borders_of_parts_survive_on_the_proxy(shared_data: Path, number):
    """The best answer that a proxy of 5000 vertices can carry, against the best on the mesh itself: IoU by area."""
    folder = shared_data / "psb_dev"
    with open(folder / "index.csv", newline="") as file:
        central = {row["id"]: row["central_seg"] for row in csv.DictReader(file)}[number]
    mesh = load_mesh(folder / "off" / f"{number}.off")
    labels = np.loadtxt(folder / "seg" / number / central, dtype=int)
    proxy = make_proxy(mesh, 5000)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)

    def best(inside: np.ndarray, carry_over) -> float:
        weight = np.bincount(mesh.faces.ravel(), np.repeat(areas, 3), len(mesh.vertices))
        share = np.bincount(mesh.faces.ravel(), np.repeat(areas * inside, 3), len(mesh.vertices)) / np.maximum(
            weight, 1e-30
        )
        found = (carry_over((share > 0.5).astype(np.float32))[mesh.faces] >= 0.5).sum(axis=1) >= 2
        return areas[found & inside].sum() / areas[found | inside].sum()

    def through_proxy(values: np.ndarray) -> np.ndarray:
        total = np.bincount(proxy.nearest, values, len(proxy.vertices))
        return proxy.carry(total / np.maximum(np.bincount(proxy.nearest, minlength=len(proxy.vertices)), 1))

    parts = [labels == k for k in np.unique(labels) if areas[labels == k].sum() > 0.01 * areas.sum()]
    ratio = np.mean([best(part, through_proxy) for part in parts]) / np.mean([best(part, np.asarray) for part in parts])
    assert ratio > 0.98


@pytest.mark.filterwarnings("error")
def test_the_closest_point_of_a_face_with_an_edge_of_no_length():
    """Two corners of the only face fall together; whichever edge that is, the point is found without a warning."""
    corners = np.array([[0.0, 0, 0], [2, 0, 0], [0, 0, 0]])  # [3, 3]
    for turn in range(3):
        fans = Fans(np.roll(corners, turn, axis=0), np.array([[0, 1, 2]]))
        squared, face, bary = fans.closest(np.array([[0.5, 1.0, 0]]), np.array([0]))
        assert np.allclose(squared, 1) and np.allclose(bary @ np.roll(corners, turn, axis=0)[face[0]], [[0.5, 0, 0]])
