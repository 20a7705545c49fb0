"""Assembly: the surfaces of a proxy, one for each cluster of touching shells, to whose parts clicks on it belong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..clicks.click import VertexClick, VertexClicks
from .candidates import Candidates, PartFinder
from .ladder import PART
from .sequences import ORDER, Corrections, OrderSettings, propose_parts
from .surface import Surface


@dataclass(frozen=True, eq=False)
class Assembly:
    """Surfaces of a proxy of P vertices: K clusters of touching shells, each measured in its own lengths."""

    clusters: np.ndarray  # [P] int32, the surface that each vertex belongs to
    surfaces: tuple[Surface, ...]  # K

    def __getstate__(self) -> dict[str, Any]:
        """Give a copy or another process the measures alone; all else is derived anew."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def members(self) -> tuple[np.ndarray, ...]:
        """Vertices of each cluster, in the order its surface has them. [n] each"""
        return tuple(np.flatnonzero(self.clusters == k) for k in range(len(self.surfaces)))

    @cached_property
    def ranks(self) -> np.ndarray:
        """Number of each vertex within its own cluster. [P]"""
        ranks = np.empty(len(self.clusters), dtype=np.int64)  # [P]
        for members in self.members:
            ranks[members] = np.arange(len(members))
        return ranks

    @cached_property
    def whole(self) -> Surface:
        """All clusters as one surface, whose shells are joined where they touch."""
        if len(self.surfaces) == 1:
            return self.surfaces[0].joined
        area = np.array([surface.area for surface in self.surfaces])  # [K]
        total, joined = max(float(area.sum()), 1e-300), [surface.joined for surface in self.surfaces]
        vertices, mass = np.empty((len(self.clusters), 3)), np.empty(len(self.clusters))  # [P, 3], [P]
        for members, surface in zip(self.members, joined, strict=True):
            vertices[members], mass[members] = surface.vertices, surface.mass * surface.area / total
        pairs = list(zip(self.members, joined, strict=True))
        return Surface(
            vertices,
            np.concatenate([members[surface.edges] for members, surface in pairs]).astype(np.int32),
            np.concatenate([surface.weights for surface in joined]),
            np.concatenate([surface.lengths * np.sqrt(surface.area / total) for surface in joined]),
            mass,
            total,
        )

    @cached_property
    def shells(self) -> np.ndarray:
        """Connected shell of each vertex. [P] int64"""
        shells, count = np.empty(len(self.clusters), dtype=np.int64), 0  # [P]
        for members, surface in zip(self.members, self.surfaces, strict=True):
            shells[members] = surface.components + count
            count += int(surface.components.max()) + 1
        return shells

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by the names that a model file stores them under, so that a query needs no ray caster."""
        pairs = list(zip(self.members, self.surfaces, strict=True))
        facets = self._by_vertex([surface.facets for surface in self.surfaces])  # [P], or [0]
        known = {"facets": facets} if len(facets) else {}
        return known | {
            "clusters": self.clusters.astype(np.int32),
            "edges": np.concatenate([members[surface.edges] for members, surface in pairs]).astype(np.int32),
            "weights": np.concatenate([surface.weights for surface in self.surfaces]),
            "lengths": np.concatenate([surface.lengths for surface in self.surfaces]),
            "mass": self._by_vertex([surface.mass for surface in self.surfaces]),
            "area": np.array([surface.area for surface in self.surfaces]),
            "contacts": np.concatenate([members[surface.contacts] for members, surface in pairs]).astype(np.int32),
            "contact_weights": np.concatenate([surface.contact_weights for surface in self.surfaces]),
            "contact_lengths": np.concatenate([surface.contact_lengths for surface in self.surfaces]),
        }

    def _by_vertex(self, parts: list[np.ndarray]) -> np.ndarray:
        """Join what the clusters have of their vertices, in the vertices' order. [P]; [0] where they have nothing"""
        joined = np.concatenate(parts)
        return joined[np.argsort(np.concatenate(self.members))] if len(joined) else joined

    @classmethod
    def from_arrays(cls, vertices: np.ndarray, arrays: dict[str, np.ndarray]) -> "Assembly":
        """Make an assembly from what `arrays` gave of it. Files of format 1 have one cluster and no contacts."""
        clusters = arrays.get("clusters", np.zeros(len(vertices), np.int32))  # [P]
        contacts = arrays.get("contacts", np.zeros((0, 2), np.int32))  # [C, 2]
        weights, lengths = (arrays.get(f"contact_{name}", np.zeros(0)) for name in ("weights", "lengths"))  # [C] each
        facets = arrays.get("facets", np.zeros(0, np.int32))  # [P], or [0]
        edges, surfaces = arrays["edges"], []
        ranks = np.empty(len(vertices), dtype=np.int32)  # [P]
        for k, area in enumerate(arrays["area"]):
            members = np.flatnonzero(clusters == k)  # [n]
            ranks[members] = np.arange(len(members))
            edge, contact = clusters[edges[:, 0]] == k, clusters[contacts[:, 0]] == k  # [E], [C]
            surfaces.append(
                Surface(
                    vertices[members],
                    ranks[edges[edge]],
                    arrays["weights"][edge],
                    arrays["lengths"][edge],
                    arrays["mass"][members],
                    float(area),
                    ranks[contacts[contact]],
                    weights[contact],
                    lengths[contact],
                    facets[members] if len(facets) else facets,
                )
            )
        return cls(clusters, tuple(surfaces))


