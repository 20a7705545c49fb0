"""A cube, and the matrices of a view."""

import numpy as np

WIDTH, HEIGHT = 800, 600


def perspective(lens: float = 1.5, near: float = 0.1, far: float = 100.0) -> np.ndarray:
    """From a camera that looks along -z to the screen. [4, 4]"""
    return np.array(
        [
            [lens * HEIGHT / WIDTH, 0, 0, 0],
            [0, lens, 0, 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )


def moved(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = (x, y, z)
    return matrix


CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)  # [8, 3]
SIDES = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
FACES = np.array([t for a, b, c, d in SIDES for t in ((a, b, c), (a, c, d))], np.int32)  # [12, 3]
