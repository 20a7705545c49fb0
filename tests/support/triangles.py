"""Triangles to look at, inside the unit sphere."""

import numpy as np

from support.shapes import dumbbell

DUMBBELL = dumbbell(2)
VERTICES, FACES = DUMBBELL.vertices / 1.7, DUMBBELL.faces  # [V, 3] in the unit sphere, [F, 3]


def soup(seed: int, faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles anywhere in the unit sphere that cut through each other: [3 F, 3], [F, 3]."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-0.5, 0.5, (faces, 1, 3))  # [F, 1, 3]
    corners = np.clip(centres + rng.normal(0, 0.3, (faces, 3, 3)), -0.57, 0.57)  # [F, 3, 3]
    return corners.reshape(-1, 3), np.arange(3 * faces, dtype=np.int32).reshape(-1, 3)


def square(z: float, size: float) -> tuple[np.ndarray, np.ndarray]:
    """A square that faces +z: [4, 3], [2, 3]."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size + [0, 0, z]  # [4, 3]
    return corners, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)
