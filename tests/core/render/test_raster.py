"""What the rays of a view hit."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shapes import sphere
from support.triangles import FACES, VERTICES, soup, square

from iseg_core.errors import SettingsError
from iseg_core.render.backends import BACKENDS, make_rasterizer
from iseg_core.render.camera import Camera, sphere_cameras
from iseg_core.render.embree import EmbreeRasterizer
from iseg_core.render.raster import Raster
from iseg_core.render.shading import shade

FRONT = Camera(np.array([0.0, 0.0, 2.0]))


def intersect(origin: np.ndarray, rays: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every ray [N, 3] with every triangle [F, 3, 3], distance [N, F], barycentrics [N, F, 3]."""
    a, b, c = np.moveaxis(corners, 1, 0)  # [F, 3] each
    columns = np.stack(np.broadcast_arrays(b - a, c - a, -rays[:, None]), axis=-1)  # [N, F, 3, 3]
    right = np.broadcast_to((origin - a)[:, :, None], (*columns.shape[:3], 1))  # [N, F, 3, 1]
    u, v, t = np.moveaxis(np.linalg.solve(columns, right)[..., 0], -1, 0)  # [N, F] each
    return t, np.stack([1 - u - v, u, v], axis=-1)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(0, 19))
def test_the_first_face_along_the_ray_is_hit_where_the_ray_meets_it(seed, count, view):
    vertices, faces = soup(seed, count)
    camera = sphere_cameras(20)[view]
    raster = make_rasterizer(vertices, faces).rasterize(camera, 24)
    distance, weights = intersect(camera.position, camera.rays(24), vertices[faces])  # [HW, F], [HW, F, 3]
    inside = weights.min(axis=2)  # [HW, F]
    clear = (np.abs(inside) > 1e-3).all(axis=1)  # [HW] rays that graze an edge may be decided either way
    distance = np.where(inside > 0, distance, np.inf)  # [HW, F]
    order = np.sort(distance, axis=1)  # [HW, F]
    if count > 1:
        clear &= (order[:, 1] > order[:, 0] + 1e-4) | np.isinf(order[:, 1])  # else two faces cross here
    expected = np.where(np.isfinite(order[:, 0]), distance.argmin(axis=1), -1)  # [HW]
    assert clear.mean() > 0.5
    assert np.array_equal(raster.face_id.ravel()[clear], expected[clear])
    hit = clear & (expected >= 0)  # [HW]
    found = raster.barycentrics.reshape(-1, 3)[hit]  # [h, 3]
    assert np.allclose(found, weights[hit, expected[hit]], atol=2e-3)


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(0, 19), st.booleans())
def test_weights_sum_to_one_and_draw_a_linear_function_exactly(seed, view, loose):
    vertices, faces = soup(seed, 12) if loose else (VERTICES, FACES)
    camera, rng = sphere_cameras(20)[view], np.random.default_rng(seed)
    raster = make_rasterizer(vertices, faces).rasterize(camera, 32)
    weights = raster.barycentrics.reshape(-1, 3)  # [HW, 3]
    assert (weights >= 0).all()
    assert np.allclose(weights[raster.covered].sum(axis=1), 1, atol=1e-6)
    assert (weights[raster.face_id.ravel() < 0] == 0).all()

    matrix = raster.matrix(faces, len(vertices))  # [P, V]
    assert matrix.shape == (len(raster.covered), len(vertices))
    rays = camera.rays(32)[raster.covered]  # [P, 3]
    a, b, c = np.moveaxis(vertices[faces[raster.face_id.ravel()[raster.covered]]], 1, 0)  # [P, 3] each
    normal = np.cross(b - a, c - a)  # [P, 3]
    slope = np.einsum("pk,pk->p", normal, rays) / np.linalg.norm(normal, axis=1)  # [P]
    depth = np.einsum("pk,pk->p", normal, a - camera.position) / np.einsum("pk,pk->p", normal, rays)  # [P]
    point = camera.position + depth[:, None] * rays  # [P, 3] where the ray meets the face's plane
    facing = np.abs(slope) > 0.05  # [P] along a face, a rounding error of the depth is a step on it
    assert facing.any() or not len(facing)
    linear, constant = rng.standard_normal(3), rng.standard_normal()
    drawn = matrix @ (vertices @ linear + constant)  # [P]
    assert np.allclose(drawn[facing], (point @ linear + constant)[facing], atol=1e-4)
    assert np.allclose(camera.project(matrix @ vertices, 32)[facing], pixel_centres(raster)[facing], atol=1e-2)


def pixel_centres(raster: Raster) -> np.ndarray:
    """Of the covered pixels, x and y. [P, 2]"""
    row, column = np.divmod(raster.covered, raster.face_id.shape[1])
    return np.stack([column, row], axis=1) + 0.5  # [P, 2]


def test_the_matrix_is_the_gather_of_the_corners():
    raster = make_rasterizer(VERTICES, FACES).rasterize(sphere_cameras(3)[1], 40)
    values = np.random.default_rng(0).standard_normal((len(VERTICES), 4))  # [V, d]
    drawn = (raster.barycentrics[..., None] * values[FACES[raster.face_id]]).sum(axis=2)  # [H, W, d]
    assert np.allclose(raster.matrix(FACES, len(VERTICES)) @ values, drawn.reshape(-1, 4)[raster.covered], atol=1e-6)


