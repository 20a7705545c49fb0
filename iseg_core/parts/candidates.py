"""Candidate parts of one click: prefixes of the click's fields whose border is cheap for their size.

A field sorts the vertices by closeness to the click; the first n of them, for every n, are the prefixes. A part shows
as a local minimum of the border's cost over the area: the sweep of spectral partitioning (Spielman and Teng 2013).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..clicks.click import Granularity
from .surface import Surface

AREA_RANGE = (0.002, 0.98)  # fractions of the surface that a proposed part may have
WINDOW = 0.1  # half width, in logit area, within which a candidate must be the lowest
PER_FIELD = 5  # candidates kept of each field
SOFTENING = 0.03  # keeps a free border from beating everything
REMEMBERED = 256  # clicks whose fields are kept
LEAST_VERTICES = 8  # a mesh of fewer has no proper part
TYPICAL_AREA = 0.08  # prior of a part's size, as a fraction of the surface
SIZE_PRIOR = 0.3
OFF_MIDDLE = 2.0  # price of a region at whose border the click lies; more gains little and makes answers unstable
STEP = 0.7  # a finer part has less than this times the area; a coarser one more than this times less


@dataclass(frozen=True, eq=False)
class Candidates:
    """Regions that a click may mean, with their scores (lower is better) and areas (fractions of the surface).

    A score is what the region's border and size cost, and that the click lies off its middle.
    """

    regions: np.ndarray  # [N, P] bool
    scores: np.ndarray  # [N]
    areas: np.ndarray  # [N]

    def best(self, granularity: Granularity = Granularity.PART) -> int:
        """Place of the best region of a granularity: part is the best of all; fine and whole are the best of clearly
        smaller and clearly larger area, or part where there is none."""
        return self._best[granularity]

    @cached_property
    def _best(self) -> dict[Granularity, int]:
        part = int(self.scores.argmin())
        area = self.areas[part]
        fitting = {Granularity.FINE: self.areas < STEP * area, Granularity.WHOLE: self.areas > area / STEP}  # [N] each
        return {Granularity.PART: part} | {
            granularity: int(np.where(fits, self.scores, np.inf).argmin()) if fits.any() else part
            for granularity, fits in fitting.items()
        }

    def pick(self, granularity: Granularity = Granularity.PART) -> np.ndarray:
        """The best region of a granularity. [P] bool"""
        return self.regions[self.best(granularity)]


class PartFinder:
    """A surface and what is known of the clicks on it: fields and candidates, computed once a vertex."""

    def __init__(self, surface: Surface):
        fields = lru_cache(maxsize=REMEMBERED)(surface.fields)
        self.surface = surface
        self.fields = fields  # vertex -> [T, P]
        # vertex -> Candidates. It knows no self: a cycle would keep a model in memory long after its last use.
        self.candidates = lru_cache(maxsize=REMEMBERED)(lambda vertex: find_candidates(surface, vertex, fields(vertex)))


def find_candidates(surface: Surface, vertex: int, fields: np.ndarray) -> Candidates:
    """Candidate parts that hold `vertex`, from its fields [T, P]; its shell too, unless that is the whole mesh."""
    shell = np.flatnonzero(surface.shells == surface.shells[vertex])  # [n]
    nothing = np.zeros(surface.vertex_count, dtype=bool)  # [P]
    regions, scores, areas = [], [], []
    if len(shell) < surface.vertex_count or len(shell) < LEAST_VERTICES:
        regions.append(nothing.copy())
        regions[0][shell] = True
        areas.append(surface.mass[shell].sum())
        scores.append(region_score(np.zeros(1), np.array(areas))[0])
    order, ranks = by_closeness(fields, shell)  # [T, n], [T, P]
    cuts = sweep(surface, order, ranks, nothing)  # [T, n]
    sizes = np.cumsum(surface.mass[order], axis=1)  # [T, n]
    rows, ends = local_minima(sizes, border_energy(cuts, sizes))  # [n] each
    regions.extend(ranks[rows] <= ends[:, None])
    scores.extend(region_score(cuts[rows, ends], sizes[rows, ends]))
    areas.extend(sizes[rows, ends])
    if not regions:  # a border that is nowhere cheap: the smallest honest answer is the click's whole shell
        regions, scores, areas = [surface.shells == surface.shells[vertex]], [0.0], [1.0]
    off = np.array([surface.depth.off_middle(region, vertex)[0] for region in regions])  # [N]
    return Candidates(np.array(regions), np.array(scores) + OFF_MIDDLE * off, np.array(areas))


def border_energy(cut: np.ndarray, area: np.ndarray) -> np.ndarray:
    """log(cut / sqrt(min(a, 1 - a)) + SOFTENING): scale-free cost of the borders of regions of area a. [N]"""
    return np.log(cut / np.sqrt(np.maximum(np.minimum(area, 1 - area), 1e-12)) + SOFTENING)


def size_cost(area: np.ndarray) -> np.ndarray:
    """Prior of a part's size. [N]"""
    return SIZE_PRIOR * np.log(np.maximum(area, 1e-12) / TYPICAL_AREA) ** 2


