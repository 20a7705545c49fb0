"""Sequences of clicks: each answer is built on the one before it, in the order that explains the clicks best.

The first click says most: it is taken to lie in the middle of what is meant, each later one in the middle of an error.
So the order counts. It is that in which the clicks were made, unless another one explains their places far better; and
clicks on like parts (two ears) say the same in any order.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..clicks.click import VertexClick, VertexClicks, first_included
from .candidates import PartFinder
from .corrections import DEFAULTS, CorrectionSettings, Step, StudentWord, correct, place_costs, remove_crumbs
from .ladder import FINE, PART, WHOLE, Ladder, make_ladder
from .like_parts import find_like_parts


@dataclass(frozen=True)
class OrderSettings:
    """When clicks are taken in another order than they were made in. Doubt: the cost of all clicks' places."""

    most: int = 5  # clicks of which other orders are tried; 0: the order is always that in which they were made
    margin: float = 1.0  # by which another order's doubt must be less
    margin_across: float = 2.0  # where shells touch: there the middle of a part tells less
    doubtful: tuple[float, ...] = (0.0, 0.0, 1.0, 3.0, 4.5, 5.5)  # doubt, by the number of clicks, that asks for others
    needless: float = 4.0  # doubt of a click that was made where the answer was right already
    near: float = 0.3  # candidates of a click within this of its best score are compared with those of others,
    like: float = 0.1  # and are like parts where their measures differ by less


ORDER = OrderSettings()
AS_MADE = OrderSettings(most=0)


