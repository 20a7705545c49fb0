"""Candidate parts of one click: prefixes of the click's fields whose border is cheap for their size.

A field sorts the vertices by closeness to the click; the first n of them, for every n, are the prefixes. A part shows
as a local minimum of the border's cost over the area: the sweep of spectral partitioning (Spielman and Teng 2013).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .like_parts import shape_measures
from .shell_sets import nearest_sets, shell_sets
from .surface import Surface


@dataclass(frozen=True)
class CandidateSettings:
    """Weights of a candidate's score, and limits on the prefixes that are candidates. Areas: fractions of the surface.

    Score = border energy + size_prior * log(area / typical_area)^2 + off_middle * (how far off its middle the click
    lies, 0..1), where border energy = log(cut / sqrt(min(area, 1 - area)) + softening).
    """

    size_prior: float = 0.3
    typical_area: float = 0.08
    off_middle: float = 2.0  # more gains little and makes answers unstable
    softening: float = 0.03  # keeps a border that costs nothing from beating everything
    area_range: tuple[float, float] = (0.002, 0.98)  # of a candidate
    window: float = 0.1  # half width, in logit area, within which a candidate's border must be the cheapest
    per_field: int = 5  # candidates kept of each field
    least_vertices: int = 8  # a mesh of fewer has no proper part
    finer: float = 0.7  # share of its area below which a part is finer than another
    coarser: float = 2.0  # times its area beyond which a part is coarser than another
    whole_cost: float = 9.0  # score of all there is: chosen where nothing else is left, or `whole` is asked for
    facet: float = 0.0  # added to the score of a flat facet
    across: float = 0.9  # added to the score of a region that ends within shells and yet crosses contacts
    union: float = 0.5  # added to the score of several whole shells
    per_union: int = 5  # of them kept of each field
    remembered: int = 256  # clicks whose fields and candidates are kept


DEFAULTS = CandidateSettings()


@dataclass(frozen=True, eq=False)
class Candidates:
    """Regions that a click may mean, with their scores (lower is better) and areas (fractions of the surface)."""

    regions: np.ndarray  # [N, P] bool
    scores: np.ndarray  # [N]
    areas: np.ndarray  # [N]
    settings: CandidateSettings = DEFAULTS

    def pick(self) -> np.ndarray:
        """Region of the best score: what is meant where nothing more is said. [P] bool"""
        return self.regions[int(self.scores.argmin())]

    def score_of(self, region: np.ndarray, mass: np.ndarray) -> float:
        """Score of the candidate that is most like a region [P] bool; mass [P]."""
        apart = (self.regions != region) @ mass  # [N]
        return float(self.scores[int(apart.argmin())])


class PartFinder:
    """Fields and candidates of the clicks on a surface, computed once a vertex.

    fields(vertex) -> [T, P], candidates(vertex) -> Candidates, their measures(vertex) -> [N, 4] (like_parts.py) and
    shell_sets(vertex) -> [n, S] bool are LRU caches.
    """

    def __init__(self, surface: Surface, settings: CandidateSettings = DEFAULTS):
        fields = lru_cache(maxsize=settings.remembered)(surface.fields)
        self.surface, self.settings = surface, settings
        self.fields = fields
        # It knows no self: a cycle would keep a model in memory long after its last use.
        candidates = lru_cache(maxsize=settings.remembered)(
            lambda vertex: find_candidates(surface, vertex, fields(vertex), settings)
        )
        self.candidates = candidates
        self.measures = lru_cache(maxsize=settings.remembered)(
            lambda vertex: shape_measures(surface, candidates(vertex).regions)
        )
        self.shell_sets = lru_cache(maxsize=settings.remembered)(lambda vertex: shell_sets(surface, vertex))


def find_candidates(
    surface: Surface, vertex: int, fields: np.ndarray, settings: CandidateSettings = DEFAULTS
) -> Candidates:
    """Candidate parts that hold `vertex`, from its fields [T, P].

    They are pieces of its shell, the shell, and of a cluster of several shells also pieces across contacts, unions of
    whole shells, and the cluster.
    """
    shell = surface.components == surface.components[vertex]  # [P]
    found = [_pieces(surface, fields, np.flatnonzero(shell), settings), _whole(shell, surface.mass, settings)]
    if len(surface.facets) and surface.facets[vertex] >= 0:
        found.append(_facet(surface, vertex, shell, settings))
    if len(surface.contacts):
        found.append(_whole(np.ones_like(shell), surface.mass, settings))
        across = surface.joined.fields(vertex)  # [T, P]
        found.append(_pieces(surface.joined, across, np.arange(surface.vertex_count), settings, settings.across))
        found.append(_unions(surface, vertex, across, settings))
    regions, scores, areas = (np.concatenate(parts) for parts in zip(*found, strict=True))  # [N, P], [N], [N]
    off = np.array([surface.depth.off_middle(region, vertex)[0] for region in regions])  # [N]
    return Candidates(regions, scores + settings.off_middle * off, areas, settings)


class _Found(NamedTuple):
    """n candidates of one kind."""

    regions: np.ndarray  # [n, P] bool
    scores: np.ndarray  # [n] without the click's place in them
    areas: np.ndarray  # [n]


def _pieces(
    surface: Surface, fields: np.ndarray, members: np.ndarray, settings: CandidateSettings, cost: float = 0.0
) -> _Found:
    """Prefixes of the fields [T, P] among `members` [n] whose border is cheap for a part of them."""
    nothing, total = np.zeros(surface.vertex_count, dtype=bool), surface.mass[members].sum()  # [P]
    order, ranks = by_closeness(fields, members)  # [T, n], [T, P]
    sizes = np.cumsum(surface.mass[order], axis=1)  # [T, n]
    shares = sizes / max(total, 1e-12)  # [T, n]
    cuts = sweep(surface, order, ranks, nothing) / np.sqrt(max(total, 1e-12))  # [T, n] in the root of their own area
    energies = border_energy(cuts, shares, settings.softening)  # [T, n]
    rows, ends = local_minima(shares, energies, settings)  # [m] each
    scores = cost + energies[rows, ends] + size_cost(sizes[rows, ends], settings)  # [m]
    return _Found(ranks[rows] <= ends[:, None], scores, sizes[rows, ends])


def _facet(surface: Surface, vertex: int, shell: np.ndarray, settings: CandidateSettings) -> _Found:
    """The flat facet within which `vertex` lies, measured against its shell [P] bool."""
    region = surface.facets == surface.facets[vertex]  # [P]
    total, area = surface.mass @ shell, np.array([surface.mass @ region])  # [1]
    cut = np.array([surface.cut(region)]) / np.sqrt(max(total, 1e-12))  # [1]
    energy = border_energy(cut, area / max(total, 1e-12), settings.softening)  # [1]
    return _Found(region[None], settings.facet + energy + size_cost(area, settings), area)


def _whole(shell: np.ndarray, mass: np.ndarray, settings: CandidateSettings) -> _Found:
    """A whole shell [P] bool: no border is cheaper than its; unless there is nothing else."""
    area = np.array([mass[shell].sum()])  # [1]
    if shell.all() and np.count_nonzero(shell) >= settings.least_vertices:
        return _Found(shell[None], np.array([settings.whole_cost]), area)
    return _Found(shell[None], border_energy(np.zeros(1), area, settings.softening) + size_cost(area, settings), area)


def _unions(surface: Surface, vertex: int, across: np.ndarray, settings: CandidateSettings) -> _Found:
    """Unions of the click's shell with others, those first that its fields across contacts [T, P] say are close."""
    shells, areas = surface.components, surface.shell_areas  # [P], [S]
    found: dict[bytes, tuple[np.ndarray, float, float]] = {}
    for field in across:
        sets = nearest_sets(surface, vertex, field)  # [n, S]
        area = sets @ areas  # [n]
        energy = border_energy(surface.joined.cut(sets[:, shells]), area, settings.softening)  # [n]
        score = settings.union + energy + size_cost(area, settings)  # [n]
        for k in np.argsort(score, kind="stable")[: settings.per_union]:
            if settings.area_range[0] < area[k] < settings.area_range[1]:
                found.setdefault(sets[k].tobytes(), (sets[k][shells], float(score[k]), float(area[k])))
    regions, scores, sizes = zip(*found.values(), strict=True) if found else ((), (), ())
    return _Found(np.array(regions, dtype=bool).reshape(-1, len(shells)), np.array(scores), np.array(sizes))


