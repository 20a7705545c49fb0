"""Corrections: every click after the first is a hard condition, met by the cheapest change of the region's border.

People click the middle of an error, so the distance from the click to the region's border tells the error's size. The
change grows from the click, or along the border, and may stop where the border of the result is cheap for that size.
Of these answers the one is taken for which all clicks made so far lie best in the middle of what was wrong.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..clicks.click import Granularity, VertexClick, VertexClicks, first_included
from .candidates import PartFinder, border_energy, by_closeness, cheapest, lowest_within, sweep
from .surface import Surface

SIZE_PRIOR = (0.2, 0.2, 0.4)  # weight of the expected size of a change: at the second click, the third, all others
DEPTH_TO_AREA = 4.0  # area of an error of depth d is about 4 d^2: somewhat more than a disc
WINDOW = 0.1  # half width, in log area of the change, within which a stop of the growth must be the cheapest
PER_FIELD = 3  # stops kept of each order of growth
ALIKE = 0.05  # answers that differ by less than this share of the expected change count as one
RIM = (1.0, 3.0)  # distance to the click, against that to the border, along which late changes grow
OFF_MIDDLE = 3.0  # price of an answer for which the click lies at the border of the error
EARLIER = 0.5  # how much an earlier click's place in its error counts against the last one's
RECENT = 3  # clicks, beside the first, whose places count
DEEPER_ERROR = 1.0  # weight of the log by which an error that was not clicked would lie deeper than the clicked one
TOO_LARGE = 0.98  # a region of more than this fraction of the surface is hardly meant
TOO_LARGE_PENALTY = 9.0
LEAST_CHANGE = 1e-6  # of the surface: less is no region
CRUMB = 0.01  # pieces of less than this fraction of the surface, without a click, are flipped

BLOCK = 250_000  # multiplications in a product; more would wake threads, which then spin beside the student
REMEMBERED = 4096  # answers kept: those to all training clicks of a mesh, which every view asks again


class Step(NamedTuple):
    """A click, and the region that was there when it was made."""

    region: np.ndarray  # [P] bool
    click: VertexClick


class Size(NamedTuple):
    """What a click's depth says about the change that it asks for."""

    area: float  # fraction of the surface
    weight: float  # how much that counts: first corrections still choose between parts, later ones mend borders


class Judged(NamedTuple):
    """An answer and what it costs to believe in it."""

    region: np.ndarray  # [P] bool
    cost: float


class Corrections:
    """Answers to sequences of clicks, each built on the answer to the clicks before it.

    Every prefix is remembered, so that taking a click back gives the very answer that was there before it.
    propose(clicks) -> [P] bool answers the clicks up to the first that includes; student(clicks) -> [P] bool is a
    region that may take over later, beside that click's candidates. It is waited for as late as can be.
    """

    def __init__(
        self,
        finder: PartFinder,
        propose: Callable[[VertexClicks], np.ndarray],
        student: Callable[[VertexClicks], np.ndarray] | None = None,
    ):
        self._finder, self._propose, self._student = finder, propose, student
        self._answers: dict[VertexClicks, np.ndarray] = {}

    def answer(self, clicks: VertexClicks) -> np.ndarray:
        """Region after `clicks`, which name proxy vertices; a vertex clicked twice is as the last one says. [P] bool"""
        if not any(include for _, include in clicks):
            return np.zeros(self._finder.surface.vertex_count, dtype=bool)  # [P]
        if clicks not in self._answers:
            if len(self._answers) >= REMEMBERED:
                self._answers.pop(next(iter(self._answers)))
            self._answers[clicks] = self._compute(clicks)
        return self._answers[clicks]

    def _compute(self, clicks: VertexClicks) -> np.ndarray:
        first = next(k for k, (_, include) in enumerate(clicks) if include)
        if first < len(clicks) - 1:
            recent = range(max(first + 1, len(clicks) - RECENT), len(clicks))
            steps = [Step(self.answer(clicks[:k]), clicks[k]) for k in (first, *recent)]
            return self._correct(steps, clicks)
        nothing = Step(np.zeros(self._finder.surface.vertex_count, dtype=bool), clicks[first])
        region = remove_crumbs(self._finder.surface, self._propose(clicks), [clicks[first]])  # [P]
        region[clicks[first][0]] = True
        # What was excluded before the first inclusion is excluded now, as if it had come after.
        order = (clicks[first], *clicks[:first])
        for k in range(1, len(order)):
            region = self._correct([nothing, Step(region, order[k])], order[: k + 1])
        return region

    def _correct(self, steps: list[Step], clicks: VertexClicks) -> np.ndarray:
        finder, student = self._finder, self._student
        rivals = finder.candidates(first_included(clicks)).regions  # [N, P]
        late = (lambda: student(clicks)) if student else None
        return correct(finder.surface, steps, clicks, finder.fields(clicks[-1][0]), rivals, late)


