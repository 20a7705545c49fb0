"""Shape diameter: how thick the shape is under each vertex (Shapira, Shamir and Cohen-Or 2008)."""

import numpy as np

from ..render.embree import EmbreeRasterizer
from .laplacian import unit

CONE_RAYS = 24
CONE_ANGLE = np.radians(50.0)


def shape_diameter(
    vertices: np.ndarray, normals: np.ndarray, shells: np.ndarray, farthest: float, rasterizer: EmbreeRasterizer
) -> np.ndarray:
    """Median distance to the other side over a cone of rays about the inward normal. [P]

    vertices [P, 3] of shells [P] of unit area, each farther from the others than `farthest`; outward unit normals
    [P, 3]. Rays that leave their shell are ignored; where all do, the shell's median stands in, or else 1.
    """
    i = np.arange(CONE_RAYS) + 0.5
    cosine = 1 - i / CONE_RAYS * (1 - np.cos(CONE_ANGLE))  # [24] even over the cap
    sine, turn = np.sqrt(1 - cosine**2), np.pi * (1 + 5**0.5) * i  # [24]
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])  # [P, 3]
    tangent = unit(np.cross(normals, helper))  # [P, 3]
    bitangent = np.cross(normals, tangent)  # [P, 3]
    around = np.cos(turn)[:, None] * tangent[:, None] + np.sin(turn)[:, None] * bitangent[:, None]  # [P, 24, 3]
    directions = sine[:, None] * around - cosine[:, None] * normals[:, None]  # [P, 24, 3]
    origins = np.repeat(vertices - 1e-3 * normals, CONE_RAYS, axis=0)  # [24P, 3]
    hit = rasterizer.cast(origins, directions.reshape(-1, 3))
    missed = (hit["primID"] < 0) | (hit["tfar"] > farthest)  # [24P]
    distance = np.where(missed, np.nan, hit["tfar"]).reshape(-1, CONE_RAYS)  # [P, 24]
    blind = np.isnan(distance).all(axis=1)  # [P]
    distance[blind] = 0.0
    median = np.nanmedian(distance, axis=1)  # [P]
    for shell in np.unique(shells[blind]):
        own = shells == shell  # [P]
        seen = median[own & ~blind]
        median[own & blind] = np.median(seen) if len(seen) else 1.0
    return median