def border_energy(cut: np.ndarray, area: np.ndarray, softening: float = DEFAULTS.softening) -> np.ndarray:
    """Scale-free cost of the borders of regions: log(cut / sqrt(min(a, 1 - a)) + softening). [N]

    Of a length and an area, the isoperimetric ratio; on the edge graph it plays the part of the Cheeger ratio.
    """
    return np.log(cut / np.sqrt(np.maximum(np.minimum(area, 1 - area), 1e-12)) + softening)


def size_cost(area: np.ndarray, settings: CandidateSettings = DEFAULTS) -> np.ndarray:
    """Cost of unusual areas: a log-normal prior on the area of a part. [N]"""
    return settings.size_prior * np.log(np.maximum(area, 1e-12) / settings.typical_area) ** 2


def region_score(cut: np.ndarray, area: np.ndarray, settings: CandidateSettings = DEFAULTS) -> np.ndarray:
    """Score of regions, wherever the click lies in them: energy of the border plus cost of the size. [N]"""
    return border_energy(cut, area, settings.softening) + size_cost(area, settings)


def by_closeness(fields: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort the vertices `members` [n] by each field [T, P], closest first.

    Returns the order [T, n] and every vertex's rank in it [T, P], n for those that are no members.
    """
    order = members[np.argsort(-fields.take(members, axis=1), axis=1)]  # [T, n] a stable sort takes thrice as long
    ranks = np.full(fields.shape, len(members))  # [T, P]
    for rank, vertices in zip(ranks, order, strict=True):
        rank[vertices] = np.arange(len(members))
    return order, ranks


def sweep(surface: Surface, order: np.ndarray, ranks: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Cut of `region` [P] bool after the first vertex of each order, the first two, ... have been flipped. [T, n]

    order [T, n], ranks [T, P]: as `by_closeness` gives them.
    """
    i, j = surface.ends  # [E] each
    sums, count = len(order), order.shape[1] + 1
    crossing = region[i] != region[j]  # [E]
    change = np.where(crossing, -surface.boundary_cost, surface.boundary_cost)  # [E] when its first end flips
    at_vertex = np.bincount(i, change, len(region)) + np.bincount(j, change, len(region))  # [P]
    flips = ranks[0] < count - 1  # [P]
    both = np.flatnonzero(flips[i] & flips[j])  # [e] their second end undoes what the first one did
    second = np.maximum(ranks.take(i[both], axis=1), ranks.take(j[both], axis=1))  # [T, e]
    second += count * np.arange(sums)[:, None]  # [T, e]
    undone = np.bincount(second.ravel(), np.tile(change[both], sums), sums * count).reshape(sums, count)  # [T, n + 1]
    steps = at_vertex[order] - 2 * undone[:, :-1]  # [T, n]
    return np.maximum(surface.boundary_cost[crossing].sum() + np.cumsum(steps, axis=1), 0.0)  # [T, n]


def local_minima(
    area: np.ndarray, energy: np.ndarray, settings: CandidateSettings = DEFAULTS
) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes whose energy [T, n] is the lowest within a window of logit area [T, n]: rows and ends, [m] int each.

    At most `per_field` of each row, those of the best score first. The logit treats a region and what it leaves alike:
    nearly everything but a handle is as distinct as the handle.
    """
    clipped = np.clip(area, 1e-12, 1 - 1e-9)  # [T, n] ascending
    rows, ends = lowest_within(np.log(clipped / (1 - clipped)), energy, settings.window)  # [m] each
    size = area[rows, ends]  # [m]
    fits = (size > settings.area_range[0]) & (size < settings.area_range[1])  # [m]
    rows, ends, size = rows[fits], ends[fits], size[fits]  # [m] each
    kept = cheapest(rows, energy[rows, ends] + size_cost(size, settings), settings.per_field)  # [e]
    return rows[kept], ends[kept]


def lowest_within(position: np.ndarray, energy: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Find finite energies [T, n] that are the lowest of their row within `window` of their position [T, n], ascending.

    Rows and columns in their order, [m] int each.
    """
    rows, count = position.shape
    apart = np.arange(rows)[:, None] * (np.ptp(position) + 2 * window)  # [T, 1] so that rows never meet
    position, energy = (position + apart).ravel(), energy.ravel()  # [T n] each
    # Most are not even lower than their neighbours.
    first = np.append((position[:-1] + window < position[1:]) | (energy[:-1] <= energy[1:]), True)  # [T n]
    second = np.append(True, (position[1:] - window > position[:-1]) | (energy[1:] <= energy[:-1]))  # [T n]
    at = np.flatnonzero(first & second & np.isfinite(energy))  # [m]
    low = np.searchsorted(position, position[at] - window)  # [m] first of each window
    high = np.searchsorted(position, position[at] + window, side="right")  # [m] one past the last
    ends = np.stack([low, high], axis=1).ravel()  # [2 m]
    at = at[energy[at] <= np.minimum.reduceat(np.append(energy, np.inf), ends)[::2]]
    return np.divmod(at, count)


def cheapest(rows: np.ndarray, cost: np.ndarray, count: int) -> np.ndarray:
    """Indices of at most `count` entries of least cost [n] of each row, cheapest first. [m] int

    rows [n]: number of each entry's row, ascending.
    """
    order = np.lexsort((cost, rows))  # [n] stable
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)  # [n] in its row
    return order[rank < count]
