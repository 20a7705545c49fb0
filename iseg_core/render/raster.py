"""Raster of a view: face and barycentric coordinates that each pixel's ray hits, and the visible vertices.

The raster is all that is left of rendering: an attribute of the vertices is drawn by the sparse matrix `Raster.matrix`
(equation 1 of the paper, for a fixed mesh and camera), and the picture that a teacher sees is drawn by `shade`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from .camera import Camera

EPSILON = 1e-3  # a vertex is visible when the first hit of its ray lies less than this in front of it (unit sphere)
SAME_FACES, SAME_WEIGHTS = 0.999, 1e-3  # two backends see the same: share of the pixels, difference of barycentrics


@dataclass(frozen=True, eq=False)
class Raster:
    """Hits of the rays of one view. H x W pixels, V vertices; P pixels show the mesh."""

    face_id: np.ndarray  # [H, W] int32, -1 where the ray hits nothing
    barycentrics: np.ndarray  # [H, W, 3] float32, 0 where the ray hits nothing
    visible: np.ndarray  # [V] bool: the vertex' own ray reaches it

    @cached_property
    def covered(self) -> np.ndarray:
        """Flat indices of the pixels that show the mesh, row by row. [P] int64"""
        return np.flatnonzero(self.face_id.ravel() >= 0)  # [P]

    def matrix(self, faces: np.ndarray, vertex_count: int) -> sp.csr_matrix:
        """Matrix B_v of barycentric interpolation, from vertices to the pixels of `covered`. [P, V] float32

        It is equation 1 of the paper for a fixed mesh and camera: the field is linear in what it interpolates.
        """
        corners = faces[self.face_id.ravel()[self.covered]]  # [P, 3]
        weights = self.barycentrics.reshape(-1, 3)[self.covered]  # [P, 3]
        rows = np.arange(len(corners) + 1) * 3  # [P + 1]
        shape = (len(corners), vertex_count)
        return sp.csr_matrix((weights.ravel(), corners.ravel(), rows), shape=shape)


class Agreement(NamedTuple):
    """Agreement of two rasters of one view."""

    faces: float  # share of the pixels that show the same face, or both none
    weights: float  # difference of the barycentrics there, which one in a thousand exceeds: faces seen edge-on

    @property
    def holds(self) -> bool:
        """Tell whether the rasters are the same but for rounding."""
        return self.faces >= SAME_FACES and self.weights <= SAME_WEIGHTS


def agreement(one: Raster, other: Raster) -> Agreement:
    """Compare two rasters of one view and size, of two backends."""
    same = one.face_id == other.face_id  # [H, W]
    shown = same & (one.face_id >= 0)  # [H, W]
    apart = np.abs(one.barycentrics - other.barycentrics)[shown]  # [S, 3]
    return Agreement(float(same.mean()), float(np.quantile(apart, 0.999)) if apart.size else 0.0)


class Rasterizer(Protocol):
    """Backend that holds one mesh (vertices in the unit sphere) and rasterises views of it."""

    name: str
    vertices: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32

    def rasterize(self, camera: Camera, resolution: int) -> Raster:
        """Raster of a view of resolution x resolution pixels."""
        ...
