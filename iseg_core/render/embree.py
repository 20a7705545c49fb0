"""Rasterising by ray casting on the processor (Embree)."""

import numpy as np

from ..errors import SettingsError
from .camera import Camera
from .raster import EPSILON, Raster


class EmbreeRasterizer:
    """Ray casting on the processor with Embree; both sides of every face are seen."""

    name = "embree"

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        """vertices [V, 3] in the unit sphere, faces [F, 3]. Raises SettingsError where embreex is missing."""
        try:
            from embreex import rtcore_scene
            from embreex.mesh_construction import TriangleMesh
        except ImportError as error:
            raise SettingsError(
                f"The ray caster embreex cannot be loaded ({error}). Install it with `pip install embreex`; "
                "where memory is short, close other programs."
            ) from error

        self.vertices = np.ascontiguousarray(vertices, dtype=np.float32)  # [V, 3]
        self.faces = np.ascontiguousarray(faces, dtype=np.int32)  # [F, 3]
        # Without `robust`, rays may slip through the edge that two faces share and leave holes.
        self._scene = rtcore_scene.EmbreeScene(robust=True)  # pyright: ignore[reportAttributeAccessIssue]
        self._mesh = TriangleMesh(self._scene, self.vertices, self.faces)

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """Cast rays from origins [N, 3] along directions [N, 3], to what they hit first.

        Returns primID [N] (the face; -1: none), tfar [N] (in lengths of the direction), u [N] and v [N]: barycentrics
        of the second and third corner.
        """
        return self._scene.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            output=1,
        )

    def rasterize(self, camera: Camera, resolution: int) -> Raster:
        """Raster of a view of resolution x resolution pixels."""
        face_id, barycentrics = self._pixels(camera, resolution)
        return Raster(face_id, barycentrics, self._visible(camera))

    def _pixels(self, camera: Camera, resolution: int) -> tuple[np.ndarray, np.ndarray]:
        """Cast the rays through the pixel centres: face_id [H, W] int32, barycentrics [H, W, 3] float32."""
        directions = camera.rays(resolution)  # [HW, 3]
        hit = self.cast(np.broadcast_to(camera.position, directions.shape), directions)
        face_id = hit["primID"].astype(np.int32)  # [HW]
        u, v = inside(hit["u"], hit["v"])  # [HW] each
        weights = np.stack([1.0 - u - v, u, v], axis=1)  # [HW, 3]
        weights[face_id < 0] = 0.0
        shape = (resolution, resolution)
        return face_id.reshape(shape), weights.reshape(*shape, 3).astype(np.float32, copy=False)

    def _visible(self, camera: Camera) -> np.ndarray:
        """Find the vertices that the rays to them reach. [V] bool"""
        offset = self.vertices - camera.position  # [V, 3]
        distance = np.linalg.norm(offset, axis=1)  # [V]
        hit = self.cast(np.broadcast_to(camera.position, offset.shape), offset / distance[:, None])
        # A ray at a silhouette may miss its vertex by a rounding error: it then hits what lies behind, or nothing.
        return (hit["primID"] < 0) | (hit["tfar"] > distance - EPSILON)  # [V]


def inside(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clip two barycentrics of a hit, which may lie a rounding error outside of the face. Any shape."""
    u = np.clip(u, 0.0, 1.0)
    return u, np.clip(v, 0.0, 1.0 - u)
