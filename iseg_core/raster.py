"""Raster of a view: which face each pixel's ray hits, where on it, and which vertices are visible."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from .views import Camera

EPSILON = 1e-3  # a vertex is visible when the first hit of its ray lies less than this in front of it (unit sphere)


@dataclass(frozen=True)
class Raster:
    """What one view's rays hit."""

    face_id: np.ndarray  # [H, W] int32, -1 where the ray hits nothing
    barycentrics: np.ndarray  # [H, W, 3] float32, 0 where the ray hits nothing
    visible: np.ndarray  # [V] bool: the vertex' own ray reaches it

    def matrix(self, faces: np.ndarray, vertex_count: int) -> sp.csr_matrix:
        """The map B_v of a vertex attribute to the covered pixels (row-major order). [P, V] float32"""
        covered = self.face_id >= 0  # [H, W]
        corners = faces[self.face_id[covered]]  # [P, 3]
        weights = self.barycentrics[covered]  # [P, 3]
        rows = np.arange(len(corners) + 1) * 3  # [P + 1]
        shape = (len(corners), vertex_count)
        return sp.csr_matrix((weights.ravel(), corners.ravel(), rows), shape=shape)


class Rasterizer(Protocol):
    """A backend: holds one mesh (vertices in the unit sphere) and answers views of it."""

    name: str

    def rasterize(self, camera: Camera, resolution: int) -> Raster: ...


class EmbreeRasterizer:
    """CPU ray casting with Embree; both sides of every face are seen."""

    name = "embree"

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        """vertices [V, 3] in the unit sphere, faces [F, 3]."""
        from embreex import rtcore_scene
        from embreex.mesh_construction import TriangleMesh

        self.vertices = np.ascontiguousarray(vertices, dtype=np.float32)  # [V, 3]
        self.faces = np.ascontiguousarray(faces, dtype=np.int32)  # [F, 3]
        self._scene = rtcore_scene.EmbreeScene()
        self._mesh = TriangleMesh(self._scene, self.vertices, self.faces)

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """First hits of rays: primID [N] (-1: none), tfar [N], u [N], v [N]."""
        return self._scene.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            output=1,
        )

    def rasterize(self, camera: Camera, resolution: int) -> Raster:
        directions = camera.rays(resolution)  # [HW, 3]
        hit = self.cast(np.broadcast_to(camera.position, directions.shape), directions)
        face_id = hit["primID"].astype(np.int32)  # [HW]
        u, v = hit["u"], hit["v"]  # [HW] weights of the second and third corner
        weights = np.stack([1 - u - v, u, v], axis=1)  # [HW, 3]
        weights[face_id < 0] = 0.0
        shape = (resolution, resolution)
        return Raster(
            face_id.reshape(shape),
            weights.reshape(*shape, 3).astype(np.float32),
            self._visible(camera),
        )

    def _visible(self, camera: Camera) -> np.ndarray:
        offset = self.vertices - camera.position  # [V, 3]
        distance = np.linalg.norm(offset, axis=1)  # [V]
        hit = self.cast(np.broadcast_to(camera.position, offset.shape), offset / distance[:, None])
        # A ray aimed at a vertex may slip between its faces: what it hits then lies behind, or nothing is hit.
        return (hit["primID"] < 0) | (hit["tfar"] > distance - EPSILON)  # [V]
