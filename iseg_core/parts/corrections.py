"""Corrections: every click after the first is a hard condition, met by the cheapest change of the region's border.

People click the middle of an error, so the distance from the click to the region's border tells the error's size. The
change grows from the click, or along the border, and may stop where the border of the result is cheap for that size.
Of these answers the one is taken for which all clicks made so far lie best in the middle of what was wrong.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..clicks.click import VertexClick
from ..geometry.depth import Depth
from .candidates import Candidates, PartFinder, border_energy, by_closeness, cheapest, lowest_within, sweep
from .like_parts import LIKE, find_like_parts, touched
from .shell_sets import copies
from .surface import Surface

BLOCK = 250_000  # multiplications in a product; more would wake threads, which then spin beside the student


@dataclass(frozen=True)
class CorrectionSettings:
    """Weights of the cost of an answer to a correcting click, and limits on the changes that are tried.

    Cost = border energy (as of the candidates) + size_prior * log(change / expected change)^2 + too_large_cost where it
    is + for each click that counts: off_middle * (how far off the middle of its error it lies, 0..1) + deeper_error *
    log(depth of the deepest error of the other kind / depth of the click), where that is deeper.
    """

    size_prior: tuple[float, ...] = (0.2, 0.2, 0.4)
    """At the second click, the third, all others: first corrections still choose between parts, later mend borders."""
    off_middle: float = 3.0
    deeper_error: float = 1.0
    earlier: float = 0.5  # how much an earlier click's place in its error counts against the last one's
    recent: int = 3  # clicks, beside the first, whose places count
    another_part: float = -0.7  # added to the energy of an included part apart from the region
    another_size_prior: float = 0.1  # of its area, as of a candidate's
    copies: float = -0.1  # added to the energy of all copies of a shell, once two of them were clicked
    piece: float = 0.99  # share of its shells below which a region is a piece of them, and not whole shells
    like_parts: float = 1.0  # taken off the energy of parts that are alike,
    like: float = 0.025  # by this difference of their measures to 1/e of it
    kept: float = 0.3  # at the second click: kept * log(before / after)^2 of what an exclude leaves,
    kept_share: float = 0.3  # where it leaves less than this share of the region
    unknown: float = 0.25  # of the size prior is left where no border tells how large the error is
    too_large: float = 0.98  # a region of more than this fraction of the surface is hardly meant
    too_large_cost: float = 9.0
    area_per_depth: float = 4.0  # the expected change of a click of depth d is 4 d^2: somewhat more than a disc
    least_change: float = 1e-6  # fraction of the surface; less is no region
    window: float = 0.1  # half width, in log area of the change, within which a stop of the growth must be the cheapest
    per_field: int = 3  # stops kept of each order of growth
    alike: float = 0.05  # answers that differ by less than this share of the expected change count as one
    rim: tuple[float, ...] = (1.0, 3.0)
    """Distance to the click, against that to the border, along which the changes of a third and later click grow."""
    crumb: float = 0.01  # fraction of the surface; smaller pieces without a click are flipped
    remembered: int = 4096  # answers kept: those to all training clicks of a mesh, which every view asks again


DEFAULTS = CorrectionSettings()


class Step(NamedTuple):
    """Click, and the region that was there when it was made."""

    region: np.ndarray  # [P] bool
    click: VertexClick


class Answers(NamedTuple):
    """N regions that may answer a click."""

    regions: np.ndarray  # [N, P] bool
    energies: np.ndarray  # [N] their cost without that of the clicks' places


class StudentWord(NamedTuple):
    """Answer of a student to some clicks."""

    region: Callable[[], np.ndarray]  # -> [P] bool: one more rival; it may still be at work on it, so it is asked last
    cost: Callable[[np.ndarray], np.ndarray] | None = None  # [N, P] bool -> [N], added to the energy of other regions


class Explanation(NamedTuple):
    """Answer with its whole cost."""

    region: np.ndarray  # [P] bool
    cost: float


def correct(
    finder: PartFinder,
    steps: Sequence[Step],
    clicks: Sequence[VertexClick],
    rivals: np.ndarray | None = None,
    student: StudentWord | None = None,
    settings: CorrectionSettings = DEFAULTS,
) -> np.ndarray:
    """Region that answers the last of `steps`; the very same where it is right at the click already. [P] bool

    steps: the clicks so far with the regions that they were made on; the earlier ones say what is likely. clicks: all
    that must hold, the last step's among them. rivals [N, P] bool: other regions that may take over where they honour
    every click (this is how a click switches granularity). student: what one says to these clicks.
    """
    region, (vertex, include) = steps[-1]
    if region[vertex] == include:
        return region
    surface, correction = finder.surface, _Correction(finder, steps, clicks, settings)
    found = [correction.growths(finder.fields(vertex)), *correction.whole_shells(finder.shell_sets(vertex))]
    if rivals is not None:
        found.append(correction.rivals(rivals))
    if include:
        found.append(correction.another_part(finder.candidates(vertex)))
        found.append(correction.like_parts())
    answers = Answers(*(np.concatenate(each) for each in zip(*found, strict=True)))  # N
    if student is not None and student.cost is not None:
        answers = answers._replace(energies=answers.energies + student.cost(answers.regions))
    best = correction.best(answers)
    if student is not None:
        holding = correction.rivals(student.region()[None])  # one or none
        for other, energy in zip(*holding, strict=True):
            cheaper = answers.regions[answers.energies <= energy]  # [m, P] of those alike the cheapest counts
            if ((cheaper != other) @ surface.mass >= correction.alike).all():
                best = correction.best(holding, best)
    # Where there is none, the click is alone on its connected component: it is all that can change.
    region = remove_crumbs(surface, region if best is None else best.region, clicks, settings.crumb)  # [P]
    region[[v for v, _ in clicks]] = [include for _, include in clicks]
    return region


class _Correction:
    """Correction of a wrong answer by one click: the regions that may replace the answer, and their costs."""

    def __init__(
        self, finder: PartFinder, steps: Sequence[Step], clicks: Sequence[VertexClick], settings: CorrectionSettings
    ):
        surface, (region, click) = finder.surface, steps[-1]
        self.finder, self.surface, self.settings = finder, surface, settings
        self.softening = finder.settings.softening
        self.steps, self.clicks, self.region = steps, clicks, region
        self.away = surface.distances(click[0])  # [P] from the click
        self.expected = expected_change(surface, region, click, self.away, settings)  # area
        self.size_prior = settings.size_prior[min(max(len(clicks) - 2, 0), len(settings.size_prior) - 1)]
        reached = [self.away[v] for v, include in clicks if include != click.include]  # of clicks that stay as they are
        if not np.isfinite(self.away[region == click.include].min(initial=np.inf)) and np.isfinite(reached).any():
            self.size_prior *= settings.unknown
        self.alike = settings.alike * self.expected  # area

    def growths(self, fields: np.ndarray) -> Answers:
        """Answers at which a change that grows by closeness to the click may stop; fields [T, P] of the click."""
        surface, settings, (vertex, include) = self.surface, self.settings, self.clicks[-1]
        orders = np.array([*fields, *self._along_border(self.region == include)]) if len(self.clicks) > 2 else fields
        free = np.flatnonzero((surface.components == surface.components[vertex]) & (self.region != include))  # [n]
        barred = np.zeros(surface.vertex_count, dtype=bool)  # [P]
        barred[[v for v, other in self.clicks if other != include]] = True
        order, ranks = by_closeness(orders, free)  # [T, n], [T, P]
        cuts = sweep(surface, order, ranks, self.region)  # [T, n]
        changes = np.cumsum(surface.mass[order], axis=1)  # [T, n]
        before = self.region @ surface.mass
        energies = self._energy(cuts, before + changes if include else before - changes, changes)  # [T, n]
        energies[np.logical_or.accumulate(barred[order], axis=1)] = np.inf  # no further than a click of the other kind
        rows, ends = lowest_within(np.log(np.maximum(changes, 1e-9)), energies, settings.window)  # [e] each
        energies = energies[rows, ends]  # [e]
        kept = cheapest(rows, energies, settings.per_field)  # [N]
        regions = np.where(ranks[rows[kept]] <= ends[kept, None], include, self.region)  # [N, P]
        return Answers(regions, energies[kept])

    def _along_border(self, right: np.ndarray) -> list[np.ndarray]:
        """Orders of change for errors that are rims: nearest to what is right [P] bool first, and to the click. [P]"""
        if not right.any():
            return []
        border = self.surface.distances(np.flatnonzero(right))  # [P]
        return [-(border + rim * self.away) for rim in self.settings.rim]

    def rivals(self, regions: np.ndarray, sized: bool = True) -> Answers:
        """Select the regions of [N, P] bool that honour every click, as answers; unless `sized`, of any size."""
        regions = regions[self._honoured(regions)]  # [n, P]
        mass = self.surface.mass  # [P]
        change = (regions != self.region) @ mass if sized else np.full(len(regions), self.expected)  # [n]
        energies = self._energy(self.surface.cut(regions), regions @ mass, change)  # [n]
        possible = np.isfinite(energies)  # [n]
        return Answers(regions[possible], energies[possible])

    def _honoured(self, regions: np.ndarray) -> np.ndarray:
        """Tell which of the regions [N, P] bool honour every click. [N] bool"""
        vertices, include = zip(*self.clicks, strict=True)
        return (regions[:, list(vertices)] == include).all(axis=1)

    def whole_shells(self, sets: np.ndarray) -> Iterator[Answers]:
        """Yield answers that change whole shells: those of `sets` [n, S] bool, or all that are copies of the click's.

        Copies are meant once two of them were clicked; those with a click of the other kind are not.
        """
        surface, (vertex, include) = self.surface, self.clicks[-1]
        shells = surface.components  # [P]
        if not len(surface.contacts):
            return
        yield self.rivals(np.where(sets[:, shells], include, self.region))
        alike = copies(surface, shells[vertex])  # [S]
        clicked = {int(shells[v]) for v, other in self.clicks if other == include and alike[shells[v]]}
        if len(clicked) > 1:
            alike[[shells[v] for v, other in self.clicks if other != include]] = False
            all_of_them = self.rivals(np.where(alike[shells], include, self.region)[None], sized=False)
            yield all_of_them._replace(energies=all_of_them.energies + self.settings.copies)

    def another_part(self, candidates: Candidates) -> Answers:
        """Answers that add a part which the click alone may mean, clear of the region: "that one too".

        Its own border is judged, not the border of both. Whole shells are no such parts: growths add them.
        """
        surface, settings = self.surface, self.settings
        near = touched(surface, self.region)  # [P]
        energies = settings.another_part + self._own_energy(candidates)  # [N]
        kept = np.isfinite(energies) & ~(candidates.regions & near).any(axis=1)  # [N]
        kept &= self._honoured(candidates.regions | self.region)  # [N]
        return Answers(candidates.regions[kept] | self.region, energies[kept])

    def like_parts(self) -> Answers:
        """Answers of like parts, one for each include: "all of these". They need not grow out of the region."""
        included = list(dict.fromkeys(vertex for vertex, include in self.clicks if include))
        nothing = Answers(np.zeros((0, self.surface.vertex_count), dtype=bool), np.zeros(0))
        if len(included) < 2:
            return nothing
        settings, found = self.settings, [self.finder.candidates(vertex) for vertex in included]
        energies = [self._own_energy(candidates) for candidates in found]  # [N] each
        measures = [self.finder.measures(vertex) for vertex in included]  # [N, 4] each
        regions, costs = [], []
        for like in find_like_parts(self.surface, [candidates.regions for candidates in found], measures, LIKE):
            own = np.array([energy[k] for energy, k in zip(energies, like.rows, strict=True)])  # [n]
            if np.isfinite(own).all() and self._honoured(like.union[None])[0]:
                alike = settings.like_parts * float(np.exp(-((like.unlike / settings.like) ** 2)))
                regions.append(like.union)
                costs.append(settings.another_part + float(own.mean()) - alike)
        return Answers(np.array(regions), np.array(costs)) if regions else nothing

    def _own_energy(self, candidates: Candidates) -> np.ndarray:
        """Energy of parts by themselves; infinite for whole shells, which growths add. [N]"""
        settings, areas = self.settings, candidates.areas  # [N]
        shells = self.surface.components  # [P]
        order = np.argsort(shells, kind="stable")  # [P]
        start = np.searchsorted(shells[order], np.arange(len(self.surface.shell_areas)))  # [S]
        taken = np.add.reduceat(candidates.regions[:, order] * self.surface.mass[order], start, axis=1)  # [N, S]
        piece = areas < settings.piece * ((taken > 0) @ self.surface.shell_areas)  # [N]
        size = np.log(np.maximum(areas, 1e-9) / candidates.settings.typical_area) ** 2  # [N]
        energy = border_energy(self.surface.cut(candidates.regions), areas, self.softening)  # [N]
        return np.where(piece, energy + settings.another_size_prior * size, np.inf)

    def _energy(self, cut: np.ndarray, area: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Cost of regions by their cut, area and change of area; infinite where nothing is left. [N]"""
        settings = self.settings
        size = np.log(np.maximum(change, 1e-9) / self.expected) ** 2  # [N]
        energy = border_energy(cut, area, self.softening) + self.size_prior * size  # [N]
        energy = energy + settings.too_large_cost * (area > settings.too_large)  # [N]
        if len(self.clicks) == 2 and not self.clicks[-1].include:
            before = settings.kept_share * float(self.region @ self.surface.mass)
            energy = energy + settings.kept * np.log(np.maximum(before / np.maximum(area, 1e-9), 1)) ** 2  # [N]
        return np.where(area > 1e-9, energy, np.inf)

    def best(self, answers: Answers, best: Explanation | None = None) -> Explanation | None:
        """Answer of least cost, or `best` where none costs less. Of those that are alike, that of least energy counts.

        The places of the clicks are costly to judge, and no term of that is negative: the answer that is cheapest so
        far is always the next to be judged further (best-first search, Hart, Nilsson and Raphael 1968).
        """
        apart = _areas_apart(answers.regions, self.surface.mass)  # [N, N]
        heap = [(energy, index) for index, energy in enumerate(answers.energies.tolist())]
        heapq.heapify(heap)
        begun: dict[int, Iterator[float]] = {}
        while heap and (best is None or heap[0][0] < best.cost):
            cost, index = heapq.heappop(heap)
            if index not in begun:
                if (apart[index, list(begun)] < self.alike).any():
                    continue
                begun[index] = self._place_costs(answers.regions[index])
            term = next(begun[index], None)
            if term is None:
                return Explanation(answers.regions[index], cost)
            heapq.heappush(heap, (cost + term, index))
        return best

    def _place_costs(self, answer: np.ndarray) -> Iterator[float]:
        """Yield what it costs to believe that a user who wants `answer` [P] bool made these clicks, term by term.

        Each is to lie in the middle of an error of its kind (the first one of all that is wanted), and no error of the
        other kind is to lie deeper. The last click tells most.
        """
        for k in (-1, *range(len(self.steps) - 1)):
            region, click = self.steps[k]
            if region[click.vertex] != click.include and answer[click.vertex] == click.include:
                weight = 1.0 if k < 0 else self.settings.earlier
                for cost in place_costs(self.surface.depth, region, click, answer, self.settings):
                    yield weight * cost  # no error was clicked elsewhere; or a later click has taken this one back


