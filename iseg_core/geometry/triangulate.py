"""Polygons cut into triangles, concave ones too."""

import heapq

import numpy as np

LARGEST = 10_000  # corners of a polygon that is cut in a second or two; the time grows with their square


def triangulate(vertices: np.ndarray, corners: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Cut polygons into triangles [T, 3] int32, in their order; polygons with less than three corners give none.

    vertices [V, 3]; corners [C] vertex indices of all polygons, one polygon after the other; counts [F] corners of
    each. A polygon with n corners gives n - 2 triangles with its own orientation. One with more than LARGEST is a fan,
    which is right where it has no more than one reflex corner.
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
    for f in np.flatnonzero(awkward & (counts <= LARGEST)):
        ring = corners[starts[f] : starts[f] + counts[f]]  # [n]
        triangles[begin[f] : begin[f] + counts[f] - 2] = ring[clip_ears(vertices[ring])]
    return triangles


def _pivots(points: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corner around which each polygon is a fan [F], and whether it is a fan around none for sure [F] bool.

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
    """Cut one simple polygon [n, 3], concave or not, by ear clipping (Meisters 1975). [n - 2, 3] int32

    A polygon that crosses itself is cut somehow. No more than 3 n corners are tried, each beside the reflex ones.
    """
    n = len(points)
    normal = np.cross(points - points[0], np.roll(points, -1, axis=0) - points[0]).sum(axis=0)  # [3]
    drop = int(np.abs(normal).argmax())  # the view along this axis shows the polygon largest
    flat = np.delete(points, drop, axis=1) * [1.0, 1.0 if (normal[drop] > 0) != (drop == 1) else -1.0]  # [n, 2]
    before, after = [n - 1, *range(n - 1)], [*range(1, n), 0]
    last, edge = flat - flat[before], flat[after] - flat  # [n, 2], [n, 2]
    reflex = last[:, 0] * edge[:, 1] - last[:, 1] * edge[:, 0] <= 0  # [n]
    # Where a corner of a simple polygon lies in an ear's triangle, so does a reflex one; and cutting ears makes none.
    others, column = flat[reflex].T.copy(), np.cumsum(reflex) - 1  # [2, R], [n]
    cut, first, triangles = [False] * n, 0, []
    untried = list(range(n))  # a heap: the first ear is cut, which can make its two neighbours ears and no other corner
    while len(triangles) < n - 3:
        if untried:
            k = heapq.heappop(untried)
            if cut[k] or not _is_ear(flat[[before[k], k, after[k]]], others):
                continue
        else:
            k = after[first]  # the polygon crosses itself: any triangle is as good as another
        triangles.append([before[k], k, after[k]])
        cut[k] = True
        if reflex[k]:
            others[:, column[k]] = np.nan  # in no triangle
        if k == first:
            first = after[k]
        before[after[k]], after[before[k]] = before[k], after[k]
        for neighbour in (before[k], after[k]):
            heapq.heappush(untried, neighbour)
    return np.array([*triangles, [first, after[first], before[first]]], dtype=np.int32)  # [n - 2, 3]


def _is_ear(corner: np.ndarray, others: np.ndarray) -> bool:
    """Tell whether a corner [3, 2] is an ear: it turns left, and none of the others [2, M] lies in its triangle."""
    edge = corner[[1, 2, 0]] - corner  # [3, 2]
    if edge[0, 0] * edge[1, 1] - edge[0, 1] * edge[1, 0] <= 0:
        return False
    (left, low), (right, high) = corner.min(axis=0), corner.max(axis=0)
    x, y = others  # [M], [M]
    near = (x >= left) & (x <= right) & (y >= low) & (y <= high)  # [M] few, and the rest costs most
    offset = others.T[near, None] - corner  # [N, 3, 2]
    side = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]  # [N, 3]
    equal = (offset == 0).all(axis=2).any(axis=1)  # [N] another corner at the same place does not block the ear
    return not ((side >= 0).all(axis=1) & ~equal).any()
