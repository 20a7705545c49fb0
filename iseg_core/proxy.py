"""Proxy: the mesh of bounded size on which everything is computed, and the map that carries answers back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Proxy:
    """A welded, normalised, decimated copy of a mesh. P proxy vertices; V vertices of the user's mesh.

    An answer x [P] is carried to the user's vertices as (carry_weight * x[carry_index]).sum(1)  # [V]
    """

    vertices: np.ndarray  # [P, 3] float64, in the unit sphere
    faces: np.ndarray  # [G, 3] int32, no degenerate and no duplicate faces
    carry_index: np.ndarray  # [V, 3] int32, proxy vertices
    carry_weight: np.ndarray  # [V, 3] float32, >= 0, rows sum to 1

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Carry values [P] to the user's vertices. [V] float32"""
        return np.einsum("vk,vk->v", self.carry_weight, values.astype(np.float32)[self.carry_index])

    @property
    def nearest(self) -> np.ndarray:
        """The proxy vertex that stands for each of the user's vertices. [V] int32"""
        best = self.carry_weight.argmax(axis=1)  # [V]
        return np.take_along_axis(self.carry_index, best[:, None], axis=1)[:, 0]  # [V]
