"""Cameras over the sphere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iseg_core.render.camera import FOV, RADIUS, Camera, sphere_cameras

COUNTS = [2, 6, 40, 100, 200]
POLES = [(0.0, 2.0, 0.0), (0.0, -2.0, 0.0), (1e-9, 2.0, 0.0), (0.05, 1.9993, 0.0), (0.09, -1.998, 1e-3)]

directions = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 1e-2)
cameras = st.builds(
    lambda d, r: Camera(np.array(d) / np.linalg.norm(d) * r), directions | st.sampled_from(POLES), st.floats(1.1, 10)
)


def positions(count: int) -> np.ndarray:
    return np.array([camera.position for camera in sphere_cameras(count)]) / RADIUS  # [N, 3]


@pytest.mark.parametrize("count", [1, *COUNTS])
def test_as_many_cameras_as_asked_at_the_radius_of_two(count):
    points = np.array([camera.position for camera in sphere_cameras(count)])  # [N, 3]
    assert points.shape == (count, 3)
    assert np.allclose(np.linalg.norm(points, axis=1), 2.0)


@pytest.mark.parametrize("count", COUNTS)
def test_no_two_cameras_crowd(count):
    points = positions(count)
    angle = np.arccos(np.clip(points @ points.T, -1, 1)) + 10 * np.eye(count)  # [N, N]
    each = np.sqrt(4 * np.pi / count)  # side of a square with a camera's share of the sphere
    assert angle.min(axis=1).min() > 0.75 * each


@pytest.mark.parametrize("count", COUNTS[1:])
def test_no_side_of_the_sphere_is_left_out(count):
    probe = np.random.default_rng(0).standard_normal((5000, 3))  # [M, 3]
    probe /= np.linalg.norm(probe, axis=1, keepdims=True)
    nearest = np.arccos(np.clip(probe @ positions(count).T, -1, 1)).min(axis=1)  # [M]
    assert nearest.max() < 1.05 * np.sqrt(4 * np.pi / count)


@pytest.mark.parametrize("count", COUNTS[2:])
def test_every_half_of_the_sphere_holds_half_of_the_cameras(count):
    points = positions(count)
    normals = np.random.default_rng(1).standard_normal((500, 3))  # [M, 3]
    share = (points @ normals.T > 0).mean(axis=0)  # [M]
    assert np.abs(share - 0.5).max() < 0.5 / np.sqrt(count)
    assert np.linalg.norm(points.mean(axis=0)) < 0.02


@given(cameras)
def test_axes_are_a_right_handed_frame_that_looks_at_the_origin(camera):
    axes = camera.axes
    assert np.allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) > 0
    assert np.allclose(axes[2], camera.position / np.linalg.norm(camera.position))
    assert np.allclose(camera.project(np.zeros((1, 3)), 224), 112.0)


@given(cameras, st.integers(1, 48), st.integers(0, 10**6), st.floats(0.1, 20))
def test_projection_undoes_the_rays(camera, resolution, pixel, depth):
    rays = camera.rays(resolution)  # [HW, 3]
    assert rays.shape == (resolution**2, 3)
    assert np.allclose(np.linalg.norm(rays, axis=1), 1.0)
    row, column = divmod(pixel % resolution**2, resolution)
    point = camera.position + depth * rays[row * resolution + column]  # [3]
    assert np.allclose(camera.project(point[None], resolution), [[column + 0.5, row + 0.5]], atol=1e-6)


@given(directions)
def test_y_is_up_and_x_is_right(direction):
    direction = np.array(direction) / np.linalg.norm(direction)  # [3]
    if abs(direction[1]) > 0.99:
        return  # seen from a pole there is no up
    camera = Camera(2 * direction)
    right = np.cross([0.0, 1.0, 0.0], direction)  # [3] of someone who stands there and looks at the origin
    centre, above, beside = camera.project(np.array([[0, 0, 0], [0, 0.1, 0], right * 0.1]), 100)
    assert above[1] < centre[1] - 0.1 and np.isclose(above[0], 50)
    assert beside[0] > centre[0] + 0.1 and np.isclose(beside[1], 50)


@pytest.mark.parametrize("position", POLES)
def test_the_poles_see_the_shape(position):
    camera = Camera(np.array(position))
    points = np.array([[0.3, 0.0, 0.2], [-0.5, 0.1, 0.4]])  # [2, 3]
    pixels = camera.project(points, 64)  # [2, 2]
    assert ((pixels > 0) & (pixels < 64)).all()
    assert np.linalg.norm(pixels[0] - pixels[1]) > 5


@given(cameras)
def test_the_unit_sphere_is_exactly_inscribed(camera):
    camera = Camera(camera.position / np.linalg.norm(camera.position) * RADIUS)
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)  # [8] at 0, 90, .. degrees the silhouette touches the border
    around = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ camera.axes[:2]  # [8, 3]
    silhouette = around * np.cos(FOV / 2) + camera.axes[2] * np.sin(FOV / 2)  # [8, 3] where tangents touch the sphere
    pixels = camera.project(silhouette, 100)  # [8, 2]
    assert np.allclose(np.linalg.norm(pixels - 50, axis=1), 50)
