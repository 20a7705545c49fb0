"""Snapshot of a mesh when it was read: copies of Blender's arrays and what is derived from them. numpy only.

Work that takes long for a large mesh touches no data of Blender, so that it can run on a thread.
"""

import numpy as np

from ..core import Mesh
from .geometry import Geometry, counts, topology, triangles
from .picking import solid
from .region import Images


class MeshSnapshot:
    """Mesh as the engine gets it, with its hashes. A million vertices take some tenths of a second to make one."""

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.vertices, self.edges = geometry.vertices, geometry.edges  # [V, 3] float32, [E, 2] int32
        self.faces = triangles(geometry)  # [F, 3] int32
        self.topology = topology(geometry)  # the same in every pose
        self.hash = Mesh(self.vertices.astype(np.float64), self.faces).hash  # the engine's hash of the geometry
        self.solid = solid(self.vertices, self.faces)
        self.images: Images = {}  # mirror images found so far
        self._hidden: tuple[Geometry, np.ndarray | None] | None = None  # the last mask and its geometry

    def hidden(self) -> np.ndarray | None:
        """Mask of the triangles that edit mode hides; None where it hides none. [F] bool"""
        if self._hidden is None or self._hidden[0] is not self.geometry:
            polygons = self.geometry.hidden  # [P]
            self._hidden = self.geometry, np.repeat(polygons, counts(self.geometry) - 2) if polygons.any() else None
        return self._hidden[1]
