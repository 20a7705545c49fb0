"""A mesh as it was when it was read: copies of Blender's arrays and what follows from them. numpy only.

What takes long for a large mesh touches nothing of Blender's, so that it can be done on a thread.
"""

import numpy as np

from ..core import Mesh
from .geometry import Geometry, counts, topology, triangles
from .picking import solid
from .region import Images


class MeshSnapshot:
    """A mesh as the engine sees it, and its names. For a million vertices this takes some tenths of a second."""

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.vertices, self.edges = geometry.vertices, geometry.edges  # [V, 3] float32, [E, 2] int32
        self.faces = triangles(geometry)  # [F, 3] int32
        self.topology = topology(geometry)  # the same in every pose
        self.hash = Mesh(self.vertices.astype(np.float64), self.faces).hash  # the engine's name for this geometry
        self.solid = solid(self.vertices, self.faces)
        self.images: Images = {}  # mirror images that were looked for already
        self._hidden: tuple[Geometry, np.ndarray | None] | None = None  # the last answer, and what it is of

    def hidden(self) -> np.ndarray | None:
        """Which triangles edit mode hides; None: none of them. [F] bool"""
        if self._hidden is None or self._hidden[0] is not self.geometry:
            polygons = self.geometry.hidden  # [P]
            self._hidden = self.geometry, np.repeat(polygons, counts(self.geometry) - 2) if polygons.any() else None
        return self._hidden[1]