def place_costs(
    depth_in: Depth, region: np.ndarray, click: VertexClick, answer: np.ndarray, settings: CorrectionSettings
) -> Iterator[float]:
    """Yield what it costs to believe that who wants `answer` [P] bool made this click on `region` [P] bool.

    How far off the middle of its error it lies; how much deeper the deepest error of the other kind is.
    """
    vertex, include = click
    gained, lost = answer > region, answer < region  # [P] each
    clicked, other = (gained, lost) if include else (lost, gained)  # [P] each
    off, depth = depth_in.off_middle(clicked, vertex)
    yield settings.off_middle * off
    deepest = depth_in.greatest(other, depth)
    yield settings.deeper_error * (float(np.log(deepest / max(depth, 1e-30))) if deepest > depth else 0.0)


def _areas_apart(regions: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Area in which each two of the regions [N, P] bool differ; mass [P]. [N, N]"""
    members = regions.astype(np.float64)  # [N, P]
    weighted = members * mass  # [N, P]
    shared, step = np.zeros((len(regions), len(regions))), max(BLOCK // max(len(regions), 1) ** 2, 1)  # [N, N]
    for k in range(0, members.shape[1], step):
        shared += members[:, k : k + step] @ weighted[:, k : k + step].T
    own = shared.diagonal()  # [N]
    return own[:, None] + own - 2 * shared


def expected_change(
    surface: Surface,
    region: np.ndarray,
    click: VertexClick,
    away: np.ndarray,
    settings: CorrectionSettings = DEFAULTS,
) -> float:
    """Area, as a fraction of the surface, that a click at this depth of an error is expected to change.

    away [P]: edge-graph geodesic distance of every vertex from the click, in R: through a thin wall the other side is
    near, yet no border of the error.
    """
    vertex, include = click
    shell = surface.components == surface.components[vertex]  # [P]
    depth = away[region == include].min(initial=np.inf)
    area = np.inf if include and np.isfinite(depth) else float(surface.mass[shell & (region != include)].sum())
    if np.isfinite(depth):  # else nothing on this connected component is right yet
        area = min(area, settings.area_per_depth * float(depth) ** 2)
    return max(area, settings.least_change)  # a vertex without faces has no area


def remove_crumbs(
    surface: Surface, region: np.ndarray, clicks: Sequence[VertexClick], crumb: float = DEFAULTS.crumb
) -> np.ndarray:
    """Flip pieces below `crumb` of the surface that hold no click and are no whole connected component. [P] bool"""
    i, j = surface.ends  # [E] each
    kept = region[i] == region[j]  # [E]
    pieces, label = surface.components_by(kept)
    small = np.bincount(label, surface.mass, minlength=pieces) < crumb  # [pieces]
    small[label[[v for v, _ in clicks]]] = False
    bordered = np.zeros(pieces, dtype=bool)  # [pieces] pieces that touch the other side: no whole components
    bordered[label[np.r_[i[~kept], j[~kept]]]] = True
    return region ^ (small & bordered)[label]
