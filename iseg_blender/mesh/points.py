"""Points of a surface: where they are, and the one that is nearest to a place. Pure functions, numpy only."""

import numpy as np

from ..core import Prompt, SurfacePoint
from .picking import BLOCK, Solid

FIRST = 8  # blocks that are looked at first, and twice as many each time after


def place_of(point: SurfacePoint, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Position of a point of the mesh with vertices [V, 3] and triangles faces [F, 3]. [3] float64"""
    return np.array(point.barycentric) @ vertices[faces[point.face]].astype(np.float64)


def nearest(corners: np.ndarray, place: np.ndarray) -> tuple[int, np.ndarray, float]:
    """Find the point of triangles [N, 3, 3] that is nearest to a place [3].

    Returns the index of its triangle, the first of equals, its barycentric coordinates [3] and its squared distance.
    """
    weights, away = nearest_weights(corners, place)
    index = int(away.argmin())
    return index, weights[index], float(away[index])


def nearest_weights(corners: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the point of each triangle [N, 3, 3] that is nearest to one place [3], or each to its own [N, 3].

    Returns their barycentric coordinates [N, 3] and squared distances [N].
    """
    corners = corners.astype(np.float64)  # [N, 3, 3]
    found = np.zeros((4, len(corners), 3))  # [4, N, 3] weights: nearest on each edge, and on the plane
    for first in range(3):
        second = (first + 1) % 3
        start, along = corners[:, first], corners[:, second] - corners[:, first]  # [N, 3], [N, 3]
        length = np.maximum(_dot(along, along), np.finfo(np.float64).tiny)  # [N]
        share = np.clip(_dot(place - start, along) / length, 0.0, 1.0)  # [N]
        found[first, :, first], found[first, :, second] = 1 - share, share
    u, v, w = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], place - corners[:, 0]  # 3 x [N, 3]
    a, b, c, p, q = _dot(u, u), _dot(u, v), _dot(v, v), _dot(w, u), _dot(w, v)  # 5 x [N]
    area = np.maximum(a * c - b * b, np.finfo(np.float64).tiny)  # [N]
    second, third = (c * p - b * q) / area, (a * q - b * p) / area  # [N], [N]
    within = (second >= 0) & (third >= 0) & (second + third <= 1)  # [N]
    inner = np.stack([1 - second - third, second, third], axis=1)  # [N, 3]
    found[3] = np.where(within[:, None], inner, found[0])
    away = ((np.einsum("knc,ncx->knx", found, corners) - place) ** 2).sum(axis=2)  # [4, N]
    best = away.argmin(axis=0), np.arange(len(corners))  # [N], [N]
    return found[best], away[best]


def nearest_on(solid: Solid, place: np.ndarray) -> SurfacePoint:
    """Find the point of a mesh that is nearest to a place [3]: block by block of faces, while one may be nearer."""
    low, high = solid.face_boxes[:, 0], solid.face_boxes[:, 1]  # [C, 3], [C, 3]
    gap = (np.maximum(np.maximum(low - place, place - high), 0.0) ** 2).sum(axis=1)  # [C] squared distance of each box
    order = np.argsort(gap)  # [C]
    best, begin, number = _nearest_in(solid, order[:FIRST], place), FIRST, FIRST
    while begin < len(order) and gap[order[begin]] < best[2]:
        number *= 2
        best = min(best, _nearest_in(solid, order[begin : begin + number], place), key=lambda found: found[2])
        begin += number
    face, weights, _ = best
    return surface_point(face, weights)


def surface_point(face: int, weights: np.ndarray) -> SurfacePoint:
    """Make a point with weights [3] as exact as a .blend keeps them, so that it equals itself after saving."""
    return SurfacePoint(face, tuple(weights.astype(np.float32).tolist()))


def exact(prompt: Prompt) -> Prompt:
    """Round a point's weights to those that a .blend keeps; a vertex stays."""
    return surface_point(prompt.face, np.array(prompt.barycentric)) if isinstance(prompt, SurfacePoint) else prompt


def _nearest_in(solid: Solid, blocks: np.ndarray, place: np.ndarray) -> tuple[int, np.ndarray, float]:
    """Find the nearest point among blocks of faces [B]: triangle, weights [3] and squared distance."""
    faces = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()  # [B BLOCK]
    faces = faces[faces < len(solid.faces)]  # [N]
    index, weights, away = nearest(solid.points[solid.faces[faces]], place)
    return int(faces[index]), weights, away


def _dot(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", u, v)
