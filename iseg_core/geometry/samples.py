"""Samples of big faces: refinement gives them vertices of the proxy in their middle, which stand for them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class FaceSamples:
    """Samples of the faces of the user's mesh that refinement has cut. R cut faces, M samples, face by face."""

    faces: np.ndarray  # [R] int32, ascending: faces of the user's mesh
    start: np.ndarray  # [R + 1] int32: samples start[i] to start[i + 1] lie on faces[i]
    barycentric: np.ndarray  # [M, 3] float32 of each sample in its face
    vertices: np.ndarray  # [M] int32, the proxy vertex of each sample
    weights: np.ndarray  # [M] float32, share of its face's area that each stands for: they sum to 1 on a face

    @classmethod
    def none(cls) -> "FaceSamples":
        """Make the samples of a mesh none of whose faces was cut."""
        index, number = np.zeros(0, np.int32), np.zeros(0, np.float32)  # [0] each
        return cls(index, np.zeros(1, np.int32), number.reshape(0, 3), index, number)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean over each cut face of values [P] at the proxy's vertices. [R] float32"""
        if not len(self.faces):
            return np.zeros(0, np.float32)  # [0]
        return np.add.reduceat(self.weights * values.astype(np.float32)[self.vertices], self.start[:-1])

    def nearest(self, face: int, barycentric: np.ndarray, corners: np.ndarray) -> int | None:
        """Find the proxy vertex of the sample nearest to a point; None on a face that was not cut.

        face: of the user's mesh, with its corners [3, 3] in space; barycentric [3] of the point.
        """
        row = int(np.searchsorted(self.faces, face))
        if row == len(self.faces) or self.faces[row] != face:
            return None
        own = slice(self.start[row], self.start[row + 1])
        offset = (self.barycentric[own] - barycentric) @ corners  # [m, 3]
        return int(self.vertices[own][(offset**2).sum(axis=1).argmin()])

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of samples of each cut face. [R]"""
        return np.diff(self.start)


def sample_faces(
    corners: np.ndarray, owner: np.ndarray, pieces: np.ndarray, face: np.ndarray, points: np.ndarray, nearest: np.ndarray
) -> FaceSamples:
    """Find the samples of the user's faces.

    corners [F, 3, 3]: of the user's faces in space; owner [F]: the refined mesh's face that each is, or -1. pieces
    [G, 3] and face [G]: what those were cut into (refine.Refined); points [W, 3]: their vertices; nearest [W]: proxy
    vertex of each.
    """
    count = np.bincount(face) if len(face) else np.zeros(0, np.int64)  # [faces] pieces of each
    cut = np.flatnonzero((owner >= 0) & (count[np.maximum(owner, 0)] > 1))  # [R]
    if not len(cut):
        return FaceSamples.none()
    # The samples of a refined mesh's face: the distinct corners of its pieces, each with a third of their areas.
    a, b, c = (points[pieces[:, k]] for k in range(3))  # [G, 3] each
    area = np.repeat(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6, 3)  # [3G]
    key = np.repeat(face, 3) * len(points) + pieces.ravel()  # [3G]
    distinct, inverse = np.unique(key, return_inverse=True)  # [N], [3G]
    share = np.bincount(inverse, area)  # [N]
    of_face, point = np.divmod(distinct, len(points))  # [N] each, face by face
    begin = np.searchsorted(of_face, np.arange(len(count) + 1))  # [faces + 1]
    number = np.diff(begin)[owner[cut]]  # [R]
    start = np.concatenate([[0], np.cumsum(number)])  # [R + 1]
    row = np.repeat(np.arange(len(cut)), number)  # [M]
    at = np.arange(start[-1]) - start[row] + begin[owner[cut]][row]  # [M] which of the N
    weight = share[at] / np.add.reduceat(share[at], start[:-1])[row]  # [M]
    return FaceSamples(
        cut.astype(np.int32),
        start.astype(np.int32),
        _barycentric(corners[cut][row], points[point[at]]).astype(np.float32),
        nearest[point[at]].astype(np.int32),
        weight.astype(np.float32),
    )


def _barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentric coordinates of points [M, 3] in triangles with an area [M, 3, 3]. [M, 3]"""
    origin = corners[:, 0]  # [M, 3]
    u, v, w = corners[:, 1] - origin, corners[:, 2] - origin, points - origin  # [M, 3] each
    uu, uv, vv = (u * u).sum(axis=1), (u * v).sum(axis=1), (v * v).sum(axis=1)  # [M] each
    wu, wv = (w * u).sum(axis=1), (w * v).sum(axis=1)  # [M] each
    scale = uu * vv - uv * uv  # [M]
    second, third = (vv * wu - uv * wv) / scale, (uu * wv - uv * wu) / scale  # [M] each
    return np.stack([1 - second - third, second, third], axis=1)
