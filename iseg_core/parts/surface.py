"""Surface of a cluster of touching shells: an edge graph, its conductances damped where parts meet, its Laplacian.

Parts meet where the surface is concave (the minima rule, Hoffman and Richards 1984) and where its thickness changes
(the shape diameter function, Shapira, Shamir and Cohen-Or 2008). Lengths are relative to R, the root of the total area.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components, dijkstra

from ..geometry.depth import Depth
from ..geometry.sparse_lu import Factor
from .laplacian import laplacian

TIMES = (1.0, 10.0, 100.0, 1000.0)  # screening of the fields: from the size of the shape to that of a detail
FEATURE_SPREAD = 0.3  # root mean square of the spectral features: most of them lie well within -1..1
LEAST_MASS = 1e-9  # isolated vertices have no area, yet their equations must be solvable


@dataclass(frozen=True, eq=False)
class Surface:
    """Edge graph of a cluster: conductances say how strongly two vertices belong together. P vertices, E edges.

    Edges join the vertices of one shell; C contacts join shells that touch. What is derived of it (components, factors,
    distances) is computed once, when it is first asked for.
    """

    vertices: np.ndarray  # [P, 3] float64
    edges: np.ndarray  # [E, 2] int32, each edge once
    weights: np.ndarray  # [E] float64, conductance of each edge
    lengths: np.ndarray  # [E] float64, in R
    mass: np.ndarray  # [P] float64, fraction of the total area
    area: float  # total area, in the vertices' units
    contacts: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int32))  # [C, 2] int32
    contact_weights: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [C] float64, conductance
    contact_lengths: np.ndarray = field(default_factory=lambda: np.zeros(0))  # [C] float64, in R
    facets: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int32)
    )  # [P] int32 (parts/facets.py), or none known

    def __getstate__(self) -> dict[str, Any]:
        """Give a copy or another process the measures alone: factors cannot travel, and all else is derived anew."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @property
    def vertex_count(self) -> int:
        return len(self.vertices)

    @cached_property
    def components(self) -> np.ndarray:
        """Connected component of each vertex: its shell. [P] int32"""
        return self.components_by(np.ones(len(self.edges), dtype=bool))[1]

    def components_by(self, kept: np.ndarray) -> tuple[int, np.ndarray]:
        """Count the components that the edges kept [E] bool connect; and which one each vertex is in, [P] int32."""
        start, other, edge = self._incidence
        kept = kept[edge]  # [E]
        before = np.zeros(len(kept) + 1, dtype=np.int32)  # [E + 1] how many are kept before each
        np.cumsum(kept, out=before[1:])
        graph = sp.csr_matrix((np.ones(before[-1]), other[kept], before[start]), shape=(self.vertex_count,) * 2)
        return connected_components(graph, directed=False)

    @cached_property
    def _incidence(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Edges sorted by first end: where a vertex's begin [P + 1], second ends [E], which edges [E]."""
        order = np.argsort(self.edges[:, 0], kind="stable")  # [E]
        start = np.searchsorted(self.edges[order, 0], np.arange(self.vertex_count + 1))  # [P + 1]
        return start, self.edges[order, 1], order

    @cached_property
    def ends(self) -> np.ndarray:
        """Both ends of each edge, as the indices that numpy takes fastest. [2, E] int64"""
        return np.ascontiguousarray(self.edges.T, dtype=np.intp)

    @cached_property
    def boundary_cost(self) -> np.ndarray:
        """Share of an edge in the cut of a region whose border crosses it: conductance * length. [E] float64"""
        return self.weights * self.lengths

    def cut(self, regions: np.ndarray) -> np.ndarray:
        """Cut of regions [..., P] bool: sum of conductance * length over the edges that their borders cross. [...]"""
        i, j = self.ends  # [E] each
        return (regions[..., i] != regions[..., j]) @ self.boundary_cost

    @cached_property
    def laplacian(self) -> sp.csc_matrix:
        """Laplacian of the edge graph. [P, P]"""
        return laplacian(self.edges, self.weights, self.vertex_count)

    @cached_property
    def shell_areas(self) -> np.ndarray:
        """Area of each shell, as a fraction of the total. [S]"""
        return np.bincount(self.components, self.mass)

    @cached_property
    def shell_sizes(self) -> np.ndarray:
        """Root of the area of each shell, and its spread along its principal axes, in the vertices' units. [S, 4]"""
        shells, share = self.components, np.maximum(self.shell_areas, 1e-12)  # [P], [S]
        mass = self.mass / share[shells]  # [P] of its shell
        middle = np.stack([np.bincount(shells, mass * x) for x in self.vertices.T], axis=1)  # [S, 3]
        offset = self.vertices - middle[shells]  # [P, 3]
        products = (offset[:, :, None] * offset[:, None, :]).reshape(-1, 9)  # [P, 9]
        spread = np.stack([np.bincount(shells, mass * x) for x in products.T], axis=1).reshape(-1, 3, 3)  # [S, 3, 3]
        axes = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0))  # [S, 3]
        return np.concatenate([np.sqrt(share * self.area)[:, None], axes], axis=1)

    @property
    def joined(self) -> "Surface":
        """The same surface with its contacts as edges, and no others: its shells are one."""
        return self._joined if len(self.contacts) else self  # a surface that kept itself would never be freed

    @cached_property
    def _joined(self) -> "Surface":
        return Surface(
            self.vertices,
            np.concatenate([self.edges, self.contacts]),
            np.concatenate([self.weights, self.contact_weights]),
            np.concatenate([self.lengths, self.contact_lengths]),
            self.mass,
            self.area,
        )

    @cached_property
    def _factors(self) -> list[Factor]:
        """Factors of L + tM for the t of TIMES; the mass of each connected component is 1."""
        mass = self.mass / np.maximum(self.shell_areas, 1e-12)[self.components]  # [P]
        mass = sp.diags(np.maximum(mass, LEAST_MASS))  # [P, P]
        return [Factor(self.laplacian + t * mass) for t in TIMES]

    def make_ready(self) -> None:
        """Factor now what the first click on the surface needs: it takes some ten times as long as a click."""
        _ = self._factors, self.joined._factors

    def fields(self, vertex: int) -> np.ndarray:
        """Solve the screened Poisson equations (L + tM) u = e_vertex, t in TIMES: closeness to a vertex. [T, P]

        They are zero beyond the vertex's own shell; those of `joined` cross contacts.
        """
        unit = np.zeros(self.vertex_count)  # [P]
        unit[vertex] = 1.0
        return np.stack([f.solve(unit) for f in self._factors])  # [T, P]

    @cached_property
    def _lengths(self) -> sp.csr_matrix:
        """Edge graph with the edges' lengths, both ways. [P, P]"""
        ends = np.concatenate([self.edges, self.edges[:, ::-1]])  # [2E, 2]
        return sp.csr_matrix((np.tile(self.lengths, 2), ends.T), shape=(self.vertex_count,) * 2)

    def distances(self, sources: int | np.ndarray) -> np.ndarray:
        """Edge-graph geodesic distance to the nearest source, in R; infinite on other components. [P]"""
        return dijkstra(self._lengths, indices=np.atleast_1d(sources), min_only=True)

    @cached_property
    def depth(self) -> Depth:
        """Depths of the vertices in regions of them."""
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
