"""Islands: groups of shells far from all others. What is beside one does not change how it is sampled.

An island's shells may touch, since their boxes do; a flat one with most of the area is a floor, an island of its own.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from .chunks import in_chunks
from .vectors import bounds, cross, norms

REACH = 0.06  # of the root of a shell's area: as far as a contact reaches (parts/shells.py)
FLAT = 0.999  # length of a shell's mean normal, from which on it is flat
FLOOR = 0.5  # share of the area of all that it touches from which on a flat shell is a floor
MOST = 1000  # shells whose boxes are compared; more are one island
FEWEST_SAMPLES = 50  # of an island on average; where there are more islands, they are sampled as one
FEW = 0.1  # samples of a floor, against those of an island


def connected_shells(faces: np.ndarray, count: int) -> np.ndarray:
    """Connected component of each of `count` vertices that faces [F, 3] join. [count]"""
    return components(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]]), count)


def components(pairs: np.ndarray, count: int) -> np.ndarray:
    """Connected component of each of `count` nodes that pairs [N, 2] join. [count] int32"""
    graph = coo_matrix((np.ones(len(pairs), np.int8), pairs.T), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals of faces [F, 3], as long as their areas. [F, 3]"""
    normals = np.empty((len(faces), 3))  # [F, 3]

    def work(rows: slice) -> None:
        a, b, c = (vertices[faces[rows, k]] for k in range(3))  # [n, 3] each
        normals[rows] = cross(b - a, c - a) / 2

    in_chunks(work, len(faces))
    return normals


def flat_shells(normals: np.ndarray, shell: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Find the shells whose faces all look one way; normals [F, 3] and shell [F] of the faces, areas [S]. [S] bool"""
    mean = np.stack([np.bincount(shell, normals[:, k], len(areas)) for k in range(3)], axis=1)  # [S, 3]
    return np.linalg.norm(mean, axis=1) > FLAT * areas


def part_from_floors(pairs: np.ndarray, areas: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups of the shells [S] that pairs [N, 2] join, but for floors; and which of the pairs are left [N] bool."""
    left = np.ones(len(pairs), dtype=bool)  # [N]
    while True:
        groups = components(pairs[left], len(areas))  # [S]
        alone = np.bincount(groups)[groups] == 1  # [S]
        floor = flat & ~alone & (areas > FLOOR * np.bincount(groups, areas)[groups])  # [S]
        on_floor = floor[pairs].any(axis=1) & left  # [N]
        if not on_floor.any():
            return groups, left
        left &= ~on_floor


class ShellAreas(NamedTuple):
    """Shells of a mesh, and the area that each of them has."""

    labels: np.ndarray  # [W] int32, shell of each vertex
    normals: np.ndarray  # [F, 3] of the faces, as long as their areas
    areas: np.ndarray  # [S]


def measure_shells(vertices: np.ndarray, faces: np.ndarray) -> ShellAreas:
    """Measure the shells of vertices [W, 3] and faces [F, 3]."""
    labels, normals = connected_shells(faces, len(vertices)), face_normals(vertices, faces)  # [W], [F, 3]
    return ShellAreas(labels, normals, np.bincount(labels[faces[:, 0]], norms(normals), int(labels.max()) + 1))


def find_islands(
    vertices: np.ndarray, faces: np.ndarray, measured: ShellAreas, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the islands of vertices [W, 3] and faces [F, 3]: the island of each vertex [W], samples of each island [K].

    measured: their shells. count: samples of a single island, and of each of two. More share twice as many by the roots
    of their areas; a floor has few. Vertices without an area are on the first island.
    """
    shells, normals, areas = measured  # [W], [F, 3], [S]
    solid = np.flatnonzero(areas > 0)  # [s]
    if not 1 < len(solid) <= MOST:
        return np.zeros(len(vertices), np.int64), np.array([float(count)])
    low, high = bounds(vertices, shells, len(areas))  # [S, 3] each
    reach = REACH * np.sqrt(areas[solid])[:, None]  # [s, 1]
    low, high = low[solid] - reach, high[solid] + reach  # [s, 3] each
    overlap = np.triu(((low[:, None] <= high) & (low <= high[:, None])).all(axis=2), 1)  # [s, s]
    flat = flat_shells(normals, shells[faces[:, 0]], areas)[solid]  # [s]
    groups, _ = part_from_floors(np.argwhere(overlap), areas[solid], flat)  # [s]
    island = np.zeros(len(areas), np.int64)  # [S]
    island[solid] = groups
    area = np.bincount(groups, areas[solid])  # [K]
    if len(area) * FEWEST_SAMPLES > count:
        return np.zeros(len(vertices), np.int64), np.array([float(count)])
    floor = np.bincount(groups, flat) == np.bincount(groups)  # [K]
    return island[shells], np.where(floor, FEW * count, _share(np.where(floor, 0.0, area), count))


def _share(area: np.ndarray, count: int) -> np.ndarray:
    """Share 2 * count samples among islands by the roots of their areas [K], at most `count` to each. [K]"""
    root, shares = np.sqrt(area), np.zeros(len(area))  # [K] each
    if np.count_nonzero(root) <= 2:
        return np.where(root > 0, float(count), 0.0)
    full = np.zeros(len(area), dtype=bool)  # [K]
    while True:
        rest = np.where(full, 0.0, root)  # [K]
        shares = np.where(full, float(count), rest * (2 * count - count * full.sum()) / max(rest.sum(), 1e-300))  # [K]
        over = (shares > count) & ~full  # [K]
        if not over.any():
            return shares
        full |= over
