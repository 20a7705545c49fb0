"""Vectors: arithmetic on many of them [N, 3], column by column, which is several times as fast as row by row."""

import numpy as np


def norms(vectors: np.ndarray) -> np.ndarray:
    """Length of each of the vectors [N, 3]. [N]"""
    x, y, z = vectors.T  # [N] each
    return np.sqrt(x * x + y * y + z * z)


def dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Dot product of each of the vectors u with that of v [N, 3]. [N]"""
    return u[:, 0] * v[:, 0] + u[:, 1] * v[:, 1] + u[:, 2] * v[:, 2]


def largest(vectors: np.ndarray) -> np.ndarray:
    """Largest coordinate of each of the vectors [N, 3], regardless of sign. [N]"""
    x, y, z = vectors.T  # [N] each
    return np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z))


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Cross product of vectors u and v [N, 3], of one type. [N, 3]"""
    product = np.empty_like(u, order="C")  # [N, 3]
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        product[:, k] = u[:, i] * v[:, j] - u[:, j] * v[:, i]
    return product


def bounds(vectors: np.ndarray, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest coordinates of the vectors [N, 3] of each of `count` groups [N]. [count, 3] each"""
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)  # [count, 3] each
    for k in range(3):
        for extreme, into in ((np.minimum, low), (np.maximum, high)):
            values = into[:, k].copy()  # [count]
            extreme.at(values, groups, vectors[:, k])
            into[:, k] = values
    return low, high
