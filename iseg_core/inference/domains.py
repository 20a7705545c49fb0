"""Domains of an answer: values at the proxy's vertices become those of the user's vertices or faces.

Where faces are small, vertices decide: a face is the mean of its corners. Where refinement has cut a face, samples of
its own decide about it, and a vertex among such faces belongs where one of them does.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from ..clicks.click import Click, Prompt, SurfacePoint
from ..clicks.resolve import vertex_of
from ..geometry.domain import Domain
from ..geometry.mesh import Mesh, face_areas, has_area
from ..geometry.proxy import Proxy

LARGE = 8  # samples of a face from which on its vertices follow it
SURE = 0.02  # what was clicked is at least this far from 0.5


class Domains:
    """Map of values from a proxy to its mesh: V vertices, F faces, D of which have samples to decide about them."""

    def __init__(self, mesh: Mesh, proxy: Proxy):
        self._mesh, self._proxy = mesh, proxy

    def values(self, on_proxy: np.ndarray, domain: Domain, clicks: Sequence[Click] = ()) -> np.ndarray:
        """Carry values [P] in 0..1 to the mesh: [V] or [F] float32; what was clicked is on its side of 0.5."""
        carried = np.clip(self._proxy.carry(on_proxy), 0.0, 1.0)  # [V] weights sum to 1 only up to rounding
        decided = np.clip(self._proxy.samples.mean(on_proxy), 0.0, 1.0)  # [D]
        if domain == Domain.FACE:
            return self._honour_faces(self._faces(carried, decided), clicks)
        for prompt, include in clicks:
            clicked = self._clicked(prompt, include, decided)  # [D]
            decided[clicked] = _sided(decided[clicked], include)
        return self._honour_vertices(self._vertices(carried, decided), clicks)

    def decide_among(self, faces: np.ndarray) -> bool:
        """Tell whether some of the faces [F] bool are so large that faces decide about them, not vertices."""
        return bool(faces[self._decided[self._large]].any()) if len(self._decided) else False

    # Faces with samples

    @property
    def _decided(self) -> np.ndarray:
        """Faces about which samples decide. [D]"""
        return self._proxy.samples.faces

    @cached_property
    def _large(self) -> np.ndarray:
        """Which of the decided faces are so large that vertices follow them. [D] bool"""
        samples = self._proxy.samples
        return np.diff(samples.start)[samples.polygons] >= LARGE

    @cached_property
    def _surrounded(self) -> np.ndarray:
        """Vertices all of whose faces are large, but for those without area. [V] bool"""
        count, faces = len(self._mesh.vertices), self._mesh.faces
        own = np.bincount(faces[self._decided[self._large]].ravel(), minlength=count)  # [V]
        others = np.asarray((own > 0)[faces].any(axis=1))  # [F]
        others[self._decided[self._large]] = False
        rest = faces[others]  # [n, 3]
        rest = rest[has_area(self._mesh.vertices, rest)]
        return (own > 0) & (np.bincount(rest.ravel(), minlength=count) == 0)

    @cached_property
    def _areas(self) -> np.ndarray:
        return face_areas(self._mesh)  # [F]

    # To the mesh

    def _vertices(self, carried: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """Values of the vertices. [V] float32"""
        if not len(decided):
            return carried
        highest = np.where(self._surrounded, 0.0, carried)  # [V]
        large = self._decided[self._large]  # [n]
        np.maximum.at(highest, self._mesh.faces[large], decided[self._large][:, None])
        return highest.astype(np.float32)

    def _faces(self, carried: np.ndarray, decided: np.ndarray) -> np.ndarray:
        """Values of the faces. [F] float32"""
        a, b, c = self._corners
        values = (carried[a] + carried[b] + carried[c]) / np.float32(3)  # [F]
        if self._mesh.polygons is not None:
            values = _mean_by(self._mesh.polygons, values, self._areas).astype(np.float32)
        values[self._decided] = decided
        return values

    @cached_property
    def _corners(self) -> np.ndarray:
        """Corners of the faces, as the indices that numpy takes fastest. [3, F] int64"""
        return np.ascontiguousarray(self._mesh.faces.T, dtype=np.intp)

    # Clicks

    def _is_same_polygon(self, face: int, faces: np.ndarray) -> np.ndarray:
        """Find which of the faces [n] are of one polygon with a face. [n] bool"""
        polygons = self._mesh.polygons
        return faces == face if polygons is None else polygons[faces] == polygons[face]

    def _clicked(self, prompt: Prompt, include: bool, decided: np.ndarray) -> np.ndarray:
        """Find the decided faces that a click brings to its side. [D] bool

        Those of the clicked polygon; where a vertex among them is included, of the likeliest one at it.
        """
        if isinstance(prompt, SurfacePoint):
            return self._is_same_polygon(prompt.face, self._decided)
        if not include or not self._surrounded_at(prompt):
            return np.zeros(len(decided), dtype=bool)
        around = np.flatnonzero((self._mesh.faces[self._decided] == prompt).any(axis=1))  # [n]
        return self._is_same_polygon(int(self._decided[around[decided[around].argmax()]]), self._decided)

    def _surrounded_at(self, vertex: int) -> bool:
        return bool(len(self._decided)) and bool(self._surrounded[vertex])

    def _honour_faces(self, values: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        """Bring clicked faces, and of those at a clicked vertex at least one, to their side. [F]"""
        for prompt, include in clicks:
            if isinstance(prompt, SurfacePoint):
                face = prompt.face
            else:
                around = np.flatnonzero((self._mesh.faces == prompt).any(axis=1))  # [n]
                if not len(around):
                    continue
                seen = has_area(self._mesh.vertices, self._mesh.faces[around])  # [n]
                around = around[seen] if seen.any() else around  # nobody means one without area
                face = int(around[(values[around] if include else -values[around]).argmax()])
            clicked = self._is_same_polygon(face, np.arange(len(values))) if self._mesh.polygons is not None else [face]
            values[clicked] = _sided(values[clicked], include)
        return values

    def _honour_vertices(self, values: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        """Bring clicked vertices to their side; of a clicked face all corners, where it is decided for itself. [V]"""
        for prompt, include in clicks:
            if not isinstance(prompt, SurfacePoint):
                at = [prompt]
            elif prompt.face not in self._decided:
                at = [vertex_of(prompt, self._mesh)]
            else:
                polygon = self._decided[self._is_same_polygon(prompt.face, self._decided)]  # [n]
                at = np.unique(self._mesh.faces[polygon]) if include else []
            values[at] = _sided(values[at], include)
        return values


def _sided(values: np.ndarray, include: bool) -> np.ndarray:
    """Bring values to the side of 0.5 that a click asks for."""
    return np.maximum(values, 0.5 + SURE) if include else np.minimum(values, 0.5 - SURE)


def _mean_by(groups: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of values [n] over the members of each one's group [n]. [n]"""
    total = np.bincount(groups, weights)
    mean = np.bincount(groups, weights * values) / np.maximum(total, 1e-300)
    return np.where(total[groups] > 0, mean[groups], values)
