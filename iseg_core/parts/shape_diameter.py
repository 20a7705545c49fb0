"""Shape diameter: how thick the shape is under each vertex (Shapira, Shamir and Cohen-Or 2008)."""

import numpy as np

from ..render.embree import EmbreeRasterizer
from .laplacian import unit

CONE_RAYS = 24
CONE_ANGLE = np.radians(50.0)


def shape_diameter(vertices: np.ndarray, normals: np.ndarray, size: float, rasterizer: EmbreeRasterizer) -> np.ndarray:
    """Median distance to the other side over a cone of rays about the inward normal, in the vertices' units. [P]

    vertices [P, 3], outward unit normals [P, 3], size: R in the same units. Rays that leave the shape are ignored;
    where all do, the mesh's median stands in.
    """
    i = np.arange(CONE_RAYS) + 0.5
    cosine = 1 - i / CONE_RAYS * (1 - np.cos(CONE_ANGLE))  # [24] even over the cap
    sine, turn = np.sqrt(1 - cosine**2), np.pi * (1 + 5**0.5) * i  # [24]
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])  # [P, 3]
    tangent = unit(np.cross(normals, helper))  # [P, 3]
    bitangent = np.cross(normals, tangent)  # [P, 3]
    around = np.cos(turn)[:, None] * tangent[:, None] + np.sin(turn)[:, None] * bitangent[:, None]  # [P, 24, 3]
    directions = sine[:, None] * around - cosine[:, None] * normals[:, None]  # [P, 24, 3]
    origins = np.repeat(vertices - 1e-3 * size * normals, CONE_RAYS, axis=0)  # [24P, 3]
    hit = rasterizer.cast(origins, directions.reshape(-1, 3))
    distance = np.where(hit["primID"] < 0, np.nan, hit["tfar"]).reshape(-1, CONE_RAYS)  # [P, 24]
    missed = np.isnan(distance).all(axis=1)  # [P]
    distance[missed] = 0.0
    median = np.nanmedian(distance, axis=1)  # [P]
    seen = median[~missed]
    return np.where(missed, np.median(seen) if len(seen) else size, median)
