"""Click pixels: positions in a view of clicks on vertices."""

import numpy as np

from .camera import Camera
from .raster import Raster

CLICK_REACH = 2.0  # pixels: how far from its vertex a click's pixel may show the surface


def clicked_pixels(
    raster: Raster, camera: Camera, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Project all vertices to pixel coordinates [P, 2] float32; and whether each can be clicked in this view [P] bool.

    A visible vertex at a silhouette may fall on a pixel whose centre shows the background or another part behind: a 2D
    teacher asked there would speak of something else. So its pixel must show one of its faces or a point near it, and
    some pixel must show one of its faces: the view is fine enough to tell the vertex from others.
    """
    size = raster.face_id.shape[0]
    pixels = camera.project(vertices, size).astype(np.float32)  # [P, 2] as the teacher is told: rounding moves some on
    column, row = np.clip(pixels.astype(np.int64), 0, size - 1).T  # [P] each
    face, weights = raster.face_id[row, column], raster.barycentrics[row, column]  # [P], [P, 3]
    drawn = np.zeros(len(vertices), dtype=bool)  # [P]
    drawn[faces[raster.face_id.ravel()[raster.covered]]] = True
    corners = faces[face]  # [P, 3]; where nothing is hit: any face
    own = (corners == np.arange(len(vertices))[:, None]).any(axis=1)  # [P]
    offset = np.linalg.norm(np.einsum("pk,pkx->px", weights, vertices[corners]) - vertices, axis=1)  # [P]
    pixel = 2 * np.tan(camera.fov / 2) / size * np.linalg.norm(vertices - camera.position, axis=1)  # [P]
    return pixels, raster.visible & drawn & (face >= 0) & (own | (offset < CLICK_REACH * pixel))
