"""Thinning: a mesh far denser than its samples becomes one of a few times as many, before it is decimated.

Vertices are clustered on a grid (Rossignac and Borrel 1993), but only along edges and only where the surface looks one
way: shells, the sides of a thin sheet and those of a thin rod stay apart, however near.
"""

from typing import NamedTuple

import numpy as np

from .chunks import in_chunks
from .decimate import sorted_corners
from .islands import ShellAreas, face_normals
from .mesh import equal_rows
from .vectors import largest, norms

FINEST = 2.0**-30  # positions are rounded to this, of a shape's size
NONE = 1e-12  # width of cells that hold one vertex each
LEAST_LEFT = 0.7  # of a shell's area
HASH = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)  # odd, of random bits


class Thinned(NamedTuple):
    """Mesh of C clusters of the vertices of a mesh, with n of its faces."""

    vertices: np.ndarray  # [C, 3] means of the clusters
    faces: np.ndarray  # [n, 3]
    rows: np.ndarray  # [n] ascending, which face of the mesh each was
    cluster: np.ndarray  # [W] of each vertex


def thin(vertices: np.ndarray, faces: np.ndarray, shells: ShellAreas, cell: np.ndarray, axes: np.ndarray) -> Thinned:
    """Thin vertices [W, 3] and faces [F, 3] to about one vertex for each cell of grids of width `cell` [S].

    axes [3, 3]: rows, those of the grids.
    A surface without a border stays one: an edge has an even number of faces, since of the faces that coincide after
    the clustering an even number cancel. A shell that would lose much of its area so is left as it is.
    """
    thinned = _thin(vertices, faces, shells, cell, axes)
    count = len(shells.areas)
    shell = shells.labels[faces[thinned.rows, 0]]  # [n]
    left = np.bincount(shell, norms(face_normals(thinned.vertices, thinned.faces)), count)  # [S]
    lost = (left < LEAST_LEFT * shells.areas) & (cell > NONE)  # [S]
    return _thin(vertices, faces, shells, np.where(lost, NONE, cell), axes) if lost.any() else thinned


def _thin(vertices: np.ndarray, faces: np.ndarray, shells: ShellAreas, cell: np.ndarray, axes: np.ndarray) -> Thinned:
    """Thin as `thin`, all shells."""
    normals = _vertex_normals(faces, shells.normals, len(vertices))  # [W, 3]
    cluster = _connect(_cells(vertices, normals, cell[shells.labels], axes), faces)  # [W]
    count = int(cluster.max()) + 1
    size = np.bincount(cluster, minlength=count)  # [C]
    means = np.stack([np.bincount(cluster, vertices[:, k], count) / size for k in range(3)], axis=1)  # [C, 3]
    a, b, c = cluster[faces].T  # [F] each
    rows = np.flatnonzero((a != b) & (b != c) & (c != a))  # [n]
    rows = rows[equal_rows(sorted_corners(faces[rows]))[1]]  # [n] those that coincided before count once
    numbers, first = equal_rows(sorted_corners(cluster[faces[rows]]))  # [n], [U]
    rows = rows[first[np.bincount(numbers) % 2 == 1]]  # [n]
    kept = _absorb(cluster[faces[rows]], np.stack([a, b, c], axis=1), count)  # [C]
    numbers = np.cumsum(kept == np.arange(count)) - 1  # [C]
    cluster = numbers[kept][cluster]  # [W]
    return Thinned(means[kept == np.arange(count)], cluster[faces[rows]], rows, cluster)


