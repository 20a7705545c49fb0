"""Samples of big faces: refinement gives them vertices of the proxy in their middle, which stand for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .vectors import cross, norms


@dataclass(frozen=True, eq=False)
class FaceSamples:
    """Samples of the user's polygons that refinement has cut: N of them, with R triangles and M samples in all."""

    faces: np.ndarray  # [R] int32, ascending: triangles of the user's mesh
    polygons: np.ndarray  # [R] int32, which of the N each is of
    start: np.ndarray  # [N + 1] int32: samples start[i] to start[i + 1] lie on polygon i
    vertices: np.ndarray  # [M] int32, the proxy vertex of each sample
    weights: np.ndarray  # [M] float32, share of its polygon's area that each stands for: they sum to 1 on a polygon

    @classmethod
    def none(cls) -> "FaceSamples":
        """Make the samples of a mesh none of whose faces was cut."""
        index = np.zeros(0, np.int32)  # [0]
        return cls(index, index, np.zeros(1, np.int32), index, np.zeros(0, np.float32))

    @classmethod
    def join(cls, many: Sequence["FaceSamples"]) -> "FaceSamples":
        """Join the samples of different faces of one mesh."""
        polygons = np.cumsum([0] + [len(one.start) - 1 for one in many])
        starts = np.cumsum([0] + [len(one.vertices) for one in many])
        faces = np.concatenate([one.faces for one in many])  # [R]
        order = np.argsort(faces)  # [R]
        return cls(
            faces[order],
            np.concatenate([one.polygons + n for one, n in zip(many, polygons, strict=False)])[order].astype(np.int32),
            np.append(
                np.concatenate([one.start[:-1] + n for one, n in zip(many, starts, strict=False)]), starts[-1]
            ).astype(np.int32),
            np.concatenate([one.vertices for one in many]),
            np.concatenate([one.weights for one in many]),
        )

    def placed(self, faces: np.ndarray, start: int) -> "FaceSamples":
        """The same samples in a larger mesh: faces [F] there, proxy vertices from `start` on."""
        return replace(self, faces=faces[self.faces].astype(np.int32), vertices=self.vertices + np.int32(start))

    def spread(self, rows: np.ndarray, groups: np.ndarray) -> "FaceSamples":
        """The same samples in a mesh of which only the faces `rows` [n] were sampled, for all faces of their polygons.

        groups [F]: polygon of each of the mesh's triangles.
        """
        if not len(self.faces):
            return self
        number = np.full(int(groups.max()) + 1, -1)  # [polygons]
        number[groups[rows[self.faces]]] = self.polygons
        faces = np.flatnonzero(number[groups] >= 0)  # [R]
        return replace(self, faces=faces.astype(np.int32), polygons=number[groups[faces]].astype(np.int32))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean, over the polygon of each triangle, of values [P] at the proxy's vertices. [R] float32"""
        if not len(self.faces):
            return np.zeros(0, np.float32)  # [0]
        sums = np.add.reduceat(self.weights * values.astype(np.float32)[self.vertices], self.start[:-1])  # [N]
        return sums[self.polygons]

    def row(self, face: int) -> int | None:
        """Find the place of a triangle among `faces`; None where its polygon was not cut."""
        row = int(np.searchsorted(self.faces, face))
        return row if row < len(self.faces) and self.faces[row] == face else None

    def nearest(self, face: int, point: np.ndarray, vertices: np.ndarray) -> int | None:
        """Find the proxy vertex of the sample nearest to a point [3] of a triangle; None where that was not cut.

        vertices [P, 3]: of the proxy, in whose space the point is.
        """
        row = self.row(face)
        if row is None:
            return None
        polygon = self.polygons[row]
        own = self.vertices[self.start[polygon] : self.start[polygon + 1]]  # [m]
        return int(own[((vertices[own] - point) ** 2).sum(axis=1).argmin()])


def sample_faces(
    groups: np.ndarray,
    parts: tuple[np.ndarray, np.ndarray],
    pieces: tuple[np.ndarray, np.ndarray],
    points: np.ndarray,
    nearest: np.ndarray,
) -> FaceSamples:
    """Find the samples of the user's polygons.

    groups [F]: polygon of each of the user's triangles. parts: the polygon of each triangle that they were cut into,
    and its number among the G clean ones or -1, [L] each. pieces [H, 3] of the clean ones, and the one that each is a
    piece of [H]. points [W, 3]: the pieces' vertices; nearest [W]: proxy vertex of each.
    """
    (owner, clean), (corners, face) = parts, pieces
    count = np.bincount(face)  # [G] pieces of each
    cut = np.zeros(int(groups.max()) + 1, dtype=bool)  # [polygons]
    cut[owner[(clean >= 0) & (count[np.maximum(clean, 0)] > 1)]] = True
    faces = np.flatnonzero(cut[groups])  # [R]
    if not len(faces):
        return FaceSamples.none()
    # Every corner of a piece is a sample, for a third of its area. A clean triangle's are next to each other.
    a, b, c = (points[corners[:, k]] for k in range(3))  # [H, 3] each
    area = norms(cross(b - a, c - a)) / 6  # [H]
    begin = np.searchsorted(face, np.arange(len(count) + 1))  # [G + 1]
    rows = np.flatnonzero((clean >= 0) & cut[owner])  # [l] of parts
    rows = rows[np.argsort(owner[rows], kind="stable")]
    number = count[clean[rows]]  # [l]
    of_part = np.repeat(np.arange(len(rows)), number)  # [k]
    piece = np.arange(len(of_part)) - (np.cumsum(number) - number)[of_part] + begin[clean[rows]][of_part]  # [k]
    polygon = np.repeat(owner[rows][of_part], 3)  # [3k] ascending
    # Of a polygon each proxy vertex once.
    key, inverse = np.unique(polygon * len(points) + nearest[corners[piece]].ravel(), return_inverse=True)  # [M], [3k]
    share = np.bincount(inverse, np.repeat(area[piece], 3))  # [M]
    polygon, vertices = np.divmod(key, len(points))  # [M] each
    kept, start = np.unique(polygon, return_index=True)  # [N], [N]
    weights = share / np.add.reduceat(share, start)[np.searchsorted(kept, polygon)]  # [M]
    return FaceSamples(
        faces.astype(np.int32),
        np.searchsorted(kept, groups[faces]).astype(np.int32),
        np.append(start, len(key)).astype(np.int32),
        vertices.astype(np.int32),
        weights.astype(np.float32),
    )