class AssemblyFinder:
    """Finders of the surfaces of an assembly, made when a click first asks for one."""

    def __init__(self, assembly: Assembly):
        self.assembly = assembly
        self._finders: dict[int, PartFinder] = {}

    def make_ready(self) -> None:
        """Prepare for a first click where it is likeliest, on the largest surface."""
        max(self.assembly.surfaces, key=lambda surface: surface.area).make_ready()

    def finder(self, cluster: int) -> PartFinder:
        """Return the finder of a cluster's surface."""
        if cluster not in self._finders:
            self._finders[cluster] = PartFinder(self.assembly.surfaces[cluster])
        return self._finders[cluster]

    def place(self, vertex: int) -> tuple[int, int]:
        """Find the cluster of a proxy vertex, and its number there."""
        return int(self.assembly.clusters[vertex]), int(self.assembly.ranks[vertex])

    def candidates(self, vertex: int) -> Candidates:
        """Find the candidate parts of a click on a proxy vertex; their regions are of its cluster's vertices."""
        cluster, own = self.place(vertex)
        return self.finder(cluster).candidates(own)

    def expand(self, vertex: int, regions: np.ndarray) -> np.ndarray:
        """Spread regions [..., n] of the vertex's cluster over the whole proxy. [..., P] bool"""
        members = self.assembly.members[self.assembly.clusters[vertex]]  # [n]
        spread = np.zeros((*regions.shape[:-1], len(self.assembly.clusters)), dtype=bool)  # [..., P]
        spread[..., members] = regions
        return spread


class AssemblyCorrections:
    """Answers to sequences of clicks: those on one cluster are answered there, and the answers united."""

    def __init__(self, assembly: Assembly, make: Callable[[int], Corrections]):
        """make: the corrections of a cluster, asked for with its first click."""
        self._assembly, self._make = assembly, make
        self._made: dict[int, Corrections] = {}

    def answer(self, clicks: VertexClicks, size: float = PART) -> np.ndarray:
        """Region after `clicks`, which name proxy vertices, of a size in 0..1. [P] bool"""
        assembly = self._assembly
        region = np.zeros(len(assembly.clusters), dtype=bool)  # [P]
        for cluster, own in self._by_cluster(clicks):
            region[assembly.members[cluster]] = self._of(cluster).answer(own, size)
        return region

    def sizes(self, clicks: VertexClicks) -> np.ndarray:
        """Sizes in 0..1 at which the answer may change, ascending. [n]"""
        found = [self._of(cluster).sizes(own) for cluster, own in self._by_cluster(clicks)]
        return np.unique(np.concatenate([[PART], *found]))

    def _of(self, cluster: int) -> Corrections:
        if cluster not in self._made:
            self._made[cluster] = self._make(cluster)
        return self._made[cluster]

    def _by_cluster(self, clicks: VertexClicks) -> Iterator[tuple[int, VertexClicks]]:
        """Yield each cluster that was clicked, and the clicks on it by its own vertices."""
        clusters, ranks = self._assembly.clusters, self._assembly.ranks
        for cluster in dict.fromkeys(int(clusters[vertex]) for vertex, _ in clicks):
            own = (click for click in clicks if clusters[click.vertex] == cluster)
            yield cluster, tuple(VertexClick(int(ranks[vertex]), include) for vertex, include in own)


def propose_assembly(finder: AssemblyFinder, order: OrderSettings = ORDER) -> AssemblyCorrections:
    """Corrections by geometry alone, cluster by cluster."""
    return AssemblyCorrections(finder.assembly, lambda cluster: propose_parts(finder.finder(cluster), order))
