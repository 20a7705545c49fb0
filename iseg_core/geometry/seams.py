"""Seams: borders of a surface that differ by rounding alone, as exporters leave them, become one."""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from .mesh import equal_rows
from .vectors import norms

ROUNDING = 1e-5  # of the mesh's size: exporters write five digits or more
OF_EDGE = 0.1  # of the shortest edge at a vertex: what is meant apart is not nearer than that


def close_seams(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Number vertices [W, 3] so that those of the border that lie in one place but for rounding are one. [W] int64

    faces [F, 3]. A vertex inside of a surface is never joined with another, however near.
    """
    border = border_vertices(faces, len(vertices))  # [B]
    if not len(border):
        return np.arange(len(vertices))
    used = np.bincount(faces.ravel(), minlength=len(vertices)) > 0  # [W]
    size = float(np.linalg.norm(np.ptp(vertices[used], axis=0)))
    at_border = np.zeros(len(vertices), dtype=bool)  # [W]
    at_border[border] = True
    shortest = _shortest_edge(vertices, faces[at_border[faces].any(axis=1)])[border]  # [B]
    near = np.full(len(vertices), 0.0)  # [W]
    near[border] = np.minimum(ROUNDING * size, OF_EDGE * shortest)
    pairs = KDTree(vertices[border]).query_pairs(ROUNDING * size, output_type="ndarray")  # [N, 2]
    pairs = border[pairs]  # [N, 2]
    apart = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)  # [N]
    pairs = pairs[apart <= near[pairs].min(axis=1)]  # [n, 2]
    if not len(pairs):
        return np.arange(len(vertices))
    graph = coo_matrix((np.ones(len(pairs), np.int8), pairs.T), shape=(len(vertices),) * 2)
    return equal_rows(connected_components(graph, directed=False)[1][:, None])[0]  # as they first appear


def border_vertices(faces: np.ndarray, count: int) -> np.ndarray:
    """Find the vertices of edges that only one of the faces [F, 3] has, among `count` vertices. [B] ascending"""
    # Around a vertex inside, the corners after it in its faces are those before it: then any numbers of them cancel.
    number = np.random.default_rng(0).integers(1, 1 << 32, count).astype(np.float64)  # [count] sums of them are exact
    balance = np.zeros(count)  # [count]
    for corner in range(3):
        around = number[faces[:, (corner + 1) % 3]] - number[faces[:, (corner + 2) % 3]]  # [F]
        balance += np.bincount(faces[:, corner], around, minlength=count)
    suspect = balance != 0  # [count] as well where faces are turned, or more than two at an edge
    edges = np.sort(faces[suspect[faces].any(axis=1)][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)  # [E, 2]
    if not len(edges):
        return np.zeros(0, np.int64)  # [0]
    numbers, first = equal_rows(edges)  # [E], [U]
    single = edges[first[np.bincount(numbers) == 1]]  # [u, 2]
    single = single[(suspect[single]).all(axis=1) & (single[:, 0] != single[:, 1])]  # [n, 2]
    return np.unique(single)


def _shortest_edge(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Length of the shortest edge with a length at each vertex; infinite where there is none. [W]"""
    shortest = np.full(len(vertices), np.inf)  # [W]
    for corner in range(3):
        i, j = faces[:, corner], faces[:, (corner + 1) % 3]  # [F] each
        length = norms(vertices[i] - vertices[j])  # [F]
        length[length == 0] = np.inf
        np.minimum.at(shortest, i, length)
        np.minimum.at(shortest, j, length)
    return shortest
