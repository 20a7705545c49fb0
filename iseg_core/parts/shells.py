"""Shells: the connected components of a surface, where they touch one another, and which of them form a cluster.

Artists build things of many shells that touch, interpenetrate or stand on each other. What touches belongs together;
a floor belongs to nothing that stands on it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from ..geometry.islands import REACH, connected_shells, face_normals, flat_shells, part_from_floors


@dataclass(frozen=True)
class ContactSettings:
    """Distances at which shells touch."""

    reach: float = REACH  # of the root of the smaller shell's area
    sampling: float = 0.5  # of the wider spacing of the two shells' samples: they need not face each other
    widest: float = 0.2  # of the root of the whole area: no shells farther apart touch


DEFAULTS = ContactSettings()


@dataclass(frozen=True, eq=False)
class Shells:
    """Shells of a surface of P vertices, and the clusters that those in contact form."""

    labels: np.ndarray  # [P] int32, shell of each vertex
    clusters: np.ndarray  # [P] int32, cluster of each vertex
    contacts: np.ndarray  # [C, 2] int32, vertices of two shells of one cluster that touch there


def find_shells(vertices: np.ndarray, faces: np.ndarray, settings: ContactSettings = DEFAULTS) -> Shells:
    """Find the shells of vertices [P, 3] and faces [G, 3], their contacts and clusters.

    A flat shell that has most of the area of its cluster is a floor: it is a cluster of its own.
    """
    labels = connected_shells(faces, len(vertices))  # [P]
    count = int(labels.max()) + 1
    if count == 1:
        return Shells(labels, np.zeros_like(labels), np.zeros((0, 2), np.int32))
    normals, shell = face_normals(vertices, faces), labels[faces[:, 0]]  # [G, 3], [G]
    areas = np.bincount(shell, np.linalg.norm(normals, axis=1), count)  # [S]
    contacts = _contacts(vertices, faces, labels, areas, settings)  # [C, 2]
    clusters, left = part_from_floors(labels[contacts], areas, flat_shells(normals, shell, areas))  # [S], [C]
    return Shells(labels, clusters[labels], contacts[left].astype(np.int32))


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
    pairs = pairs[(areas[labels[pairs]] > 0).all(axis=1)]  # [N, 2] a vertex without faces touches nothing
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
