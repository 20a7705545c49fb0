"""Corrections: every click after the first is a hard condition, met by the cheapest change of the region's border.

People click the middle of an error, so the distance from the click to the region's border tells the error's size.
The change grows from the click along its fields and stops where the border of the result is cheap for that size.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from .regions import PartFinder, border_energy, sweep
from .surface import Surface

SIZE_PRIOR = 0.6  # weight of the size that the click's depth suggests
DEPTH_TO_AREA = 4.0  # area of an error of depth d is about 4 d^2: somewhat more than a disc
TOO_LARGE = 0.98  # a region of more than this fraction of the surface is hardly meant
TOO_LARGE_PENALTY = 9.0
LEAST_CHANGE = 1e-6  # of the surface: less is no region
CRUMB = 0.01  # pieces of less than this fraction of the surface, without a click, are flipped

REMEMBERED = 1024  # answers kept

Click = tuple[int, bool]  # vertex, True to include


def first_included(clicks: tuple[Click, ...]) -> int:
    """The first vertex that is to be included; there is one."""
    return next(vertex for vertex, include in clicks if include)


class Corrections:
    """Answers to sequences of clicks, each built on the answer to the clicks before it.

    Every prefix is remembered, so that taking a click back gives the very answer that was there before it.
    propose(clicks) -> [P] bool answers the clicks up to the first positive one; rivals(clicks) -> [N, P] bool are
    further regions that may take over later.
    """

    def __init__(
        self,
        finder: PartFinder,
        propose: Callable[[tuple[Click, ...]], np.ndarray],
        rivals: Callable[[tuple[Click, ...]], np.ndarray],
    ):
        self._finder, self._propose, self._rivals = finder, propose, rivals
        self._answers: dict[tuple[Click, ...], np.ndarray] = {}

    def answer(self, clicks: tuple[Click, ...]) -> np.ndarray:
        """Region after `clicks`, which name proxy vertices; a vertex clicked twice has its last label. [P] bool"""
        if not any(positive for _, positive in clicks):
            return np.zeros(self._finder.surface.vertex_count, dtype=bool)  # [P]
        if clicks not in self._answers:
            if len(self._answers) >= REMEMBERED:
                self._answers.pop(next(iter(self._answers)))
            self._answers[clicks] = self._compute(clicks)
        return self._answers[clicks]

    def _compute(self, clicks: tuple[Click, ...]) -> np.ndarray:
        surface = self._finder.surface
        first = next(k for k, (_, positive) in enumerate(clicks) if positive)
        if first == len(clicks) - 1:
            region = remove_crumbs(surface, self._propose(clicks), list(clicks[first:]))  # [P]
            # What was excluded before the first inclusion is excluded now, as if it had come after.
            order = [clicks[first], *clicks[:first]]
            region[clicks[first][0]] = True
            for k in range(2, len(order) + 1):
                region = self._step(region, order[:k])
            return region
        return self._step(self.answer(clicks[:-1]), list(clicks))

    def _step(self, region: np.ndarray, clicks: list[Click]) -> np.ndarray:
        fields = self._finder.fields(clicks[-1][0])  # [T, P]
        return correct(self._finder.surface, region, clicks, fields, self._rivals(tuple(clicks)))


def correct(
    surface: Surface,
    region: np.ndarray,
    clicks: list[Click],
    fields: np.ndarray,
    rivals: np.ndarray | None = None,
) -> np.ndarray:
    """The region after the last of `clicks`, whose earlier ones `region` [P] bool has answered. [P] bool

    fields [T, P]: the last click's fields. rivals [N, P] bool: other regions that may take over where they honour
    every click (this is how a click switches scale). Nothing changes where the region is right at the click already.
    """
    vertex, label = clicks[-1]
    if region[vertex] == label:
        return region
    expected = expected_change(surface, region, vertex, label)
    best, least = None, np.inf
    for flipped, energy in _growths(surface, region, clicks, fields, expected):
        if energy < least:
            best, least = region ^ flipped, energy
    if rivals is not None and len(rivals):
        for rival, energy in zip(rivals, _rival_energies(surface, region, clicks, rivals, expected), strict=True):
            if energy < least:
                best, least = rival, energy
    if best is None:  # the click is alone on its shell: it is all that can change
        best = region.copy()
    best = remove_crumbs(surface, best, clicks)
    best[[v for v, _ in clicks]] = [positive for _, positive in clicks]
    return best


def expected_change(surface: Surface, region: np.ndarray, vertex: int, label: bool) -> float:
    """Area, as a fraction of the surface, that a click at this depth of an error is expected to change.

    Depth is measured along the surface: through a thin wall the other side is near, yet no border of the error.
    """
    depth = surface.distances(vertex)[region == label].min(initial=np.inf)
    if not np.isfinite(depth):  # nothing on this shell is right yet
        area = surface.mass[surface.shells == surface.shells[vertex]].sum()
    else:
        area = DEPTH_TO_AREA * depth**2
    return float(max(area, LEAST_CHANGE))  # a vertex without faces has no area


def _growths(surface: Surface, region: np.ndarray, clicks: list[Click], fields: np.ndarray, expected: float):
    """For each field, the best set of vertices to flip and its energy."""
    vertex, label = clicks[-1]
    free = np.flatnonzero((surface.shells == surface.shells[vertex]) & (region != label))  # [n]
    opposite = [v for v, positive in clicks if positive != label]
    before = region @ surface.mass
    for field in fields:
        order = free[np.argsort(-field[free], kind="stable")]  # [n]
        stops = np.flatnonzero(np.isin(order, opposite))
        order = order[: stops[0]] if len(stops) else order
        if len(order) == 0:
            continue
        rank = np.full(surface.vertex_count, len(order))  # [P]
        rank[order] = np.arange(len(order))
        cut = sweep(surface, rank, region, len(order))  # [n]
        change = np.cumsum(surface.mass[order])  # [n]
        energy = _energy(cut, before + change if label else before - change, change, expected)  # [n]
        end = int(energy.argmin())
        flipped = np.zeros(surface.vertex_count, dtype=bool)  # [P]
        flipped[order[: end + 1]] = True
        yield flipped, energy[end]


def _rival_energies(
    surface: Surface, region: np.ndarray, clicks: list[Click], rivals: np.ndarray, expected: float
) -> np.ndarray:
    """Energy of taking each rival [N, P] instead; infinite where it contradicts a click. [N]"""
    honours = (rivals[:, [v for v, _ in clicks]] == [positive for _, positive in clicks]).all(axis=1)  # [N]
    energy = _energy(surface.cut(rivals), rivals @ surface.mass, (rivals != region) @ surface.mass, expected)  # [N]
    return np.where(honours, energy, np.inf)


def _energy(cut: np.ndarray, area: np.ndarray, change: np.ndarray, expected: float) -> np.ndarray:
    size = np.log(np.maximum(change, 1e-9) / expected) ** 2  # [n]
    energy = border_energy(cut, area) + SIZE_PRIOR * size + TOO_LARGE_PENALTY * (area > TOO_LARGE)
    return np.where(area > 1e-9, energy, np.inf)  # nothing left is never meant


def remove_crumbs(surface: Surface, region: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """Flip pieces of less than CRUMB of the surface that hold no click and are not a whole shell. [P] bool"""
    i, j = surface.edges.T
    kept = region[i] == region[j]  # [E]
    graph = sp.coo_matrix((np.ones(kept.sum()), (i[kept], j[kept])), shape=(surface.vertex_count,) * 2)
    pieces, label = connected_components(graph, directed=False)
    crumb = np.bincount(label, surface.mass, minlength=pieces) < CRUMB  # [pieces]
    crumb[label[[v for v, _ in clicks]]] = False
    bordered = np.zeros(pieces, dtype=bool)  # [pieces] pieces that touch the other side: not whole shells
    bordered[label[np.r_[i[~kept], j[~kept]]]] = True
    return region ^ (crumb & bordered)[label]