def test_both_sides_of_a_face_are_seen():
    turned = FACES[:, ::-1].copy()  # [F, 3]
    mixed = np.where(np.arange(len(FACES))[:, None] % 2, FACES, turned)  # [F, 3]
    for camera in sphere_cameras(4):
        raster = make_rasterizer(VERTICES, FACES).rasterize(camera, 48)
        point = raster.matrix(FACES, len(VERTICES)) @ VERTICES  # [P, 3]
        assert len(raster.covered) > 300
        for faces in (turned, mixed):
            other = make_rasterizer(VERTICES, faces).rasterize(camera, 48)
            assert np.array_equal(other.face_id >= 0, raster.face_id >= 0)
            assert np.allclose(other.matrix(faces, len(VERTICES)) @ VERTICES, point, atol=1e-4)
            assert np.array_equal(other.visible, raster.visible)
            lit, expected = (shade(r, camera, VERTICES, f) for r, f in ((other, faces), (raster, FACES)))
            assert (lit != expected).mean() < 0.01  # rays on an edge may take either face


def test_a_closed_surface_has_no_holes():
    ball = sphere(3)
    rasterizer = make_rasterizer(ball.vertices, ball.faces)
    for camera in sphere_cameras(8):
        rays = camera.rays(96)  # [HW, 3]
        miss = np.linalg.norm(np.cross(camera.position, rays), axis=1)  # [HW] distance of a ray to the origin
        hit = rasterizer.rasterize(camera, 96).face_id.ravel() >= 0  # [HW]
        assert hit[miss < 0.98].all()
        assert not hit[miss > 1.0].any()


def test_on_a_ball_the_near_vertices_are_visible_and_the_far_ones_are_not():
    ball = sphere(2)
    corners = ball.vertices[ball.faces]  # [F, 3, 3]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [F, 3]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    for camera in sphere_cameras(6):
        facing = np.einsum("fk,fk->f", normal, camera.position - corners[:, 0])  # [F]
        best = np.full(len(ball.vertices), -np.inf)  # [V] a vertex of a convex shape is seen where one face is
        np.maximum.at(best, ball.faces.ravel(), np.repeat(facing, 3))
        visible = make_rasterizer(ball.vertices, ball.faces).rasterize(camera, 8).visible
        assert visible[best > 0.05].all()
        assert not visible[best < -0.05].any()
        assert (best > 0.05).any() and (best < -0.05).any()


def test_what_stands_behind_is_hidden_whatever_the_size_of_the_picture():
    near, near_faces = square(0.4, 0.3)
    far, far_faces = square(-0.4, 0.2)
    wide, wide_faces = square(-0.6, 0.7)
    vertices = np.concatenate([near, far, wide])  # [12, 3]
    faces = np.concatenate([near_faces, far_faces + 4, wide_faces + 8])  # [6, 3]
    for resolution in (1, 64):
        visible = make_rasterizer(vertices, faces).rasterize(FRONT, resolution).visible  # [12]
        assert visible[:4].all() and not visible[4:8].any() and visible[8:].all()
    back = make_rasterizer(vertices, faces).rasterize(Camera(np.array([0.0, 0.0, -2.0])), 64).visible  # [12]
    assert not back[:8].any() and back[8:].all()


def test_a_view_of_nothing_is_empty():
    vertices, faces = square(0.0, 1e-4)
    aside = vertices + [0.9, 0.9, 1.5]  # out of the picture
    for points, triangles in ((aside, faces), (vertices, np.zeros((0, 3), np.int32))):
        raster = make_rasterizer(points, triangles).rasterize(FRONT, 16)
        assert (raster.face_id == -1).all() and (raster.barycentrics == 0).all()
        assert raster.visible.all()  # nothing stands before them
        assert raster.matrix(triangles, len(points)).shape == (0, 4)
        assert (shade(raster, FRONT, points, triangles) == 255).all()


def test_the_picture_is_grey_on_white_under_a_headlight():
    vertices, faces = square(0.0, 0.4)
    raster = make_rasterizer(vertices, faces).rasterize(FRONT, 32)
    image = shade(raster, FRONT, vertices, faces)
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    hit = raster.face_id >= 0
    assert hit[16, 16] and not hit[0, 0]
    assert (image[~hit] == 255).all()
    assert (image[hit] == round(255 * 2 / 3 * (0.2821 + 0.4886))).all()  # the normal points at the camera
    tilted = vertices @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]).T  # [4, 3] top towards the camera
    shown = shade(make_rasterizer(tilted, faces).rasterize(FRONT, 32), FRONT, tilted, faces)[16, 16, 0]
    assert shown == round(255 * 2 / 3 * (0.2821 + 0.4886 * (-0.6 + 0.8)))


def test_auto_is_embree_where_nothing_else_is_and_has_the_name_of_its_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvdiffrast", None)
    rasterizer = make_rasterizer(VERTICES, FACES)
    assert isinstance(rasterizer, EmbreeRasterizer) and rasterizer.name == "embree"
    assert make_rasterizer(VERTICES, FACES, "embree").name == "embree"


def test_an_unknown_backend_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(SettingsError, match="'opengl'.*auto, embree, nvdiffrast"):
        make_rasterizer(VERTICES, FACES, "opengl")


@pytest.mark.parametrize(("backend", "module", "remedy"), [
    ("embree", "embreex", "pip install embreex"),
    ("nvdiffrast", "nvdiffrast", "'embree'"),
])  # fmt: skip
def test_a_backend_that_is_not_installed_says_how_to_get_one(monkeypatch, backend, module, remedy):
    assert backend in BACKENDS
    for name in [name for name in sys.modules if name.split(".")[0] == module] + [module]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError, match=remedy):
        make_rasterizer(VERTICES, FACES, backend)
