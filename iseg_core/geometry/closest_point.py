"""Closest points: vertices of the mesh carried onto the surface of its proxy."""

import numpy as np


class Fans:
    """Faces around each vertex of a mesh, ready for closest points. P vertices, G faces."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.faces = faces  # [G, 3]
        self.counts = np.bincount(faces.ravel(), minlength=len(vertices))  # [P] faces at each vertex
        self.starts = np.cumsum(self.counts) - self.counts  # [P]
        self.members = np.argsort(faces.ravel(), kind="stable") // 3  # [3G] faces, sorted by vertex
        self.origin = vertices[faces[:, 0]]  # [G, 3]
        self.e1, self.e2 = vertices[faces[:, 1]] - self.origin, vertices[faces[:, 2]] - self.origin  # [G, 3] each
        dots = [np.einsum("gk,gk->g", a, b) for a, b in ((self.e1, self.e1), (self.e1, self.e2), (self.e2, self.e2))]
        self.gram = np.stack(dots, axis=1)  # [G, 3] e1.e1, e1.e2, e2.e2

    def closest(self, points: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the closest point of the faces around vertex `at` [N], which has at least one, to each of points [N, 3].

        Returns the squared distance [N], the corners of the face [N, 3] and the barycentrics of the point [N, 3].
        """
        counts = self.counts[at]  # [N]
        begin = np.cumsum(counts) - counts  # [N]
        offset = np.arange(counts.sum()) - np.repeat(begin - self.starts[at], counts)  # [M]
        face = self.members[offset]  # [M]
        distance, second, third = self._project(np.repeat(points, counts, axis=0) - self.origin[face], face)  # [M] each
        least = np.minimum.reduceat(distance, begin) if len(begin) else distance  # [N]
        hits = np.flatnonzero(distance == np.repeat(least, counts))  # [H] more than one where faces share the point
        owner = np.repeat(np.arange(len(at)), counts)[hits]  # [H]
        first = hits[np.unique(owner, return_index=True)[1]]  # [N]
        bary = np.stack([1.0 - second[first] - third[first], second[first], third[first]], axis=1)  # [N, 3]
        return least, self.faces[face[first]], np.maximum(bary, 0.0)

    def _project(self, offset: np.ndarray, face: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Project points onto faces: squared distance [M], weights of the second and the third corner [M] each.

        offset [M, 3]: from the face's first corner to the point.
        """
        a, b, c = self.gram.T[:, face]  # [M] each
        e1, e2 = self.e1[face], self.e2[face]  # [M, 3], [M, 3]
        p, q = np.einsum("mk,mk->m", offset, e1), np.einsum("mk,mk->m", offset, e2)  # [M], [M]
        tiny = np.finfo(np.float64).tiny  # slivers may have an edge, or an area, of nothing
        area = a * c - b * b  # [M]
        flat, area = area < tiny, np.maximum(area, tiny)  # [M], [M]
        u, v = (c * p - b * q) / area, (a * q - b * p) / area  # [M], [M] on the face's plane
        out = np.flatnonzero(flat | (u < 0) | (v < 0) | (u + v > 1))  # [N] there the closest point lies on an edge
        a, b, c, p, q = (x[out] for x in (a, b, c, p, q))  # [N] each
        first, last = (np.clip(x / np.maximum(y, tiny), 0, 1) for x, y in ((p, a), (q, c)))  # [N] each: first two edges
        across = np.clip(
            (a - b - p + q) / np.maximum(a + c - 2 * b, tiny), 0, 1
        )  # [N] along the edge between the others
        zero = np.zeros_like(first)  # [N]
        edge = np.array([(first, zero), (zero, last), (1 - across, across)])  # [3, 2, N]
        s, t = edge[:, 0], edge[:, 1]  # [3, N], [3, N]
        distance = s * s * a + 2 * s * t * b + t * t * c - 2 * (s * p + t * q)  # [3, N] squared, less |offset|^2
        pick = distance.argmin(axis=0), np.arange(len(out))  # [N], [N]
        u[out], v[out] = s[pick], t[pick]
        # Taken from the vector: the difference above is exact to the points' size only.
        vector = offset - u[:, None] * e1 - v[:, None] * e2  # [M, 3]
        return np.einsum("mk,mk->m", vector, vector), u, v
