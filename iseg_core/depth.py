"""How deep vertices lie in a region. People click the middle of what they want, and the middle of an error.

So of many regions that a click may mean, the one is likely in whose middle it lies. Depth is measured straight through
space, as in the protocol of simulated users (AGILE3D).
"""

import numpy as np
from scipy.spatial import cKDTree  # pyright: ignore[reportAttributeAccessIssue] the stubs lack it

SAMPLE = 128  # vertices among which the deepest is looked for


def depths(points: np.ndarray, inside: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Distance of the points `at` [n] (indices) to the nearest point that is not inside. [n]

    points [P, 3]; inside [P] bool. Infinite where all points are inside.
    """
    if len(at) == 0:
        return np.empty(0)  # [0]
    asked = points[at]  # [n, 3]
    low, high = asked.min(axis=0), asked.max(axis=0)  # [3] each
    reach = float(np.sqrt(((high - low) ** 2).sum()))
    outside = ~inside  # [P]
    near = outside.copy()  # [P] a small tree is fast
    for axis, column in enumerate(points.T):
        near &= (column >= low[axis] - reach) & (column <= high[axis] + reach)
    found = _nearest(points[near], asked)  # [n]
    return found if found.max() <= reach else _nearest(points[outside], asked)


def _nearest(points: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Distance of each of `asked` [n, 3] to the nearest of the points [Q, 3]; infinite where there are none. [n]"""
    if len(points) == 0:
        return np.full(len(asked), np.inf)  # [n]
    # The tree that is fast to build; cKDTree because thousands are built, and KDTree checks its arguments at length.
    return cKDTree(points, leafsize=32, compact_nodes=False, balanced_tree=False).query(asked)[0]


def greatest_depth(points: np.ndarray, inside: np.ndarray) -> float:
    """Of a region [P] bool; 0 where it is empty."""
    return float(depths(points, inside, _sample(inside)).max(initial=0.0))


def off_middle(points: np.ndarray, inside: np.ndarray, vertex: int) -> tuple[float, float]:
    """How far off the middle of a region a click on `vertex` lies, and how deep.

    points [P, 3]; inside [P] bool with `vertex` inside. The first is 1 - depth / greatest depth: 0 in the middle, 1 at
    the border. Where everything is inside there is no border: 0 and infinite.
    """
    if inside.all():
        return 0.0, np.inf
    depth = depths(points, inside, np.append(_sample(inside), vertex))  # [n + 1]
    return float(1 - depth[-1] / max(depth.max(), 1e-30)), float(depth[-1])


def _sample(inside: np.ndarray) -> np.ndarray:
    """At most SAMPLE vertices of a region, spread over their numbers. [n]"""
    found = np.flatnonzero(inside)  # [N]
    return found if len(found) <= SAMPLE else found[np.linspace(0, len(found) - 1, SAMPLE).astype(int)]
