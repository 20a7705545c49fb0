"""Geometry of a mesh as arrays: vertices, polygons, triangles, and the hash of its topology."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..core import equal_rows, most_frequent

MARKS = ("materials", "colours", "marked")
STRETCH = 1 << 16  # polygons at a time, so that numpy never blocks other threads for long


class Geometry(NamedTuple):
    """Mesh in Blender's layout, with Blender's order of vertices."""

    vertices: np.ndarray  # [V, 3] float32, in the object's own space
    corners: np.ndarray  # [C] int32: the vertex of each corner of each polygon
    starts: np.ndarray  # [P] int32: the first corner of each polygon
    edges: np.ndarray  # [E, 2] int32
    hidden: np.ndarray  # [P] bool: polygons that edit mode hides
    triangles: np.ndarray | None = None  # [F, 3] int32: corners, where there are polygons of more than four
    # Marks, where the mesh has some and they are to be heard:
    materials: np.ndarray | None = None  # [P] int32: material slot
    colours: np.ndarray | None = None  # [C] int32: number of each corner's colour
    marked: np.ndarray | None = None  # [E] bool: edges that are sharp or a seam

    def equals(self, other: "Geometry") -> bool:
        """Compare everything but what is hidden."""
        if self.starts is not other.starts and not np.array_equal(self.starts, other.starts):
            return False
        if not all(_are_equal(getattr(self, name), getattr(other, name)) for name in MARKS):
            return False
        return np.array_equal(self.corners, other.corners) and np.array_equal(self.vertices, other.vertices)

    @property
    def triangle_count(self) -> int:
        return len(self.corners) - 2 * len(self.starts)

    def first_triangles(self) -> np.ndarray:
        """Index of the first triangle of each polygon. [P]"""
        return self.starts - 2 * np.arange(len(self.starts))

    def within(self, inside: np.ndarray) -> np.ndarray:
        """Mask of the polygons that have all their vertices inside [V] bool. [P] bool"""
        if not len(self.starts):
            return np.zeros(0, bool)  # [0]
        return np.logical_and.reduceat(inside[self.corners], self.starts)

    def touched(self, faces: np.ndarray) -> np.ndarray:
        """Mask of the vertices of these polygons [P] bool. [V] bool"""
        found = np.zeros(len(self.vertices), bool)  # [V]
        found[self.corners[np.repeat(faces, counts(self))]] = True
        return found

    def normals(self, faces: np.ndarray) -> np.ndarray:
        """Vertex normals [V, 3] float64 from these faces [N] int alone, weighted by the faces' angles at the vertex.

        They are 0 at other vertices, and where the face normals cancel.
        """
        number = counts(self)[faces]  # [N] corners
        first = np.cumsum(number) - number  # [N] first corner of each face among the C
        place = np.arange(number.sum()) - np.repeat(first, number)  # [C] position of each corner in its face
        start, size = np.repeat(self.starts[faces], number), np.repeat(number, number)  # [C], [C]
        at, after, before = (self.corners[start + (place + k) % size] for k in (0, 1, -1))  # 3 x [C]
        points = self.vertices.astype(np.float64)  # [V, 3]
        origin = np.repeat(points[self.corners[self.starts[faces]]], number, axis=0)  # [C, 3] subtracted for precision
        doubled = cross((points[at] - origin).T, (points[after] - origin).T).T  # [C, 3]
        normal = units(np.add.reduceat(doubled, first)) if len(first) else doubled  # [N, 3]
        along, back = units(points[after] - points[at]), units(points[before] - points[at])  # 2 x [C, 3]
        angle = np.arctan2(lengths(cross(along.T, back.T).T), np.einsum("ck,ck->c", along, back))  # [C]
        weighted = np.repeat(normal, number, axis=0) * angle[:, None]  # [C, 3]
        total = [np.bincount(at, weighted[:, k], len(points)) for k in range(3)]  # 3 x [V]
        return units(np.stack(total, axis=1))


def _are_equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def counts(geometry: Geometry) -> np.ndarray:
    """Number of corners of each polygon. [P]"""
    return np.diff(geometry.starts, append=np.int32(len(geometry.corners)))


def triangles(geometry: Geometry) -> np.ndarray:
    """Vertices of the triangles that Blender draws, polygon by polygon. [F, 3] int32"""
    if geometry.triangles is not None:
        return geometry.corners[geometry.triangles]
    found = [_triangles(geometry, *stretch) for stretch in _stretches(geometry)]
    return np.concatenate(found) if found else np.zeros((0, 3), np.int32)


def polygons_of_triangles(geometry: Geometry) -> np.ndarray | None:
    """Polygon that each triangle is cut of [F] int32, in the order of `triangles`; None where all are triangles."""
    number = counts(geometry) - 2  # [P] triangles of each
    return None if (number == 1).all() else np.repeat(np.arange(len(number), dtype=np.int32), number)


def polygon_labels(geometry: Geometry) -> np.ndarray | None:
    """Number polygons alike that have equal materials and colours; None where nothing is said of them. [P] int32"""
    kinds = [] if geometry.materials is None else [geometry.materials]  # [P] each
    if geometry.colours is not None:
        kinds.append(most_frequent(geometry.colours, counts(geometry)))
    return equal_rows(np.stack(kinds, axis=1))[0].astype(np.int32) if kinds else None


def _stretches(geometry: Geometry) -> Iterator[tuple[int, int]]:
    for begin in range(0, len(geometry.starts), STRETCH):
        yield begin, min(begin + STRETCH, len(geometry.starts))


def _triangles(geometry: Geometry, begin: int, end: int) -> np.ndarray:
    """Triangles of the polygons from begin to end, which have three or four corners. [F', 3] int32"""
    starts = geometry.starts[begin:end]  # [P']
    quads = counts(geometry)[begin:end] == 4  # [P']
    first = np.arange(len(starts)) + np.cumsum(quads) - quads  # [P'] first triangle of each polygon
    found = np.empty((len(starts) + int(quads.sum()), 3), np.int32)  # [F', 3]
    found[first] = geometry.corners[starts[:, None] + np.arange(3)]
    ring = geometry.corners[starts[quads][:, None] + np.arange(4)]  # [Q, 4]
    at = geometry.vertices.T[:, ring]  # [3, Q, 4]
    b, c, d = (at[..., k] - at[..., 0] for k in (1, 2, 3))  # 3 x [3, Q]
    # As Blender does, split along the other diagonal where both triangles would lie on the same side of this one.
    turned = (cross(b, c) * cross(d, c)).sum(axis=0) > 0  # [Q]
    found[first[quads]] = np.where(turned[:, None], ring[:, [0, 1, 3]], ring[:, [0, 1, 2]])
    found[first[quads] + 1] = np.where(turned[:, None], ring[:, [1, 2, 3]], ring[:, [0, 2, 3]])
    return found


def units(vectors: np.ndarray) -> np.ndarray:
    """Normalise vectors [N, 3]; zero vectors stay zero. [N, 3]"""
    length = lengths(vectors)[:, None]  # [N, 1]
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Euclidean norms of vectors [N, 3]. [N]"""
    return np.sqrt(np.einsum("nk,nk->n", vectors, vectors))


def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Cross products of vectors [3, N]; several times faster than numpy's own. [3, N]"""
    return np.stack([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])


def topology(geometry: Geometry) -> str:
    """Hash of the polygons and the number of vertices; not of the triangles, which may change with moved vertices."""
    digest = hashlib.sha256(b"%d %d " % (len(geometry.vertices), len(geometry.starts)))
    digest.update(geometry.starts.tobytes())
    digest.update(geometry.corners.tobytes())
    return digest.hexdigest()
