"""Polygons that are hard to triangulate."""

import numpy as np


def outline(kind: str, corners: int) -> np.ndarray:
    """Polygons that do not cross themselves, every other corner of which is reflex or nearly. [corners, 3]"""
    angle = 2 * np.pi * np.arange(corners) / corners
    if kind == "gear":
        radius = 1 + 0.1 * (np.arange(corners) // 2 % 2)
    elif kind == "star":
        radius = np.random.default_rng(0).uniform(0.1, 1, corners)
    else:  # a spiral, outwards and back
        angle = np.concatenate([np.linspace(7, 40, corners // 2), np.linspace(40, 7, corners // 2)])
        radius = angle + np.repeat([1, -1], corners // 2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)


def tangle(corners: int) -> np.ndarray:
    """A polygon that crosses itself everywhere. [corners, 3]"""
    return np.random.default_rng(0).normal(size=(corners, 3)) * [1, 1, 0]
