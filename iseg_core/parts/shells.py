"""Shells: the connected components of a surface, where they touch one another, and which of them form a cluster.

Artists build things of many shells that touch, interpenetrate or stand on each other. What touches belongs together;
a floor belongs to nothing that stands on it.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree


@dataclass(frozen=True)
class ContactSettings:
    """Distances at which shells touch, and when a shell is a floor."""

    reach: float = 0.06  # of the root of the smaller shell's area
    sampling: float = 0.5  # of the wider spacing of the two shells' samples: they need not face each other
    widest: float = 0.2  # of the root of the whole area: no shells farther apart touch
    flat: float = 0.999  # length of a shell's mean normal, from which on it is flat
    floor: float = 0.5  # share of its cluster's area from which on a flat shell is a floor


DEFAULTS = ContactSettings()


@dataclass(frozen=True, eq=False)
class Shells:
    """Shells of a surface of P vertices, and the clusters that those in contact form."""

    labels: np.ndarray  # [P] int32, shell of each vertex
    clusters: np.ndarray  # [P] int32, cluster of each vertex
    contacts: np.ndarray  # [C, 2] int32, vertices of two shells of one cluster that touch there


def connected_shells(faces: np.ndarray, count: int) -> np.ndarray:
    """Shell of each of `count` vertices: those that faces [G, 3] join. [count] int32"""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])  # [2G, 2]
    return _components(edges, count)


def find_shells(vertices: np.ndarray, faces: np.ndarray, settings: ContactSettings = DEFAULTS) -> Shells:
    """Find the shells of vertices [P, 3] and faces [G, 3], their contacts and clusters.

    A flat shell that has most of the area of its cluster is a floor: it is a cluster of its own.
    """
    labels = connected_shells(faces, len(vertices))  # [P]
    count = int(labels.max()) + 1
    if count == 1:
        return Shells(labels, np.zeros_like(labels), np.zeros((0, 2), np.int32))
    a, b, c = (vertices[faces[:, k]] for k in range(3))  # [G, 3] each
    normals = np.cross(b - a, c - a) / 2  # [G, 3] as long as the face is large
    shell, area = labels[faces[:, 0]], np.linalg.norm(normals, axis=1)  # [G] each
    areas = np.bincount(shell, area, count)  # [S]
    contacts = _contacts(vertices, faces, labels, areas, settings)  # [C, 2]
    mean = np.stack([np.bincount(shell, normals[:, k], count) for k in range(3)], axis=1)  # [S, 3]
    flat = np.linalg.norm(mean, axis=1) > settings.flat * areas  # [S]
    while True:
        clusters = _components(labels[contacts], count)  # [S]
        alone = np.bincount(clusters)[clusters] == 1  # [S]
        floor = flat & ~alone & (areas > settings.floor * np.bincount(clusters, areas)[clusters])  # [S]
        on_floor = floor[labels[contacts]].any(axis=1)  # [C]
        if not on_floor.any():
            return Shells(labels, clusters[labels], contacts.astype(np.int32))
        contacts = contacts[~on_floor]


def _components(edges: np.ndarray, count: int) -> np.ndarray:
    """Connected component of each of `count` nodes by edges [E, 2]. [count] int32"""
    graph = sp.coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _contacts(
    vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray, areas: np.ndarray, settings: ContactSettings
) -> np.ndarray:
    """Find pairs of vertices of two shells that touch: of each vertex and other shell in reach the nearest. [C, 2]

    labels [P]: shells; areas [S].
    """
    count, total = len(areas), float(np.sqrt(areas.sum()))
    edge = np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1)  # [G]
    shell = labels[faces[:, 0]]  # [G]
    spacing = np.bincount(shell, edge, count) / np.maximum(np.bincount(shell, minlength=count), 1)  # [S]
    widest = min(settings.reach / 2 * total + settings.sampling * spacing.max(), settings.widest * total)
    pairs = KDTree(vertices).query_pairs(widest, output_type="ndarray")  # [N, 2]
    pairs = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]  # [N, 2]
    apart = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)  # [N]
    touching = labels[pairs]  # [N, 2]
    reach = settings.reach * np.sqrt(areas[touching].min(axis=1))  # [N]
    near = apart < reach + settings.sampling * spacing[touching].max(axis=1)  # [N]
    pairs, apart = np.concatenate([pairs[near], pairs[near][:, ::-1]]), np.tile(apart[near], 2)  # [2n, 2], [2n]
    order = np.lexsort((apart, labels[pairs[:, 1]], pairs[:, 0]))  # [2n]
    pairs = pairs[order]
    key = pairs[:, 0] * count + labels[pairs[:, 1]]  # [2n]
    nearest = pairs[np.flatnonzero(np.diff(key, prepend=-1))]  # [C', 2]
    return np.unique(np.sort(nearest, axis=1), axis=0).reshape(-1, 2)
