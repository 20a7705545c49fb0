"""The surface as the geometry sees it: a Laplacian whose weights are damped where parts meet.

Parts meet where the surface is concave (the minima rule, Hoffman and Richards 1984) and where its thickness changes
(the shape diameter function, Shapira, Shamir and Cohen-Or 2008). Lengths are relative to R, the root of the total area.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import breadth_first_order, connected_components, dijkstra

from .depth import Depth
from .factors import Factor
from .raster import EmbreeRasterizer

TIMES = (1.0, 10.0, 100.0, 1000.0)  # t of the fields (L + tM) u = e: from the size of the shape to that of a detail
COTANGENT_RANGE = (0.02, 20.0)  # slivers must neither cut the graph nor glue it
NORMAL_RADIUS = 0.01  # smoothing radius of the normals, in R
CONCAVITY_SCALE = 0.01  # bending per smoothing radius that damps a weight by 1/e
THICKNESS_RADIUS = 0.02  # smoothing radius of the log thickness, in R
THICKNESS_SCALE = 0.025  # change of log thickness per smoothing radius that damps a weight by 1/e
WEIGHT_FLOOR = 1e-3  # what remains of a fully damped weight
FEATURE_SPREAD = 0.3  # root mean square of the spectral features: most of them lie well within -1..1
CONE_RAYS = 24
CONE_ANGLE = np.radians(50.0)
AGREE = 1 << 20  # more than the disagreeing edges that two faces can share
LEAST_MASS = 1e-9  # isolated vertices have no area, yet their equations must be solvable


@dataclass(frozen=True, eq=False)
class Surface:
    """Graph of a proxy's edges with the weights that say how strongly two vertices belong together."""

    vertices: np.ndarray  # [P, 3] float64
    edges: np.ndarray  # [E, 2] int32, each edge once
    weights: np.ndarray  # [E] float64, conductance of each edge
    lengths: np.ndarray  # [E] float64, in R
    mass: np.ndarray  # [P] float64, fraction of the total area
    area: float  # total area, in the vertices' units

    @property
    def vertex_count(self) -> int:
        return len(self.vertices)

    @cached_property
    def shells(self) -> np.ndarray:
        """Connected component of each vertex. [P] int32"""
        return self.pieces(np.ones(len(self.edges), dtype=bool))[1]

    def pieces(self, kept: np.ndarray) -> tuple[int, np.ndarray]:
        """Components connected by the edges kept [E] bool: how many, and which one each vertex is in. [P] int32"""
        start, other, edge = self._incidence
        kept = kept[edge]  # [E]
        before = np.zeros(len(kept) + 1, dtype=np.int32)  # [E + 1] how many are kept before each
        np.cumsum(kept, out=before[1:])
        graph = sp.csr_matrix((np.ones(before[-1]), other[kept], before[start]), shape=(self.vertex_count,) * 2)
        return connected_components(graph, directed=False)

    @cached_property
    def _incidence(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges sorted by first end: where each vertex's begin [P + 1], their second ends [E], which edges [E]."""
        order = np.argsort(self.edges[:, 0], kind="stable")  # [E]
        start = np.searchsorted(self.edges[order, 0], np.arange(self.vertex_count + 1))  # [P + 1]
        return start, self.edges[order, 1], order

    @cached_property
    def ends(self) -> np.ndarray:
        """Both ends of each edge, as the indices that numpy takes fastest. [2, E] int64"""
        return np.ascontiguousarray(self.edges.T, dtype=np.intp)

    @cached_property
    def boundary_cost(self) -> np.ndarray:
        """What a region pays where its border crosses an edge. [E] float64"""
        return self.weights * self.lengths

    def cut(self, regions: np.ndarray) -> np.ndarray:
        """Border cost of regions [..., P] bool. [...]"""
        i, j = self.ends  # [E] each
        return (regions[..., i] != regions[..., j]) @ self.boundary_cost

    @cached_property
    def laplacian(self) -> sp.csc_matrix:
        """Concavity-weighted Laplacian. [P, P]"""
        return laplacian(self.edges, self.weights, self.vertex_count)

    @cached_property
    def _factors(self) -> list[Factor]:
        mass = sp.diags(np.maximum(self.mass, LEAST_MASS))  # [P, P]
        return [Factor(self.laplacian + t * mass) for t in TIMES]

    def fields(self, vertex: int) -> np.ndarray:
        """Solutions of (L + tM) u = e_vertex for the t of TIMES: closeness to the vertex, seen by the parts. [T, P]"""
        unit = np.zeros(self.vertex_count)  # [P]
        unit[vertex] = 1.0
        return np.stack([f.solve(unit) for f in self._factors])  # [T, P]

    @cached_property
    def _paths(self) -> sp.csr_matrix:
        """Lengths of the edges, both ways. [P, P]"""
        ends = np.concatenate([self.edges, self.edges[:, ::-1]])  # [2E, 2]
        return sp.csr_matrix((np.tile(self.lengths, 2), ends.T), shape=(self.vertex_count,) * 2)

    def distances(self, sources: int | np.ndarray) -> np.ndarray:
        """Length of the shortest path along the edges from the nearest source, in R; infinite on other shells. [P]"""
        return dijkstra(self._paths, indices=np.atleast_1d(sources), min_only=True)

    @cached_property
    def depth(self) -> Depth:
        """Depths in regions of the vertices."""
        return Depth(self.vertices)

    def spectral_features(self, dim: int) -> np.ndarray:
        """Smallest generalised eigenvectors of (L, M), each divided by the root of its eigenvalue. [P, dim] float32

        The scaling makes Euclidean distance the commute-time distance (Fouss et al. 2007): near within a part, far
        across its border. Where the surface has fewer vertices than dim, the rest is zero.
        """
        from scipy.sparse.linalg import eigsh

        mass = np.maximum(self.mass, LEAST_MASS)  # [P]
        root = sp.diags(1 / np.sqrt(mass))  # [P, P]
        symmetric = (root @ self.laplacian @ root).tocsc()  # [P, P]
        count = min(dim, self.vertex_count - 1)
        features = np.zeros((self.vertex_count, dim), dtype=np.float32)  # [P, dim]
        if count < 1:
            return features
        if self.vertex_count <= 2 * dim:
            values, vectors = np.linalg.eigh(symmetric.toarray())  # [P], [P, P]
            values, vectors = values[:count], vectors[:, :count]  # [n], [P, n]
        else:
            shift = 0.5  # L is singular: the shifted inverse exists and still finds the smallest
            start = np.random.default_rng(0).standard_normal(self.vertex_count)  # [P] fixed: same features every run
            inverse = Factor(symmetric + shift * sp.eye(self.vertex_count))
            operator = sp.linalg.LinearOperator(symmetric.shape, inverse.solve, dtype=np.float64)
            values, vectors = eigsh(operator, k=count, which="LM", v0=start, tol=1e-6)  # pyright: ignore[reportArgumentType]
            order = np.argsort(-values)
            values, vectors = 1 / values[order] - shift, vectors[:, order]
        vectors = vectors / np.sqrt(mass)[:, None]  # [P, n] orthonormal under M
        sign = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])  # [n]
        scaled = vectors * sign / np.sqrt(np.maximum(values, 0) + 1.0)  # [P, n]
        spread = np.sqrt((scaled**2).mean())
        features[:, :count] = np.clip(FEATURE_SPREAD / max(spread, 1e-12) * scaled, -1, 1)
        return features

    def arrays(self) -> dict[str, np.ndarray]:
        """What a model file stores of the surface, so that a query needs no ray caster."""
        return {
            "edges": self.edges,
            "weights": self.weights,
            "lengths": self.lengths,
            "mass": self.mass,
            "area": np.array([self.area]),
        }

    @classmethod
    def from_arrays(cls, vertices: np.ndarray, arrays: dict[str, np.ndarray]) -> "Surface":
        """Inverse of `arrays`."""
        return cls(
            vertices,
            arrays["edges"],
            arrays["weights"],
            arrays["lengths"],
            arrays["mass"],
            float(arrays["area"][0]),
        )


