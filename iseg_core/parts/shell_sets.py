"""Sets of whole shells that a click may mean: its own with those nearest to it, and its own with its copies."""

import numpy as np

from .surface import Surface

NEAREST = 40  # shells that a set is made of at most
ALIKE = 0.04  # of a shell's size, by which the sizes of its copies may differ


def nearest_sets(surface: Surface, vertex: int, field: np.ndarray) -> np.ndarray:
    """Sets of the shell of `vertex` with the 1, 2, ... others that a field [P] says are closest. [n, S] bool

    The field is one of the surface whose shells are joined. The set of all shells is none of them.
    """
    shells, areas = surface.components, surface.shell_areas  # [P], [S]
    closeness = np.bincount(shells, field * surface.mass) / np.maximum(areas, 1e-12)  # [S]
    closeness[shells[vertex]] = np.inf
    order = np.argsort(-closeness, kind="stable")[:NEAREST]  # [m]
    rank = np.full(len(areas), len(areas))  # [S]
    rank[order] = np.arange(len(order))
    return rank <= np.arange(1, len(order) - 1)[:, None]


def shell_sets(surface: Surface, vertex: int) -> np.ndarray:
    """Sets of the shell of `vertex` with those that any of its fields across contacts says are closest. [n, S] bool"""
    if not len(surface.contacts):
        return np.zeros((0, len(surface.shell_areas)), dtype=bool)  # [0, S]
    sets = [nearest_sets(surface, vertex, field) for field in surface.joined.fields(vertex)]
    return np.unique(np.concatenate(sets), axis=0)


def copies(surface: Surface, shell: int) -> np.ndarray:
    """Find the shells that are as large as one, and spread alike: mirrored or turned, they count. [S] bool"""
    sizes = surface.shell_sizes  # [S, 4]
    return (np.abs(sizes - sizes[shell]) < ALIKE * sizes[shell].max()).all(axis=1)
