"""Thinning: dense meshes become those of a few times as many vertices as samples; what is apart stays apart."""

import numpy as np
import pytest
import trimesh

from iseg_core.geometry import proxy as proxies
from iseg_core.geometry.islands import measure_shells
from iseg_core.geometry.mesh import Mesh, check
from iseg_core.geometry.proxy import Proxy, make_proxy, normalise
from iseg_core.geometry.thin import Thinned, thin


@pytest.fixture
def thinning(monkeypatch):
    """Thin meshes of more than 20 times the samples asked for, as is done with those of more than 100,000 vertices."""
    monkeypatch.setattr(proxies, "DENSE", 0)


def sheet(rows: int, columns: int, other_diagonal: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A square of rows x columns vertices in the plane z = 0."""
    i, j = np.divmod(np.arange(rows * columns), columns)
    vertices = np.column_stack([i / (rows - 1), j / (columns - 1), np.zeros(len(i))])
    a = np.flatnonzero((i < rows - 1) & (j < columns - 1))
    b, c, d = a + columns, a + columns + 1, a + 1
    split = [(a, b, d), (b, c, d)] if other_diagonal else [(a, b, c), (a, c, d)]
    return vertices, np.concatenate([np.stack(corners, axis=1) for corners in split])


def closed_sheet(side: int, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """Two squares of side x side vertices, `thickness` apart but for their common rim."""
    top, faces = sheet(side, side)
    i, j = np.divmod(np.arange(len(top)), side)
    rim = (i == 0) | (j == 0) | (i == side - 1) | (j == side - 1)
    number = np.where(rim, np.arange(len(top)), len(top) + np.cumsum(~rim) - 1)
    return np.concatenate([top, (top - [0, 0, thickness])[~rim]]), np.concatenate([faces, number[faces][:, ::-1]])


def rod(radius: float, around: int = 24, along: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """A closed rod of length 1, its ends pointed."""
    i, j = np.divmod(np.arange(around * along), around)
    angle = 2 * np.pi * j / around
    vertices = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), i / (along - 1)])
    here, right = np.flatnonzero(i < along - 1), (j + 1) % around + i * around
    next_, across = here + around, right[here] + around
    k = np.arange(around)
    last, tips = (along - 1) * around, around * along + np.arange(2)
    ends = [np.stack([(k + 1) % around, k, np.full(around, tips[0])], axis=1)]
    ends += [np.stack([last + k, last + (k + 1) % around, np.full(around, tips[1])], axis=1)]
    sides = [np.stack([here, right[here], across], axis=1), np.stack([here, across, next_], axis=1)]
    return np.concatenate([vertices, [[0, 0, -radius], [0, 0, 1 + radius]]]), np.concatenate(sides + ends)


def ball(subdivisions: int) -> tuple[np.ndarray, np.ndarray]:
    sphere = trimesh.creation.icosphere(subdivisions)
    return np.array(sphere.vertices), np.array(sphere.faces)


def thinned(vertices: np.ndarray, faces: np.ndarray, cell: float) -> Thinned:
    shells = measure_shells(vertices, faces)
    return thin(vertices, faces, shells, np.full(len(shells.areas), cell), np.eye(3))


def edge_uses(faces: np.ndarray) -> np.ndarray:
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def area(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def joined(*parts: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    return np.concatenate([v for v, _ in parts]), np.concatenate([f + n for (_, f), n in zip(parts, starts)])  # noqa: B905


def carried_points(proxy: Proxy) -> np.ndarray:
    return np.einsum("vk,vkj->vj", proxy.carry_weight.astype(float), proxy.vertices[proxy.carry_index])


def mixed(proxy: Proxy, which: np.ndarray) -> np.ndarray:
    """Share of other kinds that each vertex hears, where a proxy vertex says the mean of those it stands for. [V]"""
    count = len(proxy.vertices)
    mean = np.bincount(proxy.nearest, which, count) / np.maximum(np.bincount(proxy.nearest, minlength=count), 1)
    return np.abs(proxy.carry(mean) - which)


# ---- thin ----


def test_a_closed_surface_stays_closed_and_keeps_its_area():
    vertices, faces = ball(6)
    result = thinned(vertices, faces, 0.1)
    assert len(result.vertices) < len(vertices) / 15
    assert (edge_uses(result.faces) % 2 == 0).all()
    assert area(result.vertices, result.faces) == pytest.approx(area(vertices, faces), rel=0.02)
    np.testing.assert_array_equal(result.faces, result.cluster[faces[result.rows]])
    # A vertex is in its cluster's cell, and every cluster has a face.
    assert np.linalg.norm(result.vertices[result.cluster] - vertices, axis=1).max() < 0.1 * np.sqrt(3)
    np.testing.assert_array_equal(np.unique(result.faces), np.arange(len(result.vertices)))


def test_a_rod_far_thinner_than_the_cells_keeps_its_sides():
    vertices, faces = rod(0.01)
    vertices += 0.05  # its axis is in the middle of cells, not between them
    result = thinned(vertices, faces, 0.1)
    assert len(result.vertices) < len(vertices) / 50
    assert (edge_uses(result.faces) % 2 == 0).all()
    assert area(result.vertices, result.faces) > 0.7 * area(vertices, faces)


def test_sheets_drawn_twice_keep_their_area_however_they_are_drawn():
    """Faces that coincide cancel, unless they did so before; where that is most of a shell it is left as it is."""
    vertices, faces = sheet(60, 60)
    vertices = vertices @ [[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]]  # across the grid
    same = np.concatenate([faces, faces[:, ::-1]])
    other = np.concatenate([faces, sheet(60, 60, other_diagonal=True)[1]])
    for drawn in (faces, same, other):
        result = thinned(vertices, drawn, 0.1)
        assert area(result.vertices, result.faces) > 0.7
    assert len(thinned(vertices, faces, 0.1).vertices) < 150


def test_the_sides_of_a_closed_sheet_are_clusters_of_their_own():
    vertices, faces = closed_sheet(120, 0.002)
    result = thinned(vertices + 0.05, faces, 0.1)
    above, below = np.flatnonzero(vertices[:, 2] > -0.001), np.flatnonzero(vertices[:, 2] < -0.001)
    assert len(result.vertices) < 1000
    assert not np.intersect1d(result.cluster[above], result.cluster[below]).size
    assert area(result.vertices, result.faces) > 1.8


def test_a_shell_smaller_than_a_cell_is_not_lost():
    vertices, faces = ball(3)
    result = thinned(vertices, faces, 10.0)
    assert area(result.vertices, result.faces) > 0.5 * area(vertices, faces)


def test_vertices_without_faces_and_shells_without_area_are_clusters_of_their_own():
    vertices, faces = joined(
        ball(4), (np.array([[3.0, 0, 0]]), np.zeros((0, 3), int)), (np.eye(3) * 2, np.zeros((0, 3), int))
    )
    count = len(vertices)
    line = np.array([[count - 3, count - 2, count - 2]])
    result = thinned(vertices, np.concatenate([faces, line]), 0.1)
    alone = result.cluster[-4:]
    assert len(set(alone)) == 3 and alone[1] == alone[2]
    assert not np.isin(alone, result.faces).any()


# ---- proxies of thinned meshes ----


def test_shells_stay_apart(thinning):
    vertices, faces = ball(5)
    mesh = check(*joined((vertices, faces), (vertices * 0.999, faces), (vertices + [0.5, 0, 0], faces)))
    proxy = make_proxy(mesh, 300)
    assert len(proxy.vertices) <= 1.02 * 300
    np.testing.assert_allclose(mixed(proxy, np.repeat([0.0, 1.0, 2.0], len(vertices))), 0, atol=1e-6)


def test_the_sides_of_a_thin_sheet_stay_apart(thinning):
    vertices, faces = closed_sheet(120, 0.002)
    proxy = make_proxy(check(vertices, faces), 1000)
    inside = (np.abs(vertices[:, :2] - 0.5) < 0.4).all(axis=1)
    assert (mixed(proxy, (vertices[:, 2] < -0.001).astype(float))[inside] < 0.5).all()


def test_islands_keep_their_budgets(thinning):
    """A small object far from a large one has as many samples."""
    vertices, faces = ball(6)
    mesh = check(*joined((vertices, faces), (vertices * 0.01 + [5, 0, 0], faces)))
    proxy = make_proxy(mesh, 1000)
    small = np.bincount(proxy.nearest, np.repeat([0.0, 1.0], len(vertices)), len(proxy.vertices)) > 0
    assert 950 <= small.sum() <= 1020 and 950 <= (~small).sum() <= 1020


def test_a_large_shell_among_many_small_ones_has_as_many_samples_as_without_thinning(monkeypatch):
    large, small = ball(6), ball(2)
    around = np.random.default_rng(0).normal(size=(400, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    mesh = check(*joined(large, *((small[0] * 0.05 + place, small[1]) for place in around)))
    samples = []
    for dense in (10**9, 0):
        monkeypatch.setattr(proxies, "DENSE", dense)
        proxy = make_proxy(mesh, 2000)
        samples.append(len(np.unique(proxy.nearest[: len(large[0])])))
    assert samples[1] == pytest.approx(samples[0], rel=0.15)


@pytest.mark.parametrize("count", [500, 1500])
def test_every_vertex_is_carried_from_beside_it(thinning, count):
    vertices, faces = ball(6)
    vertices = vertices * (1 + 0.2 * np.sin(6 * vertices[:, :1]))
    mesh = check(vertices, faces)
    proxy = make_proxy(mesh, count)
    assert 0.9 * count <= len(proxy.vertices) <= 1.02 * count
    assert (edge_uses(proxy.faces) == 2).all()
    np.testing.assert_allclose(proxy.carry_weight.sum(axis=1), 1, atol=1e-6)
    assert (proxy.carry_weight >= 0).all()
    placed, spacing = normalise(mesh.vertices, mesh.faces), np.sqrt(12 / count)
    distance = np.linalg.norm(carried_points(proxy) - placed, axis=1)
    assert distance.mean() < 0.05 * spacing and distance.max() < 0.5 * spacing
    assert np.linalg.norm(proxy.vertices[proxy.nearest] - placed, axis=1).max() < 1.5 * spacing


def test_big_faces_of_dense_meshes_have_samples_all_their_triangles_know(thinning):
    """A ball stands on a square of which one triangle of two is so small that the thinning loses it."""
    vertices, faces = ball(5)
    square = np.array([[-2, -2, -1.2], [2, -2, -1.2], [2, 2, -1.2], [2 - 1e-5, 2, -1.2], [-2, 2, -1.2]])
    fan = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4]])
    points, corners = joined((vertices, faces), (square, fan))
    polygons = np.append(np.arange(len(faces)), np.full(3, len(faces))).astype(np.int32)
    proxy = make_proxy(Mesh(points, corners.astype(np.int32), polygons), 500)
    np.testing.assert_array_equal(proxy.samples.faces, len(faces) + np.arange(3))
    middle = proxy.vertices[proxy.samples.vertices]
    assert len(middle) > 20
    flat = make_proxy(Mesh(points, corners.astype(np.int32), polygons), 500)
    np.testing.assert_array_equal(flat.samples.mean(np.ones(len(flat.vertices))).round(5), np.ones(3))


def test_a_thinned_proxy_is_the_same_again_and_turns_with_the_shape(thinning):
    vertices, faces = ball(6)
    vertices = vertices * [1, 0.8, 0.5] * (1 + 0.2 * np.sin(3 * vertices[:, :1] + 1))
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    one, two, turned = (make_proxy(check(v, faces), 600) for v in (vertices, vertices, vertices @ turn.T))
    for name in ("vertices", "faces", "carry_index", "carry_weight"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.faces, turned.faces)
    np.testing.assert_allclose(one.vertices @ turn.T, turned.vertices, atol=1e-6)


def test_ordinary_meshes_are_not_thinned(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("thinned")

    monkeypatch.setattr(proxies, "thin", refuse)
    mesh = check(*ball(6))
    make_proxy(mesh, 500)
    monkeypatch.setattr(proxies, "DENSE", 0)
    with pytest.raises(AssertionError, match="thinned"):
        make_proxy(mesh, 500)
    make_proxy(mesh, len(mesh.vertices) // 20 + 1)
