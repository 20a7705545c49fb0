"""Snapshot of a mesh when it was read: copies of Blender's arrays and what is derived from them. numpy only.

Work that takes long for a large mesh touches no data of Blender, so that it can run on a thread.
"""

from functools import cached_property

import numpy as np

from ..core import Mesh, Prompt, SurfacePoint, with_marks
from .geometry import Geometry, counts, polygon_labels, polygons_of_triangles, topology, triangles
from .picking import solid
from .points import nearest_on, place_of
from .region import Signs


class MeshSnapshot:
    """Mesh as the engine gets it, with its hashes. A million vertices take some tenths of a second to make one."""

    def __init__(self, geometry: Geometry):
        self.geometry = geometry
        self.vertices, self.edges = geometry.vertices, geometry.edges  # [V, 3] float32, [E, 2] int32
        self.faces = triangles(geometry)  # [F, 3] int32
        self.polygons = polygons_of_triangles(geometry)  # [F] int32 or None
        self.topology = topology(geometry)  # the same in every pose
        labels = polygon_labels(geometry)  # [P]
        labels = None if labels is None else self.to_triangles(labels)  # [F]
        edges = None if geometry.marked is None else geometry.edges[geometry.marked]  # [N, 2]
        mesh = with_marks(Mesh(self.vertices.astype(np.float64), self.faces), labels, edges)
        self.labels, self.marked_edges = mesh.labels, mesh.marked_edges
        self.hash = mesh.hash  # the engine's hash of the geometry and its marks
        self.solid = solid(self.vertices, self.faces)
        self._images: dict[tuple[Prompt, Signs], Prompt] = {}  # mirror images found so far
        self._hidden: tuple[Geometry, np.ndarray | None] | None = None  # the last mask and its geometry

    def hidden(self) -> np.ndarray | None:
        """Mask of the triangles that edit mode hides; None where it hides none. [F] bool"""
        if self._hidden is None or self._hidden[0] is not self.geometry:
            polygons = self.geometry.hidden  # [P]
            self._hidden = self.geometry, self.to_triangles(polygons) if polygons.any() else None
        return self._hidden[1]

    def image(self, prompt: Prompt, signs: Signs) -> Prompt:
        """Find the mirror image of a vertex or a point: what of its kind is nearest to the mirrored position."""
        if (prompt, signs) not in self._images:
            if isinstance(prompt, SurfacePoint):
                place = place_of(prompt, self.vertices, self.faces) * signs  # [3]
                self._images[prompt, signs] = nearest_on(self.solid, place)
            else:
                away = self.vertices - self.vertices[prompt] * np.array(signs, self.vertices.dtype)  # [V, 3]
                self._images[prompt, signs] = int(np.einsum("vk,vk->v", away, away).argmin())
        return self._images[prompt, signs]

    def corners(self, prompt: Prompt) -> list[int]:
        """Vertices of what a prompt is on: a triangle's three, or the vertex alone."""
        return self.faces[prompt.face].tolist() if isinstance(prompt, SurfacePoint) else [prompt]

    def to_triangles(self, values: np.ndarray) -> np.ndarray:
        """Give each triangle the value [P] of its polygon. [F]"""
        return values if self.polygons is None else values[self.polygons]

    def to_polygons(self, values: np.ndarray) -> np.ndarray:
        """Give each polygon the greatest value [F] of its triangles, whose values mostly are equal. [P]"""
        return values if self.polygons is None else np.maximum.reduceat(values, self.geometry.first_triangles())

    def to_vertices(self, values: np.ndarray) -> np.ndarray:
        """Give each vertex the greatest value [P] of its polygons, 0 where it has none. [V]"""
        polygons, starts, vertices = self._around
        found = np.zeros(len(self.vertices), values.dtype)  # [V]
        found[vertices] = np.maximum.reduceat(values[polygons], starts)
        return found

    @cached_property
    def _around(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Polygons around the vertices that have some, vertex by vertex [C], the start of each there [U], and the
        vertices [U].
        """
        corners = self.geometry.corners  # [C]
        order = np.argsort(corners, kind="stable")  # [C]
        starts = np.flatnonzero(np.diff(corners[order], prepend=-1))  # [U]
        number = counts(self.geometry)  # [P] corners of each
        polygons = np.repeat(np.arange(len(number), dtype=np.int32), number)[order]  # [C]
        return polygons, starts, corners[order[starts]]
