"""Shading: the grey picture that a teacher is shown."""

import numpy as np

from .camera import Camera
from .raster import Raster

GREY = 2 / 3  # colour of the mesh
AMBIENT, DIRECT = 0.2821, 0.4886  # the headlight: first two bands of spherical harmonics


def shade(raster: Raster, camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Shade a view: a grey mesh under one headlight, flat faces, white background. [H, W, 3] uint8

    The released code's formula (camera-space normal n): grey * (ambient + direct * (nx + ny + nz)), but the normal is
    turned towards the camera first, so that flipped faces and the inside of open shells are lit like any other.
    """
    hit, pixel_face = np.unique(raster.face_id.ravel()[raster.covered], return_inverse=True)  # [S], [P]
    a, b, c = np.moveaxis(np.asarray(vertices, dtype=np.float64)[faces[hit]], 1, 0)  # [S, 3] each
    normal = np.cross(b - a, c - a)  # [S, 3]
    normal *= np.where(np.einsum("fk,fk->f", normal, camera.position - a) < 0, -1.0, 1.0)[:, None]
    length = np.linalg.norm(normal, axis=1, keepdims=True)  # [S, 1]
    local = normal / np.where(length > 0, length, 1.0) @ camera.axes.T  # [S, 3]
    light = np.clip(GREY * (AMBIENT + DIRECT * local.sum(axis=1)), 0.0, 1.0)  # [S]
    grey = np.full(raster.face_id.size, 255, dtype=np.uint8)  # [HW]
    grey[raster.covered] = np.round(light * 255).astype(np.uint8)[pixel_face]
    return np.repeat(grey.reshape(*raster.face_id.shape, 1), 3, axis=2)  # [H, W, 3]