def measure_surface(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """Measure concavity and thickness of a welded mesh and weigh its edges by them.

    vertices [P, 3], faces [G, 3] without degenerate or duplicate faces; every vertex may be isolated.
    """
    if len(faces) == 0:
        empty = np.zeros(0)
        mass = np.full(len(vertices), 1 / max(len(vertices), 1))  # [P]
        return Surface(vertices, np.zeros((0, 2), np.int32), empty, empty, mass, 1.0)
    rasterizer = EmbreeRasterizer(vertices, faces)
    faces = orient(vertices, faces, rasterizer)  # [G, 3]
    edges, cotangents, vertex_area, face_normals = cotangent_graph(vertices, faces)
    total = vertex_area.sum()
    size = np.sqrt(total)  # R
    span = vertices[edges[:, 1]] - vertices[edges[:, 0]]  # [E, 3]
    length = np.maximum(np.linalg.norm(span, axis=1), 1e-12 * size)  # [E]
    plain = laplacian(edges, cotangents, len(vertices))  # [P, P]
    area_matrix = sp.diags(np.maximum(vertex_area, LEAST_MASS * total))  # [P, P]

    def smooth(values: np.ndarray, radius: float) -> np.ndarray:
        return Factor(area_matrix + (radius * size) ** 2 * plain).solve(area_matrix @ values)

    normals = np.zeros_like(vertices)  # [P, 3]
    for corner in range(3):
        np.add.at(normals, faces[:, corner], face_normals)
    normals = unit(smooth(unit(normals), NORMAL_RADIUS))  # [P, 3]
    turn = normals[edges[:, 1]] - normals[edges[:, 0]]  # [E, 3]
    # With outward normals they turn towards each other over a valley: the product is negative there.
    concavity = np.maximum(0, -(span * turn).sum(axis=1) / length**2) * NORMAL_RADIUS * size  # [E]

    thickness = np.log(np.maximum(shape_diameter(vertices, normals, size, rasterizer), 1e-3 * size) / size)  # [P]
    thickness = smooth(thickness, THICKNESS_RADIUS)  # [P]
    change = np.abs(thickness[edges[:, 1]] - thickness[edges[:, 0]]) / length * THICKNESS_RADIUS * size  # [E]

    damping = np.exp(-concavity / CONCAVITY_SCALE - change / THICKNESS_SCALE) + WEIGHT_FLOOR  # [E]
    return Surface(vertices, edges, cotangents * damping, length / size, vertex_area / total, float(total))


def laplacian(edges: np.ndarray, weights: np.ndarray, count: int) -> sp.csc_matrix:
    """Graph Laplacian of edges [E, 2] with weights [E]. [count, count]"""
    i, j = edges.T
    off = sp.coo_matrix((np.r_[weights, weights], (np.r_[i, j], np.r_[j, i])), shape=(count, count)).tocsc()
    return (sp.diags(np.asarray(off.sum(axis=1)).ravel()) - off).tocsc()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1 (rows of zero stay zero). [N, 3]"""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


def cotangent_graph(vertices: np.ndarray, faces: np.ndarray):
    """Edges [E, 2], clipped cotangent weights [E], vertex areas [P], face normals times twice the area [G, 3].

    An edge of any number of faces gets half the sum of the cotangents that face it.
    """
    corners = vertices[faces]  # [G, 3, 3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [G, 3]
    double_area = np.linalg.norm(normals, axis=1)  # [G]
    pairs, cotangents = [], []
    for k in range(3):
        a, b = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]  # [G, 3]
        cotangents.append((a * b).sum(axis=1) / np.maximum(double_area, 1e-30))
        pairs.append(faces[:, [(k + 1) % 3, (k + 2) % 3]])
    pair = np.sort(np.concatenate(pairs), axis=1)  # [3G, 2]
    key = pair[:, 0].astype(np.int64) * len(vertices) + pair[:, 1]  # [3G]
    unique, inverse = np.unique(key, return_inverse=True)
    weights = np.bincount(inverse, np.clip(np.concatenate(cotangents), -1e6, 1e6)) / 2  # [E]
    edges = np.stack([unique // len(vertices), unique % len(vertices)], axis=1).astype(np.int32)  # [E, 2]
    vertex_area = np.bincount(faces.ravel(), np.repeat(double_area / 6, 3), minlength=len(vertices))  # [P]
    return edges, np.clip(weights, *COTANGENT_RANGE), vertex_area, normals


def orient(vertices: np.ndarray, faces: np.ndarray, rasterizer: EmbreeRasterizer) -> np.ndarray:
    """Faces turned so that neighbours agree and normals point outwards (to where there is more room). [G, 3] int32"""
    count = len(faces)
    start = faces.ravel()  # [3G] edge k runs from corner k to corner k + 1
    end = np.roll(faces, -1, axis=1).ravel()  # [3G]
    low, high = np.minimum(start, end), np.maximum(start, end)  # [3G]
    key = low.astype(np.int64) * len(vertices) + high  # [3G]
    order = np.argsort(key, kind="stable")  # [3G]
    same = key[order][1:] == key[order][:-1]  # [3G - 1] consecutive half-edges of one edge
    first, second = order[:-1][same], order[1:][same]  # [A]
    # 1 says disagree, a large number agree, so that faces which share several edges agree only where all of these do.
    data = np.where(start[first] != start[second], AGREE, 1)  # [A] opposite directions: the two faces agree
    pairs = np.stack([first // 3, second // 3])  # [2, A]
    adjacency = sp.coo_matrix((data, pairs), shape=(count + 1, count + 1))
    pieces, label = connected_components(adjacency.tocsr()[:count, :count], directed=False)
    roots = np.unique(label, return_index=True)[1]  # [pieces]
    hub = sp.coo_matrix((np.full(pieces, AGREE), (roots, np.full(pieces, count))), shape=adjacency.shape)
    graph = (adjacency + adjacency.T + hub + hub.T).tocsr()  # one walk from the hub reaches every piece
    walk, parent = breadth_first_order(graph, count, directed=False)
    child, up = walk[1:], parent[walk[1:]]  # [G]
    differs = np.asarray(graph[up, child]).ravel() % AGREE != 0  # [G]
    state = [False] * (count + 1)
    for face, other, differ in zip(child.tolist(), up.tolist(), differs.tolist(), strict=True):
        state[face] = state[other] != differ
    faces = np.where(np.array(state[:count])[:, None], faces[:, ::-1], faces)  # [G, 3]

    corners = vertices[faces]  # [G, 3, 3]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # [G, 3]
    double_area = np.linalg.norm(normal, axis=1)  # [G]
    normal = unit(normal)
    centre, far = corners.mean(axis=1), 4.0  # [G, 3]; the shape lies in the unit sphere
    room = np.zeros(count)  # [G]
    for sign in (1.0, -1.0):
        hit = rasterizer.cast(centre + sign * 1e-4 * normal, sign * normal)
        room += sign * np.where(hit["primID"] < 0, far, np.minimum(hit["tfar"], far))
    inward = np.bincount(label, room * double_area, minlength=pieces) < 0  # [pieces]
    return np.where(inward[label][:, None], faces[:, ::-1], faces).astype(np.int32)  # [G, 3]


def shape_diameter(vertices: np.ndarray, normals: np.ndarray, size: float, rasterizer: EmbreeRasterizer) -> np.ndarray:
    """Median distance to the other side over a cone of rays about the inward normal. [P]

    Rays that leave the shape are ignored; where all do, the mesh's median stands in.
    """
    i = np.arange(CONE_RAYS) + 0.5
    cosine = 1 - i / CONE_RAYS * (1 - np.cos(CONE_ANGLE))  # [24] even over the cap
    sine, turn = np.sqrt(1 - cosine**2), np.pi * (1 + 5**0.5) * i  # [24]
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])  # [P, 3]
    tangent = unit(np.cross(normals, helper))  # [P, 3]
    bitangent = np.cross(normals, tangent)  # [P, 3]
    around = np.cos(turn)[:, None] * tangent[:, None] + np.sin(turn)[:, None] * bitangent[:, None]  # [P, 24, 3]
    directions = sine[:, None] * around - cosine[:, None] * normals[:, None]  # [P, 24, 3]
    origins = np.repeat(vertices - 1e-3 * size * normals, CONE_RAYS, axis=0)  # [24P, 3]
    hit = rasterizer.cast(origins, directions.reshape(-1, 3))
    distance = np.where(hit["primID"] < 0, np.nan, hit["tfar"]).reshape(-1, CONE_RAYS)  # [P, 24]
    missed = np.isnan(distance).all(axis=1)  # [P]
    distance[missed] = 0.0
    median = np.nanmedian(distance, axis=1)  # [P]
    seen = median[~missed]
    return np.where(missed, np.median(seen) if len(seen) else size, median)
