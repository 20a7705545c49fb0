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

    points [P, 3]; inside [P] bool, `at` among them. Infinite where all points are inside.
    """
    outside = points[~inside]  # [Q, 3]
    if len(outside) == 0 or len(at) == 0:
        return np.full(len(at), np.inf)  # [n]
    low, high = points[inside].min(axis=0), points[inside].max(axis=0)  # [3] each
    reach = np.linalg.norm(high - low)
    near = outside[((outside >= low - reach) & (outside <= high + reach)).all(axis=1)]  # [q, 3] a small tree is fast
    for chosen in (near, outside):
        if len(chosen):
            tree = KDTree(chosen, leafsize=32, compact_nodes=False, balanced_tree=False)  # fast to build
            found = tree.query(points[at])[0]  # [n]
            if chosen is outside or found.max() <= reach:
                return found
    raise AssertionError("the loop ends with all points outside")


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
