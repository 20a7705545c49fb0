"""Ladder: what a first click may mean, in order of size. Each region lies within the next one.

A size is a number from 0, the smallest region, to 1, the largest. The granularities are fixed points between them.
"""

from dataclasses import dataclass

import numpy as np

from ..clicks.click import Granularity, size_of
from .candidates import Candidates

NESTED = 0.9  # share of a region that must lie within another, so that it counts as a piece of it
STEP = 0.85  # a region of more than this share of the next one's area is no step of its own
FINE, PART, WHOLE = (size_of(granularity) for granularity in Granularity)


@dataclass(frozen=True, eq=False)
class Ladder:
    """Regions of one click and their sizes, L of them, the smallest first."""

    regions: np.ndarray  # [L, P] bool, each within the next
    sizes: np.ndarray  # [L] in 0..1, ascending

    def step(self, size: float) -> float:
        """Size of the region that is meant by any size: the closest one."""
        return float(self.sizes[np.abs(self.sizes - size).argmin()])

    def region(self, size: float) -> np.ndarray:
        """Region whose size is closest. [P] bool"""
        return self.regions[np.abs(self.sizes - size).argmin()]


def make_ladder(
    candidates: Candidates, part: np.ndarray, mass: np.ndarray, fine: np.ndarray, whole: np.ndarray
) -> Ladder:
    """Make the ladder of a click around `part` [P] bool, the region that is meant where nothing more is said.

    mass [P]: of the vertices. fine, whole [N]: costs of the candidates as what is meant by these granularities: each is
    the cheapest of clearly smaller and of clearly larger area, if there is any.
    """
    regions, areas, settings = candidates.regions, candidates.areas, candidates.settings
    area, shared = float(mass @ part), (regions & part) @ mass  # [], [N]
    smaller = (shared > NESTED * areas) & (areas < settings.finer * area)  # [N]
    larger = (shared > NESTED * area) & (areas > max(area, min(settings.coarser * area, areas.max() - 1e-9)))  # [N]
    steps = {PART: part}
    for size, fits, cost in ((FINE, smaller, fine), (WHOLE, larger, whole)):
        if fits.any():
            steps[size] = regions[int(np.where(fits, cost, np.inf).argmin())]
    for low, high in ((0.0, FINE), (FINE, PART), (PART, WHOLE), (WHOLE, 1.0)):
        if (low in steps or low == 0.0) and (high in steps or high == 1.0):
            between = _between(regions, areas, mass, steps.get(low), steps.get(high))
            ends = int(low in steps) + int(high in steps)
            sizes = np.linspace(low, high, len(between) + ends)  # [m]
            steps |= dict(zip(sizes[int(low in steps) :].tolist(), between, strict=False))
    return _nested(steps)


def _between(
    regions: np.ndarray, areas: np.ndarray, mass: np.ndarray, low: np.ndarray | None, high: np.ndarray | None
) -> list[np.ndarray]:
    """Choose regions of [N, P] bool that hold `low` and lie within `high`, step by step, the smallest first."""
    found: list[np.ndarray] = []
    least = 0.0 if low is None else float(mass @ low) / STEP
    within = high
    for k in np.argsort(-areas, kind="stable"):
        region, most = regions[k], np.inf if within is None else STEP * float(mass @ within)
        if not least < areas[k] < most:
            continue
        if low is not None and mass @ (low & region) < NESTED * (mass @ low):
            continue
        if within is not None and mass @ (within & region) < NESTED * areas[k]:
            continue
        found.insert(0, region)
        within = region
    return found


def _nested(steps: dict[float, np.ndarray]) -> Ladder:
    """Make each region, from the part downwards and upwards, lie within the next."""
    sizes = sorted(steps)
    regions = [steps[size] for size in sizes]  # [L] of [P]
    middle = sizes.index(PART)
    for k in reversed(range(middle)):
        regions[k] = regions[k] & regions[k + 1]
    for k in range(middle + 1, len(regions)):
        regions[k] = regions[k] | regions[k - 1]
    return Ladder(np.array(regions), np.array(sizes))
