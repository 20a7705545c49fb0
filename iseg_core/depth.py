"""How deep vertices lie in a region. People click the middle of what they want, and the middle of an error.

So of many regions that a click may mean, the one is likely in whose middle it lies. Depth is measured straight through
space, as in the protocol of simulated users (AGILE3D).
"""

import numpy as np
from scipy.spatial import KDTree

SAMPLE = 128  # vertices among which the deepest is looked for
LEAST = 0.02  # share of the greatest depth that a click at the very border has
WEIGHT = 2.0  # of a click off the middle, against the energy of a region's border; more would want the very middle


def depths(points: np.ndarray, inside: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Distance of the points `at` [n] (indices) to the nearest point that is not inside. [n]

    points [P, 3]; inside [P] bool. Infinite where all points are inside.
    """
    if len(at) == 0 or inside.all():
        return np.full(len(at), np.inf)  # [n]
    asked = points[at]  # [n, 3]
    low, high = asked.min(axis=0), asked.max(axis=0)  # [3] each
    reach = np.sqrt(((high - low) ** 2).sum())
    outside = ~inside  # [P]
    near = outside.copy()  # [P] a small tree is fast
    for axis, column in enumerate(points.T):
        near &= (column >= low[axis] - reach) & (column <= high[axis] + reach)
    for chosen in (near, outside):
        if chosen.any():
            tree = KDTree(points[chosen], leafsize=32, compact_nodes=False, balanced_tree=False)  # fast to build
            found = tree.query(asked)[0]  # [n]
            if chosen is outside or found.max() <= reach:
                break
    return found


def greatest_depth(points: np.ndarray, inside: np.ndarray) -> float:
    """Of a region [P] bool; 0 where it is empty."""
    return float(depths(points, inside, _sample(inside)).max(initial=0.0))


def off_middle(points: np.ndarray, inside: np.ndarray, vertex: int) -> tuple[float, float]:
    """What a region pays where a click on `vertex` lies off its middle, and how deep the click lies.

    points [P, 3]; inside [P] bool with `vertex` inside. 0 in the middle, elsewhere -WEIGHT log(depth / greatest depth).
    """
    if inside.all():
        return 0.0, np.inf  # there is no border
    depth = depths(points, inside, np.append(_sample(inside), vertex))  # [n + 1]
    share = depth[-1] / max(depth.max(), 1e-30)
    return float(-WEIGHT * np.log(max(share, LEAST))), float(depth[-1])


def _sample(inside: np.ndarray) -> np.ndarray:
    """At most SAMPLE vertices of a region, spread over their numbers. [n]"""
    found = np.flatnonzero(inside)  # [N]
    return found if len(found) <= SAMPLE else found[np.linspace(0, len(found) - 1, SAMPLE).astype(int)]
