"""The Laplacian that feels where parts meet."""

import numpy as np
import pytest
from support.shapes import dumbbell, join, moved, sphere

from iseg_core.parts.assembly import Assembly
from iseg_core.parts.measure import measure
from iseg_core.parts.orientation import orient
from iseg_core.render.embree import EmbreeRasterizer
from iseg_core.storage.prepare import prepare


def surface_of(mesh):
    return measure(mesh.vertices / 2, mesh.faces).whole


def test_laplacian_is_symmetric_has_zero_rows_and_no_negative_direction():
    laplacian = surface_of(dumbbell(2)).laplacian.toarray()
    assert np.allclose(laplacian, laplacian.T)
    assert np.allclose(laplacian.sum(axis=1), 0, atol=1e-9)
    assert np.linalg.eigvalsh(laplacian).min() > -1e-9


def test_edges_in_a_valley_are_weaker_than_those_on_a_bulge():
    mesh = dumbbell()
    surface = surface_of(mesh)
    height = np.abs(mesh.vertices[surface.edges, 2]).mean(axis=1)
    neck, ball = surface.weights[height < 0.15], surface.weights[height > 1.0]
    assert np.median(neck) < 0.1 * np.median(ball)


def test_masses_are_fractions_of_the_area():
    surface = surface_of(dumbbell())
    assert surface.mass.sum() == pytest.approx(1)
    assert (surface.mass > 0).all()


def test_flipped_faces_change_nothing():
    mesh = dumbbell()
    flipped = mesh.faces.copy()
    odd = np.random.default_rng(0).random(len(flipped)) < 0.5
    flipped[odd] = flipped[odd, ::-1]
    expected = surface_of(mesh)
    for faces in (flipped, mesh.faces[:, ::-1]):
        got = measure(mesh.vertices / 2, faces).whole
        assert np.array_equal(got.edges, expected.edges)
        assert np.allclose(got.weights, expected.weights, rtol=1e-3, atol=1e-6)


def test_orient_turns_every_shell_outwards():
    two = join(moved(sphere(2), (-0.5, 0, 0), 0.3), moved(sphere(2), (0.5, 0, 0), 0.3))
    faces = two.faces.copy()
    faces[: len(faces) // 2] = faces[: len(faces) // 2, ::-1]
    turned = orient(two.vertices, faces, EmbreeRasterizer(two.vertices, faces))
    corners = two.vertices[turned]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    centre = np.where(corners.mean(axis=1)[:, :1] < 0, [[-0.5, 0, 0]], [[0.5, 0, 0]])
    assert (((corners.mean(axis=1) - centre) * normals).sum(axis=1) > 0).all()


def test_fields_are_closest_at_the_click_and_stay_on_its_shell():
    two = join(moved(sphere(2), (-0.5, 0, 0), 0.3), moved(sphere(2), (0.5, 0, 0), 0.3))
    surface = measure(two.vertices, two.faces).whole
    fields = surface.fields(7)
    half = len(two.vertices) // 2
    assert (fields.argmax(axis=1) == 7).all()
    assert np.allclose(fields[:, half:], 0, atol=1e-9)
    assert (fields[:, :half] > 0).all()
    assert np.isinf(surface.distances(7)[half:]).all()


def test_distances_follow_the_surface():
    mesh = sphere()
    surface = measure(mesh.vertices, mesh.faces).whole
    size = np.sqrt(surface.area)
    opposite = int(((mesh.vertices + mesh.vertices[0]) ** 2).sum(axis=1).argmin())
    assert surface.distances(0)[opposite] * size == pytest.approx(np.pi, rel=0.12)


def test_features_are_the_same_every_time_and_bounded():
    surface = surface_of(dumbbell())
    first, again = surface.spectral_features(32), surface.spectral_features(32)
    assert np.array_equal(first, again)
    assert first.shape == (surface.vertex_count, 32) and first.dtype == np.float32
    assert np.abs(first).max() <= 1
    few = measure(sphere(0).vertices, sphere(0).faces).whole.spectral_features(32)
    assert (few[:, 11:] == 0).all() and np.isfinite(few).all()


@pytest.mark.parametrize("count", [0, 1])
def test_almost_no_faces(count):
    vertices = np.array([[0.0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0.3, 0.3, 0.3]])
    surface = measure(vertices, np.array([[0, 1, 2]], dtype=np.int32)[:count]).whole
    assert len(surface.edges) == 3 * count
    assert np.isfinite(surface.fields(0)).all()


def test_arrays_rebuild_the_surface():
    model = prepare(dumbbell(2), 5000)
    surface = Assembly.from_arrays(model.proxy.vertices, model.assembly.arrays()).whole
    expected = measure(model.proxy.vertices, model.proxy.faces).whole
    assert np.array_equal(surface.fields(5), expected.fields(5))