def _absorb(faces: np.ndarray, links: np.ndarray, count: int) -> np.ndarray:
    """Give each of `count` clusters that has none of the faces [N, 3] to a neighbour that has. [C]

    links [F, 3]: what is connected. Where no neighbour has a face, all are given to one of them.
    """
    kept, bare = np.arange(count), np.ones(count, dtype=bool)  # [C] each
    bare[faces] = False
    if not bare.any():
        return kept
    links = links[bare[links].any(axis=1)]  # [n, 3]
    pairs = np.concatenate([links[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), links[:, [1, 0, 2, 1, 0, 2]].reshape(-1, 2)])
    while (hanging := bare[pairs[:, 0]] & ~bare[pairs[:, 1]]).any():  # [m]
        one, other = pairs[hanging].T  # [h] each
        target = np.full(count, count)  # [C]
        np.minimum.at(target, one, kept[other])
        given = target < count  # [C]
        kept[given], bare[given] = target[given], False
    pairs = pairs[bare[pairs].all(axis=1)]  # [m, 2]
    return np.where(bare, _lowest(pairs.max(axis=1), pairs.min(axis=1), count), kept)


def _vertex_normals(faces: np.ndarray, normals: np.ndarray, count: int) -> np.ndarray:
    """Sum the normals [F, 3] of the faces [F, 3] at each of `count` vertices. [count, 3]"""
    sums = np.zeros((count, 3))  # [count, 3]
    for corner in np.ascontiguousarray(faces.T):  # [F]
        for k in range(3):
            sums[:, k] += np.bincount(corner, normals[:, k], count)
    return sums


def _cells(vertices: np.ndarray, normals: np.ndarray, cell: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Number the cells of vertices, by where they are and which of six ways the surface looks there. [W] uint64

    vertices and normals [W, 3], width of the cells there [W], along axes [3, 3].
    """
    cells = np.zeros(len(vertices), dtype=np.uint64)  # [W]

    def work(rows: slice) -> None:
        point, normal = _turned(vertices[rows], axes), _turned(normals[rows], axes)  # [n, 3] each
        most, hashed = largest(normal), cells[rows]  # [n] each
        for k in range(3):
            hashed[normal[:, k] == most] = 2 * k
            hashed[normal[:, k] == -most] = 2 * k + 1
        for k in range(3):
            # Rounded first: the last bits differ as the shape is turned.
            place = np.floor(np.round(point[:, k] / FINEST) * FINEST / cell[rows])  # [n]
            hashed ^= place.astype(np.int64).view(np.uint64) * HASH[k]
            hashed *= HASH[1]

    in_chunks(work, len(vertices))
    return cells


def _turned(vectors: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Coordinates of vectors [n, 3] along axes [3, 3]. [n, 3]"""
    x, y, z = vectors.T  # [n] each
    return np.stack([x * i + y * j + z * k for i, j, k in axes], axis=1)


def _connect(cells: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Number the connected pieces of cells [W], as their first vertices come. [W] int64"""
    inside = np.empty((3, len(faces)), dtype=bool)  # [3, F] the sides within a cell

    def work(rows: slice) -> None:
        a, b, c = cells[faces[rows]].T  # [n] each
        inside[:, rows] = a == b, b == c, c == a

    in_chunks(work, len(faces))
    sides = [faces[inside[k]][:, [k, (k + 1) % 3]] for k in range(3)]  # 3 of [n, 2]
    i, j = np.concatenate(sides).T  # [N] each
    high, low = np.maximum(i, j), np.minimum(i, j)  # [N] each
    lowest = _lowest(high, low, len(cells))  # [W]
    return (np.cumsum(lowest == np.arange(len(cells))) - 1)[lowest]


def _lowest(high: np.ndarray, low: np.ndarray, count: int) -> np.ndarray:
    """Find the lowest of those that pairs of higher and lower [N] join to each of `count` nodes. [count]

    Every node points to its lowest neighbour, and so on to the last; then the same of those (Boruvka).
    """
    lowest = np.arange(count)  # [count]
    while len(high):
        np.minimum.at(lowest, high, low)
        while not np.array_equal(lowest, further := lowest[lowest]):
            lowest = further
        i, j = lowest[high], lowest[low]  # [N] each
        apart = i != j  # [N]
        i, j = i[apart], j[apart]
        high, low = np.maximum(i, j), np.minimum(i, j)  # [n] each
    return lowest
