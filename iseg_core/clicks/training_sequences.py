"""Training clicks: evenly spread vertices, and click sequences simulated towards regions."""

import numpy as np

from .click import VertexClick

LANDMARKS = 512  # vertices among which sequences are clicked: depths between them are one small matrix


def farthest_points(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Pick `count` of the points [N, 3], each farthest from those before it, the first at random. [count] indices"""
    chosen = np.empty(min(count, len(points)), dtype=np.int64)  # [count]
    distance = np.full(len(points), np.inf)  # [N]
    index = int(rng.integers(len(points)))
    for i in range(len(chosen)):
        chosen[i] = index
        distance = np.minimum(distance, ((points - points[index]) ** 2).sum(axis=1))  # [N]
        index = int(distance.argmax())
    return chosen


def simulate(
    regions: np.ndarray, points: np.ndarray, max_clicks: int, rng: np.random.Generator
) -> tuple[list[list[VertexClick]], np.ndarray]:
    """Simulate the click sequences of a user who wants regions[i], for each i in turn.

    regions: [M, N] bool over points [N, 3]. The first click lies deep in the region. The answer that a model might give
    to the clicks so far is played by whichever other region honours most of them: clicks being ambiguous, that is what
    wrong answers look like. The next click goes to the deepest point (distance to the nearest point outside) of the
    larger error, include where it is missing, exclude where it is too much. A sequence ends at max_clicks, or where
    the answer is right.

    Returns the sequences and the region each belongs to [S]: all beginnings of at least two clicks, since one click
    does not say which region is wanted.
    """
    separation = np.linalg.norm(points[:, None] - points[None], axis=2)  # [N, N]
    sequences: list[list[VertexClick]] = []
    wanted: list[int] = []
    for target, region in enumerate(regions):
        depth = _depth(region, separation)  # [N]
        if not region.any() or region.all():
            continue
        first = int(rng.choice(len(points), p=depth / depth.sum()))
        clicks = [VertexClick(first, True)]
        while len(clicks) < max_clicks:
            honoured = (
                (regions[:, [v for v, _ in clicks]] == [include for _, include in clicks]).sum(axis=1).astype(float)
            )  # [M]
            honoured[target] = -1
            answer = regions[int((honoured + rng.random(len(regions)) / 2).argmax())]  # [N]
            missed, extra = (_depth(error, separation) for error in (region & ~answer, answer & ~region))  # [N] each
            for depth in (missed, extra):
                depth[[v for v, _ in clicks]] = 0.0
            if max(missed.max(), extra.max()) <= 0:
                break
            include = bool(missed.max() >= extra.max())
            clicks.append(VertexClick(int((missed if include else extra).argmax()), include))
            sequences.append(list(clicks))
            wanted.append(target)
    return sequences, np.array(wanted, dtype=np.int64)


def _depth(region: np.ndarray, separation: np.ndarray) -> np.ndarray:
    """Distance of each point of a region [N] bool to the nearest point outside; 0 outside. [N]"""
    depth = np.zeros(len(region))  # [N]
    if region.any() and not region.all():
        depth[region] = separation[np.ix_(region, ~region)].min(axis=1)
    elif region.all():
        depth[:] = separation.max()
    return depth