class Corrections:
    """Answers to sequences of clicks. Every one is remembered, so that undo gives the very answer of before.

    propose(clicks) -> [P] bool answers the clicks up to the first that includes, and ladder(clicks) -> Ladder says what
    else they may mean, in order of size. student(clicks) -> StudentWord: what one says to all of them; see `correct`.
    """

    def __init__(
        self,
        finder: PartFinder,
        propose: Callable[[VertexClicks], np.ndarray],
        ladder: Callable[[VertexClicks], Ladder],
        student: Callable[[VertexClicks], StudentWord] | None = None,
        settings: CorrectionSettings = DEFAULTS,
        order: OrderSettings = ORDER,
    ):
        self._finder, self._propose, self._make_ladder = finder, propose, ladder
        self._student, self._settings, self._order_settings = student, settings, order
        self._answers: dict[tuple[VertexClicks, float], np.ndarray] = {}
        self._orders: dict[VertexClicks, VertexClicks] = {}
        self._ladders: dict[VertexClicks, Ladder] = {}

    def answer(self, clicks: VertexClicks, size: float = PART) -> np.ndarray:
        """Region after `clicks`, which name proxy vertices; a vertex clicked twice is as the last one says. [P] bool

        The answers of smaller sizes lie within that of a part, and this one within those of larger sizes.
        """
        if not any(include for _, include in clicks):
            return self._nothing()
        order = self._order(clicks)
        step = PART if size == PART else self._ladder(_up_to_first(order)).step(size)
        region = self._made(order, PART)  # [P]
        for other in _between(step):
            wider = self._made(order, other)  # [P]
            region = region & wider if other < PART else region | wider
        if step != PART:
            region = remove_crumbs(self._finder.surface, region, clicks, self._settings.crumb)  # [P]
            region[[v for v, _ in order]] = [include for _, include in order]
        return region

    def sizes(self, clicks: VertexClicks) -> np.ndarray:
        """Sizes at which the answer may change, ascending. [n]"""
        if not any(include for _, include in clicks):
            return np.array([PART])
        return self._ladder(_up_to_first(self._order(clicks))).sizes

    def _ladder(self, clicks: VertexClicks) -> Ladder:
        """Ladder of the first click that includes; remembered."""
        if clicks not in self._ladders:
            if len(self._ladders) >= self._finder.settings.remembered:
                self._ladders.pop(next(iter(self._ladders)))
            self._ladders[clicks] = self._make_ladder(clicks)
        return self._ladders[clicks]

    def _nothing(self) -> np.ndarray:
        return np.zeros(self._finder.surface.vertex_count, dtype=bool)  # [P]

    # Answers to an order of clicks

    def _made(self, order: VertexClicks, step: float = PART) -> np.ndarray:
        """Region after clicks in this order, begun with the ladder's region of a size. [P] bool"""
        if not any(include for _, include in order):
            return self._nothing()
        if (order, step) not in self._answers:
            if len(self._answers) >= self._settings.remembered:
                self._answers.pop(next(iter(self._answers)))
            self._answers[order, step] = self._compute(order, step)
        return self._answers[order, step]

    def _compute(self, order: VertexClicks, step: float) -> np.ndarray:
        surface, settings = self._finder.surface, self._settings
        first = next(k for k, (_, include) in enumerate(order) if include)
        if first < len(order) - 1:
            recent = range(max(first + 1, len(order) - settings.recent), len(order))
            steps = [Step(self._made(order[:k], step), order[k]) for k in (first, *recent)]
            return self._correct(steps, order)
        begun = self._propose(order) if step == PART else self._ladder(order).region(step)  # [P]
        region = remove_crumbs(surface, begun, [order[first]], settings.crumb)  # [P]
        region[order[first][0]] = True
        # What was excluded before the first inclusion is excluded now, as if it had come after.
        after = (order[first], *order[:first])
        for k in range(1, len(after)):
            region = self._correct([Step(self._nothing(), order[first]), Step(region, after[k])], after[: k + 1])
        return region

    def _correct(self, steps: list[Step], clicks: VertexClicks) -> np.ndarray:
        rivals = self._finder.candidates(first_included(clicks)).regions  # [N, P]
        student = self._student(clicks) if self._student else None
        return correct(self._finder, steps, clicks, rivals, student, self._settings)

    # The order of the clicks

    def _order(self, clicks: VertexClicks) -> VertexClicks:
        """Order in which the clicks are taken."""
        if len(clicks) < 2 or not self._order_settings.most:
            return clicks
        if clicks not in self._orders:
            if len(self._orders) >= self._settings.remembered:
                self._orders.pop(next(iter(self._orders)))
            self._orders[clicks] = self._choose(clicks)
        return self._orders[clicks]

    def _choose(self, clicks: VertexClicks) -> VertexClicks:
        alike = self._of_like_parts(clicks)
        if alike:
            return min((alike, alike[::-1]), key=self._doubt) if len(alike) == 2 else alike
        settings, before, last = self._order_settings, self._order(clicks[:-1]), clicks[-1]
        made = (*before, last)
        if len(clicks) > settings.most or not any(include for _, include in before):
            return made
        across = len(self._finder.surface.contacts) > 0
        margin = settings.margin_across if across else settings.margin
        doubt = self._doubt(made)
        if doubt <= max(settings.doubtful[len(clicks)], margin) or (len(clicks) > 2 and across):
            return made
        if len(clicks) == 2:
            others = [(last, *before)] if last.include else []
        else:
            others = [self._deepest_first(first, clicks) for first in dict.fromkeys(clicks) if first.include]
            others += [(*before[:k], last, *before[k:]) for k in range(int(not last.include), len(before))]
        best, least = made, doubt - margin
        for other in others:
            if (doubt := self._doubt(other)) < least - 1e-9:
                best, least = other, doubt
        return best

    def _doubt(self, order: VertexClicks) -> float:
        """Cost of the clicks' places, had they been made in this order by a user who wants its answer."""
        answer, total = self._made(order), 0.0
        for k, click in enumerate(order):
            region = self._made(order[:k])  # [P]
            if region[click.vertex] == click.include:
                total += self._order_settings.needless
            else:
                total += sum(place_costs(self._finder.surface.depth, region, click, answer, self._settings))
        return total

    def _deepest_first(self, first: VertexClick, clicks: VertexClicks) -> VertexClicks:
        """Order the clicks as a user would make them: after `first` always the one that lies deepest in an error."""
        depth, order, left = self._finder.surface.depth, (first,), [click for click in clicks if click != first]
        while left:
            region = self._made(order)  # [P]
            deep = [0.0 if region[v] == include else depth.of(region != include, v) for v, include in left]
            order = (*order, left.pop(int(np.argmax(deep))))
        return order

    def _of_like_parts(self, clicks: VertexClicks) -> VertexClicks | None:
        """Order includes that may well mean like parts, the same whichever way they were made; None for others."""
        settings = self._order_settings
        if len(clicks) > settings.most or not all(include for _, include in clicks):
            return None
        regions, measures, scores = [], [], {}
        for click in clicks:
            found, measured = self._finder.candidates(click.vertex), self._finder.measures(click.vertex)
            scores[click] = float(found.scores.min())
            good = (found.scores <= scores[click] + settings.near) & (found.areas < 0.5)  # [N]
            if not good.any():
                return None
            regions.append(found.regions[good])
            measures.append(measured[good])
        if next(find_like_parts(self._finder.surface, regions, measures, settings.like), None) is None:
            return None
        return tuple(sorted(clicks, key=lambda click: (round(scores[click], 6), click.vertex)))


def _up_to_first(order: VertexClicks) -> VertexClicks:
    """Clicks up to the first that includes."""
    return order[: next(k for k, (_, include) in enumerate(order) if include) + 1]


def _between(step: float) -> list[float]:
    """Sizes on the way from a part to a step, with the step: what is finest lies within what is fine."""
    fixed = FINE if step < PART else WHOLE
    return [
        size for size in dict.fromkeys((fixed, step)) if size != PART and (step <= size < PART or PART < size <= step)
    ]


def geometric_ladder(finder: PartFinder, vertex: int) -> Ladder:
    """Ladder of a click by geometry alone."""
    found = finder.candidates(vertex)
    return make_ladder(found, found.pick(), finder.surface.mass, found.scores, found.scores)


def propose_parts(finder: PartFinder, order: OrderSettings = ORDER) -> Corrections:
    """Corrections by geometry alone: of the first click's best candidate."""
    return Corrections(
        finder,
        lambda clicks: finder.candidates(first_included(clicks)).pick(),
        lambda clicks: geometric_ladder(finder, first_included(clicks)),
        order=order,
    )