def correct(
    surface: Surface,
    steps: Sequence[Step],
    clicks: Sequence[VertexClick],
    fields: np.ndarray,
    rivals: np.ndarray | None = None,
    late: Callable[[], np.ndarray] | None = None,
) -> np.ndarray:
    """The region that answers the last of `steps`. [P] bool

    steps: the clicks so far with the regions that they were made on; the earlier ones say what is likely. clicks: all
    that must hold, the last step's among them. fields [T, P]: of that click. rivals [N, P] bool: other regions that may
    take over where they honour every click (this is how a click switches granularity). late() -> [P] bool: one more, of
    a student that may still be at work on it. Nothing changes where the region is right at the click already.
    """
    region, (vertex, include) = steps[-1]
    if region[vertex] == include:
        return region
    prior = SIZE_PRIOR[min(max(len(clicks) - 2, 0), len(SIZE_PRIOR) - 1)]
    away = surface.distances(vertex)  # [P]
    expected = Size(expected_change(surface, region, steps[-1].click, away), prior)
    orders = np.array([*fields, *_along_border(surface, region == include, away)]) if len(clicks) > 2 else fields
    answers, energies = _growths(surface, region, clicks, orders, expected)  # [N, P], [N]
    if rivals is not None:
        others, costs = _rivals_that_hold(surface, region, clicks, rivals, expected)  # [n, P], [n]
        answers, energies = np.concatenate([answers, others]), np.append(energies, costs)  # [N + n, P], [N + n]
    alike = ALIKE * expected.area
    best = _likeliest(surface, answers, energies, steps, alike)
    if late is not None:
        others, costs = _rivals_that_hold(surface, region, clicks, late()[None], expected)  # [n, P], [n] one or none
        for other, cost in zip(others, costs, strict=True):
            cheaper = answers[energies <= cost]  # [m, P] of those alike the cheapest counts, as among the others
            if ((cheaper != other) @ surface.mass >= alike).all():
                best = _likeliest(surface, others, costs, steps, alike, best)
    # Where there is none, the click is alone on its shell: it is all that can change.
    found = remove_crumbs(surface, region if best is None else best.region, clicks)  # [P]
    found[[v for v, _ in clicks]] = [include for _, include in clicks]
    return found


def _likeliest(
    surface: Surface,
    answers: np.ndarray,
    energies: np.ndarray,
    steps: Sequence[Step],
    alike: float,
    best: Judged | None = None,
) -> Judged | None:
    """Of the answers [N, P] bool and the best one so far the one of least energy [N] and doubt; None if there are none.

    Doubts are costly to compute and never negative: the answer that is cheapest so far is always the next to be doubted
    a little more (best-first search, Hart, Nilsson and Raphael 1968). Of answers that differ by less than the area
    `alike` only that of the least energy counts.
    """
    apart = _areas_apart(surface, answers)  # [N, N]
    heap = [(energy, place) for place, energy in enumerate(energies.tolist())]
    heapq.heapify(heap)
    begun: dict[int, Iterator[float]] = {}
    while heap and (best is None or heap[0][0] < best.cost):
        cost, place = heapq.heappop(heap)
        if place not in begun:
            if (apart[place, list(begun)] < alike).any():
                continue
            begun[place] = _doubts(surface, answers[place], steps)
        doubt = next(begun[place], None)
        if doubt is None:
            return Judged(answers[place], cost)
        heapq.heappush(heap, (cost + doubt, place))
    return best


