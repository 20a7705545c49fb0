"""Oblique slabs: parts whose borders have no geometric sign, as what a 2D model knows may have none.

A teacher that knows them (oracle.py) tells what geometry cannot. Its answer to a click is the click's slab, all pieces
of it, at every granularity alike.
"""

from typing import NamedTuple

import numpy as np

from ..geometry.mesh import Mesh, face_areas


class Cut(NamedTuple):
    """Cut of a mesh into slabs by parallel planes."""

    along: int  # side of the box around the mesh, 0 the longest
    lean: float  # so much of the next shorter side is added to the direction
    shares: tuple[float, ...]  # of the area that lie below each plane


CUTS = {
    "long": Cut(0, 0.35, (0.2, 0.45, 0.75)),
    "across": Cut(1, 0.6, (0.3, 0.65)),
}


def slabs(mesh: Mesh, cut: Cut) -> np.ndarray:
    """Slab of each face, by its middle. [F] int"""
    sides = np.argsort(-np.ptp(mesh.vertices[mesh.faces].reshape(-1, 3), axis=0), kind="stable")  # [3]
    direction = np.zeros(3)
    direction[sides[cut.along]], direction[sides[cut.along + 1]] = 1.0, cut.lean
    height = mesh.vertices[mesh.faces].mean(axis=1) @ direction  # [F]
    order = np.argsort(height, kind="stable")  # [F]
    area = face_areas(mesh)[order].cumsum()  # [F] at and below each face
    planes = height[order][np.searchsorted(area, np.array(cut.shares) * area[-1])]  # one a share
    return np.searchsorted(planes, height)
