"""Polygons cut into triangles, concave ones too."""

import numpy as np


def triangulate(vertices: np.ndarray, corners: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Triangles of polygons, in the polygons' order; polygons with less than three corners give none.

    vertices [V, 3]; corners [C] vertex indices of all polygons, one polygon after the other; counts [F] corners of
    each. A polygon with n corners gives n - 2 triangles with its own orientation. [T, 3] int32
    """
    corners = corners.astype(np.int32, copy=False)  # [C]
    if (counts == 3).all():
        return corners.reshape(-1, 3)  # [T, 3]
    kept = counts >= 3  # [F]
    corners, counts = corners[np.repeat(kept, counts)], counts[kept]  # [C], [F]
    starts = np.cumsum(counts) - counts  # [F]
    pivot, awkward = _pivots(vertices[corners], starts, counts)  # [F], [F]

    triangles_of = counts - 2  # [F]
    polygon = np.repeat(np.arange(len(counts)), triangles_of)  # [T]
    step = np.arange(len(polygon)) - np.repeat(np.cumsum(triangles_of) - triangles_of, triangles_of)  # [T]
    local = (pivot[polygon, None] + step[:, None] * [0, 1, 1] + [0, 1, 2]) % counts[polygon, None]  # [T, 3]
    triangles = corners[starts[polygon, None] + local]  # [T, 3] the fan around the pivot
    begin = np.cumsum(triangles_of) - triangles_of  # [F]
    for f in np.flatnonzero(awkward):
        ring = corners[starts[f] : starts[f] + counts[f]]  # [n]
        triangles[begin[f] : begin[f] + counts[f] - 2] = ring[clip_ears(vertices[ring])]
    return triangles


def _pivots(points: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corner around which each polygon is a fan [F], and the polygons that are a fan around none for sure [F].

    points [C, 3]: positions of the corners. A convex polygon is a fan around every corner. With one reflex corner it
    is a fan around that one: a shortest path inside a polygon bends at reflex corners only, so it sees all others.
    """
    at = np.arange(len(points))  # [C]
    ends = starts + counts - 1  # [F]
    following, previous = at + 1, at - 1  # [C]
    following[ends], previous[starts] = starts, ends
    owner = np.repeat(np.arange(len(counts)), counts)  # [C]
    origin = points[starts][owner]  # [C, 3]
    normal = np.add.reduceat(np.cross(points - origin, points[following] - origin), starts)  # [F, 3] Newell's
    turn = np.cross(points - points[previous], points[following] - points)  # [C, 3]
    reflex = np.einsum("ck,ck->c", turn, normal[owner]) < 0  # [C]
    reflex_count = np.add.reduceat(reflex.astype(np.int64), starts)  # [F]
    pivot = np.zeros(len(counts), dtype=np.int64)  # [F]
    pivot[owner[reflex]] = (at - starts[owner])[reflex]
    return pivot, reflex_count > 1


def clip_ears(points: np.ndarray) -> np.ndarray:
    """Triangles of one simple polygon, concave or not (ear clipping, Meisters 1975). points [n, 3] -> [n - 2, 3]"""
    normal = np.cross(points - points[0], np.roll(points, -1, axis=0) - points[0]).sum(axis=0)  # [3]
    drop = int(np.abs(normal).argmax())  # the view along this axis shows the polygon largest
    flat = np.delete(points, drop, axis=1) * [1.0, 1.0 if (normal[drop] > 0) != (drop == 1) else -1.0]  # [n, 2]
    ring, triangles = list(range(len(points))), []
    while len(ring) > 3:
        n = len(ring)
        for k in range(n):
            ear = [ring[k - 1], ring[k], ring[(k + 1) % n]]
            if _is_ear(flat[ear], flat[[i for i in ring if i not in ear]]):
                break
        else:
            k = 1  # the polygon crosses itself: any triangle is as good as another
            ear = ring[:3]
        triangles.append(ear)
        del ring[k]
    return np.array([*triangles, ring], dtype=np.int32)  # [n - 2, 3]


def _is_ear(corner: np.ndarray, others: np.ndarray) -> bool:
    """Whether the corner [3, 2] turns left and none of the others [M, 2] lies in its triangle."""
    edge = np.roll(corner, -1, axis=0) - corner  # [3, 2]
    if edge[0, 0] * edge[1, 1] - edge[0, 1] * edge[1, 0] <= 0:
        return False
    offset = others[:, None] - corner  # [M, 3, 2]
    side = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]  # [M, 3]
    equal = (offset == 0).all(axis=2).any(axis=1)  # [M] another corner at the same place does not block the ear
    return not ((side >= 0).all(axis=1) & ~equal).any()
