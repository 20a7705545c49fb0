"""Labels: what a mesh itself says of its faces, brought to the vertices of its proxy."""

import numpy as np

from .islands import components
from .mesh import equal_rows

MOST_CHARTS = 64  # more, beside the shells, are shading: a sharp edge around nearly every face
LEAST = 0.25  # share of the area at a vertex from which on a label may have it


def join_marks(faces: np.ndarray, labels: np.ndarray | None, marked_edges: np.ndarray | None) -> np.ndarray | None:
    """Number faces [F, 3] so that those are equal which no mark parts; None without marks. [F] int32

    labels [F]: their borders are marks. marked_edges [N, 2]: they part faces where they enclose some, as seams enclose
    charts; an edge that ends inside of a chart parts nothing.
    """
    rows = [] if labels is None else [labels.astype(np.int64)]  # [F] each
    if marked_edges is not None:
        rows.append(_charts(faces, marked_edges))
    return equal_rows(np.stack(rows, axis=1))[0].astype(np.int32) if rows else None


def _charts(faces: np.ndarray, marked_edges: np.ndarray) -> np.ndarray:
    """Number faces [F, 3] by charts: connected over all edges but the marked ones [N, 2]. [F] int64

    Where there are too many to be parts, by shells.
    """
    sides = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)  # [3F, 2]
    edges = np.sort(np.concatenate([sides, marked_edges]).astype(np.int64), axis=1)  # [3F + N, 2]
    number = equal_rows(edges)[0]  # [3F + N]
    is_marked = np.zeros(int(number.max()) + 1, dtype=bool)  # [U]
    is_marked[number[len(sides) :]] = True
    order = np.argsort(number[: len(sides)], kind="stable")  # [3F] faces of one edge follow each other
    edge = number[order]  # [3F]
    joined = edge[1:] == edge[:-1]  # [3F - 1]
    pairs = np.stack([order[1:], order[:-1]], axis=1) // 3  # [3F - 1, 2]
    charts = components(pairs[joined & ~is_marked[edge[1:]]], len(faces))  # [F]
    if charts.max() > MOST_CHARTS:
        shells = components(pairs[joined], len(faces))  # [F]
        charts = shells if charts.max() - shells.max() > MOST_CHARTS else charts
    return charts.astype(np.int64)


def vertex_labels(
    points: np.ndarray, faces: np.ndarray, labels: np.ndarray, proxy: np.ndarray, count: int
) -> np.ndarray:
    """Label of each of `count` proxy vertices, from faces [G, 3] of points [W, 3] with labels [G] >= 0. [count] int32

    proxy [W]: the vertex that stands for each point. On the border between labels the one of the smallest area has the
    vertices, if it has a part of the area there: so the border is even. Vertices without faces have the label -1.
    """
    a, b, c = (points[faces[:, k]] for k in range(3))  # [G, 3] each
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)  # [G]
    at = proxy[faces]  # [G, 3]
    lowest, highest = np.full(count, np.iinfo(np.int32).max), np.full(count, -1)  # [count] each
    for corner in at.T:
        np.minimum.at(lowest, corner, labels)
        np.maximum.at(highest, corner, labels)
    result = highest.astype(np.int32)  # [count]
    rows, corner = np.nonzero((lowest != highest)[at])  # [M] each
    if not len(rows):
        return result
    span = int(labels.max()) + 1
    key, inverse = np.unique(at[rows, corner] * np.int64(span) + labels[rows], return_inverse=True)  # [K], [M]
    share = np.bincount(inverse, area[rows])  # [K] of one label at one vertex
    vertex, label = np.divmod(key, span)  # [K] each
    total = np.bincount(vertex, share)[vertex]  # [K]
    order = np.lexsort((np.bincount(labels, area)[label], share < LEAST * total, vertex))  # [K]
    first = order[np.flatnonzero(np.diff(vertex[order], prepend=-1))]  # [mixed vertices]
    result[vertex[first]] = label[first]
    return result
