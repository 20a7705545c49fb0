"""Depth: how deep vertices lie in a region. People click the middle of what they want, and of an error.

So of many regions that a click may mean, the one is likely in whose middle it lies. Depth is measured straight through
space, as in the protocol of simulated users (AGILE3D).
"""

from functools import lru_cache, partial
from itertools import pairwise

import numpy as np
from scipy.spatial import KDTree

SAMPLE = 64  # vertices of a region among which the deepest is looked for
COARSE = 2000  # points to which its depth is measured: regions are judged by the hundred
EVERY = 4  # of so many of these points one is among the few that tell first how deep a vertex may lie
# Vertices are measured from one of these ranks to the next, those first that may lie deepest: mostly that settles it.
# And small products wake no threads.
BLOCKS = (0, 8, 32, SAMPLE)
CLICKS = 8  # vertices whose distances are remembered
FAR = (
    1e30  # squared, of a point that does not count: infinity times the zeros that a product is padded with is no number
)


def depths(points: np.ndarray, inside: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Distance of the points `at` [n] (indices) to the nearest point that is not inside. [n]

    points [P, 3]; inside [P] bool. Infinite where all points are inside.
    """
    if len(at) == 0 or inside.all():
        return np.full(len(at), np.inf)  # [n]
    asked = points[at]  # [n, 3]
    low, high = asked.min(axis=0), asked.max(axis=0)  # [3] each
    reach = float(np.sqrt(((high - low) ** 2).sum()))
    outside = ~inside  # [P]
    near = outside & ((points >= low - reach) & (points <= high + reach)).all(axis=1)  # [P] a small tree is fast
    distance = KDTree(points[near]).query(asked)[0] if near.any() else np.full(len(asked), np.inf)  # [n]
    return distance if distance.max() <= reach else KDTree(points[outside]).query(asked)[0]


class Depth:
    """Depths in regions of one set of points [P, 3], fast enough to judge every region that a click may mean."""

    def __init__(self, points: np.ndarray):
        self._points = points - points.mean(axis=0)  # [P, 3] so that single precision does
        coarse = spread(np.arange(len(points)), COARSE)  # [C]
        self._coarse = np.concatenate([coarse[::EVERY], np.delete(coarse, np.s_[::EVERY])])  # [C] the few come first
        self._few = len(coarse[::EVERY])
        q = self._points[self._coarse].T  # [3, C]
        # |q - p|^2 - |p|^2 of all pairs is one product of rows and columns.
        self._columns = np.concatenate([-2 * q, (q * q).sum(axis=0)[None]]).astype(np.float32)  # [4, C]
        self._rows = np.concatenate([self._points, np.ones((len(points), 1))], axis=1).astype(np.float32)  # [P, 4]
        self._squares = (self._points**2).sum(axis=1)  # [P]
        self._from = lru_cache(maxsize=CLICKS)(partial(_distances, self._points))  # vertex -> [P]

    def greatest(self, inside: np.ndarray, least: float = 0.0) -> float:
        """Greatest depth in a region [P] bool, or `least` where none is greater; infinite where it is everything."""
        (members,) = inside.nonzero()  # [n]
        if len(members) in (0, len(inside)):
            return np.inf if len(members) else least
        sample = spread(members, SAMPLE)  # [m]
        columns = self._columns.copy()  # [4, C]
        np.putmask(columns[3], inside[self._coarse], FAR)
        rows, squares = self._rows.take(sample, axis=0), self._squares.take(sample)  # [m, 4], [m]
        # Squared. The nearest point of all is no farther than the nearest of a few.
        most = (rows @ columns[:, : self._few]).min(axis=1) + squares  # [m]
        order = (-most).argsort()  # [m]
        deepest = least**2
        for begin, end in pairwise(BLOCKS):
            some = order[begin:end]  # [n]
            some = some[most[some] > deepest]  # [n]
            if len(some) == 0:
                break
            deepest = max(deepest, ((rows[some] @ columns).min(axis=1) + squares[some]).max())
        if deepest >= FAR:  # none of the coarse points is outside
            return max(float(depths(self._points, inside, sample).max()), least)
        return max(float(deepest) ** 0.5, least)

    def of(self, inside: np.ndarray, vertex: int) -> float:
        """Depth of a vertex of a region [P] bool; infinite where it is everything."""
        return float(np.where(inside, np.inf, self._from(vertex)).min())  # faster than min(where=...)

    def off_middle(self, inside: np.ndarray, vertex: int) -> tuple[float, float]:
        """Measure how far off the middle of a region [P] bool a click on `vertex` in it lies, and how deep.

        The first is 1 - depth / greatest depth: 0 in the middle, 1 at the border. Where everything is inside there is
        no border: 0 and infinite.
        """
        depth = self.of(inside, vertex)
        if np.isinf(depth):
            return 0.0, depth
        return 1 - depth / max(self.greatest(inside, depth), 1e-30), depth


def _distances(points: np.ndarray, vertex: int) -> np.ndarray:
    return np.sqrt(((points - points[vertex]) ** 2).sum(axis=1))  # [P]


def spread(indices: np.ndarray, count: int) -> np.ndarray:
    """Pick at most `count` of the indices [n], evenly spread over them. [<= count]"""
    if len(indices) <= count:
        return indices
    last = len(indices) - 1
    rows = (_numbers(count) * (last / (count - 1))).astype(np.intp)  # [count]
    rows[-1] = last  # whatever the rounding
    return indices[rows]


@lru_cache(maxsize=4)
def _numbers(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.float64)  # [count]