def region_score(cut: np.ndarray, area: np.ndarray) -> np.ndarray:
    """How little regions look like parts, whatever was clicked: energy of the border plus the prior of the size. [N]"""
    return border_energy(cut, area) + size_cost(area)


def by_closeness(fields: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices `members` [n], closest first by each field [T, P]: [T, n]; and the place of every vertex there, n
    for those that are no members: [T, P]."""
    order = members[np.argsort(-fields.take(members, axis=1), axis=1)]  # [T, n] a stable sort takes thrice as long
    ranks = np.full(fields.shape, len(members))  # [T, P]
    for rank, vertices in zip(ranks, order, strict=True):
        rank[vertices] = np.arange(len(members))
    return order, ranks


def sweep(surface: Surface, order: np.ndarray, ranks: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Border cost of `region` [P] bool after the first vertex of each order, the first two, ... have been flipped.

    order [T, n], ranks [T, P]: as `by_closeness` gives them. [T, n]
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


def local_minima(area: np.ndarray, energy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes whose energy [T, n] is the lowest within WINDOW of logit area [T, n]: rows and ends, best scores first.

    At most PER_FIELD of each row. The logit treats a region and what it leaves alike: nearly everything but a handle is
    as distinct as the handle.
    """
    clipped = np.clip(area, 1e-12, 1 - 1e-9)  # [T, n] ascending
    rows, ends = lowest_within(np.log(clipped / (1 - clipped)), energy, WINDOW)  # [m] each
    size = area[rows, ends]  # [m]
    fits = (size > AREA_RANGE[0]) & (size < AREA_RANGE[1])  # [m]
    rows, ends, size = rows[fits], ends[fits], size[fits]  # [m] each
    kept = cheapest(rows, energy[rows, ends] + size_cost(size), PER_FIELD)  # [e]
    return rows[kept], ends[kept]


def lowest_within(place: np.ndarray, energy: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Where energy [T, n] is finite and the lowest of all in its row within `window` of its ascending place [T, n].

    Rows and columns, [m] int each, in their order.
    """
    rows, count = place.shape
    apart = np.arange(rows)[:, None] * (np.ptp(place) + 2 * window)  # [T, 1] so that rows never meet
    place, energy = (place + apart).ravel(), energy.ravel()  # [T n] each
    # Most are not even lower than their neighbours.
    first = np.append((place[:-1] + window < place[1:]) | (energy[:-1] <= energy[1:]), True)  # [T n]
    second = np.append(True, (place[1:] - window > place[:-1]) | (energy[1:] <= energy[:-1]))  # [T n]
    at = np.flatnonzero(first & second & np.isfinite(energy))  # [m]
    low = np.searchsorted(place, place[at] - window)  # [m] first of each window
    high = np.searchsorted(place, place[at] + window, side="right")  # [m] one past the last
    ends = np.stack([low, high], axis=1).ravel()  # [2 m]
    at = at[energy[at] <= np.minimum.reduceat(np.append(energy, np.inf), ends)[::2]]
    return np.divmod(at, count)


def cheapest(rows: np.ndarray, cost: np.ndarray, count: int) -> np.ndarray:
    """Of the entries [n] of each row (ascending numbers [n]) at most `count` of least cost [n], those first. [m] int"""
    order = np.lexsort((cost, rows))  # [n] stable
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)  # [n] in its row
    return order[place < count]