def _areas_apart(surface: Surface, regions: np.ndarray) -> np.ndarray:
    """Area in which each two of the regions [N, P] bool differ. [N, N]"""
    members = regions.astype(np.float64)  # [N, P]
    weighted = members * surface.mass  # [N, P]
    shared, step = np.zeros((len(regions), len(regions))), max(BLOCK // max(len(regions), 1) ** 2, 1)  # [N, N]
    for k in range(0, members.shape[1], step):
        shared += members[:, k : k + step] @ weighted[:, k : k + step].T
    own = shared.diagonal()  # [N]
    return own[:, None] + own - 2 * shared


def _doubts(surface: Surface, answer: np.ndarray, steps: Sequence[Step]) -> Iterator[float]:
    """How hard it is to believe that a user who wants `answer` [P] bool made these clicks: terms of a sum.

    Each is to lie in the middle of an error of its kind (the first one of all that is wanted), and no error of the
    other kind is to lie deeper. The last click tells most.
    """
    for k in (-1, *range(len(steps) - 1)):
        region, (vertex, include) = steps[k]
        if region[vertex] == include or answer[vertex] != include:
            continue  # no error was clicked; or a later click has taken this one back
        weight = 1.0 if k < 0 else EARLIER
        gained, lost = answer > region, answer < region  # [P] each
        clicked, other = (gained, lost) if include else (lost, gained)  # [P] each
        off, depth = surface.depth.off_middle(clicked, vertex)
        yield weight * OFF_MIDDLE * off
        deepest = surface.depth.greatest(other, depth)
        yield weight * DEEPER_ERROR * float(np.log(deepest / max(depth, 1e-30))) if deepest > depth else 0.0


def expected_change(surface: Surface, region: np.ndarray, click: VertexClick, away: np.ndarray) -> float:
    """Area, as a fraction of the surface, that a click at this depth of an error is expected to change.

    away [P]: distance of every vertex from the click along the surface: through a thin wall the other side is near, yet
    no border of the error.
    """
    vertex, include = click
    depth = away[region == include].min(initial=np.inf)
    if not np.isfinite(depth):  # nothing on this shell is right yet
        area = surface.mass[surface.shells == surface.shells[vertex]].sum()
    else:
        area = DEPTH_TO_AREA * depth**2
    return float(max(area, LEAST_CHANGE))  # a vertex without faces has no area


def _along_border(surface: Surface, right: np.ndarray, away: np.ndarray) -> list[np.ndarray]:
    """Orders of change for errors that are rims: nearest to what is right [P] bool first, and to the click. list of [P]

    away [P]: distance from the click.
    """
    if not right.any():
        return []
    border = surface.distances(np.flatnonzero(right))  # [P]
    return [-(border + rim * away) for rim in RIM]


def _growths(
    surface: Surface,
    region: np.ndarray,
    clicks: Sequence[VertexClick],
    orders: np.ndarray,
    expected: Size,
) -> tuple[np.ndarray, np.ndarray]:
    """Answers at which the change may stop of each order (a closeness; [T, P]); their energies. [N, P] bool, [N]"""
    vertex, include = clicks[-1]
    free = np.flatnonzero((surface.shells == surface.shells[vertex]) & (region != include))  # [n]
    barred = np.zeros(surface.vertex_count, dtype=bool)  # [P]
    barred[[v for v, other in clicks if other != include]] = True
    order, ranks = by_closeness(orders, free)  # [T, n], [T, P]
    cuts = sweep(surface, order, ranks, region)  # [T, n]
    changes = np.cumsum(surface.mass[order], axis=1)  # [T, n]
    before = region @ surface.mass
    energies = _energy(cuts, before + changes if include else before - changes, changes, expected)  # [T, n]
    energies[np.logical_or.accumulate(barred[order], axis=1)] = np.inf  # no further than a click of the other kind
    rows, ends = lowest_within(np.log(np.maximum(changes, 1e-9)), energies, WINDOW)  # [e] each
    found = energies[rows, ends]  # [e]
    kept = cheapest(rows, found, PER_FIELD)  # [N]
    return np.where(ranks[rows[kept]] <= ends[kept, None], include, region), found[kept]


def _rivals_that_hold(
    surface: Surface, region: np.ndarray, clicks: Sequence[VertexClick], rivals: np.ndarray, expected: Size
) -> tuple[np.ndarray, np.ndarray]:
    """The rivals [N, P] that honour every click, and the energies of taking them instead. [n, P] bool, [n]"""
    rivals = rivals[(rivals[:, [v for v, _ in clicks]] == [include for _, include in clicks]).all(axis=1)]  # [n, P]
    energy = _energy(surface.cut(rivals), rivals @ surface.mass, (rivals != region) @ surface.mass, expected)  # [n]
    possible = np.isfinite(energy)  # [n]
    return rivals[possible], energy[possible]


def _energy(cut: np.ndarray, area: np.ndarray, change: np.ndarray, expected: Size) -> np.ndarray:
    size = np.log(np.maximum(change, 1e-9) / expected.area) ** 2  # [n]
    energy = border_energy(cut, area) + expected.weight * size + TOO_LARGE_PENALTY * (area > TOO_LARGE)
    return np.where(area > 1e-9, energy, np.inf)  # nothing left is never meant


def remove_crumbs(surface: Surface, region: np.ndarray, clicks: Sequence[VertexClick]) -> np.ndarray:
    """Flip pieces of less than CRUMB of the surface that hold no click and are not a whole shell. [P] bool"""
    i, j = surface.ends  # [E] each
    kept = region[i] == region[j]  # [E]
    pieces, label = surface.pieces(kept)
    crumb = np.bincount(label, surface.mass, minlength=pieces) < CRUMB  # [pieces]
    crumb[label[[v for v, _ in clicks]]] = False
    bordered = np.zeros(pieces, dtype=bool)  # [pieces] pieces that touch the other side: not whole shells
    bordered[label[np.r_[i[~kept], j[~kept]]]] = True
    return region ^ (crumb & bordered)[label]


def propose_parts(finder: PartFinder, granularity: Granularity) -> Corrections:
    """Answers by geometry alone: the first click's best candidate, corrected by the later clicks."""
    return Corrections(finder, lambda clicks: finder.candidates(first_included(clicks)).pick(granularity))
