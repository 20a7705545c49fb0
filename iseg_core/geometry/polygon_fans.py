"""Fans: big flat polygons are cut around their middle, so that it does not matter how they came in triangles."""

from typing import NamedTuple

import numpy as np

from .vectors import norms

FLAT = 0.999  # cosine between the normal of a polygon and those of its fan's triangles, at least


class Fanned(NamedTuple):
    """Triangles of polygons: vertices with the middles behind them, faces, and the polygon that each is of."""

    vertices: np.ndarray  # [W', 3]
    faces: np.ndarray  # [N, 3]
    polygons: np.ndarray  # [N]


def fan_polygons(vertices: np.ndarray, faces: np.ndarray, polygons: np.ndarray, longest: np.ndarray) -> Fanned:
    """Cut each flat polygon with a side longer than `longest` [F] into a fan around its middle, if it is one around it.

    vertices [W, 3]; faces [F, 3] and the polygon that each is cut of [F].
    """
    sizes = np.bincount(polygons)  # [polygons] in triangles
    count = len(sizes)
    if sizes.max() == 1:
        return Fanned(vertices, faces, polygons)
    long = np.zeros(len(faces), dtype=bool)  # [F]
    for k in range(3):
        long |= norms(vertices[faces[:, k]] - vertices[faces[:, (k + 1) % 3]]) > longest
    big = np.zeros(count, dtype=bool)  # [polygons]
    big[polygons[long]] = True
    big &= sizes > 1
    doubled = (faces == faces[:, [1, 2, 0]]).any(axis=1)  # [F]
    big[polygons[doubled]] = False
    rows = np.flatnonzero(big[polygons])  # [n]
    if not len(rows):
        return Fanned(vertices, faces, polygons)
    tails, heads, owner = _outline(faces[rows], polygons[rows])  # [m] each
    corners = np.bincount(owner, minlength=count)  # [polygons]
    middles = np.stack([np.bincount(owner, vertices[tails, k], count) for k in range(3)], axis=1)  # [polygons, 3]
    middles /= np.maximum(corners, 1)[:, None]
    spokes = vertices[tails] - middles[owner], vertices[heads] - middles[owner]  # [m, 3] each
    normals = np.cross(*spokes)  # [m, 3]
    mean = np.stack([np.bincount(owner, normals[:, k], count) for k in range(3)], axis=1)[owner]  # [m, 3]
    length = np.linalg.norm(normals, axis=1) * np.linalg.norm(mean, axis=1)  # [m]
    big[owner[(normals * mean).sum(axis=1) <= FLAT * length]] = False
    big &= corners > 3
    kept, rows = big[owner], np.flatnonzero(~big[polygons])  # [m], [n']
    numbers = len(vertices) + np.cumsum(big) - 1  # [polygons]
    fans = np.stack([tails[kept], heads[kept], numbers[owner[kept]]], axis=1)  # [f, 3]
    return Fanned(
        np.concatenate([vertices, middles[big]]),
        np.concatenate([faces[rows], fans]),
        np.concatenate([polygons[rows], owner[kept]]),
    )


def _outline(faces: np.ndarray, polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sides of the polygons [n] that faces [n, 3] were cut of: tails, heads and polygons, [m] each.

    A side is in one of a polygon's triangles alone; a diagonal is in two, there and back.
    """
    tails, heads = faces.ravel().astype(np.int64), faces[:, [1, 2, 0]].ravel().astype(np.int64)  # [3n] each
    owner = np.repeat(polygons, 3).astype(np.int64)  # [3n]
    local = np.unique(np.concatenate([tails, heads]), return_inverse=True)[1].reshape(2, -1)  # [2, 3n]
    span = int(local.max()) + 1
    there, back = ((owner * span + local[k]) * span + local[1 - k] for k in (0, 1))  # [3n] each
    side = ~np.isin(there, back)  # [3n]
    return tails[side], heads[side], owner[side]
