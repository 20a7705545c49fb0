"""Second clicks: which pairs the teacher is asked about (supplementary D), and which of its answers count."""

import numpy as np

from ..clicks.click import VertexClicks
from .view_pass import Ask

MIN_SCORE = 0.4  # a first mask worth less gets no second click
NEAR = 0.5**0.5  # second clicks lie within this share of the distance to the farthest candidate


class Pairs:
    """Pairs of clicks chosen so far, and the rules by which they are chosen. T clickable vertices."""

    def __init__(self, points: np.ndarray, quota: int):
        """points [T, 3]; quota: second clicks of either sign for each first one, at most."""
        count = len(points)
        self.distance = np.linalg.norm(points[:, None] - points[None], axis=2)  # [T, T]
        self.chosen = np.zeros((2, count, count), dtype=bool)  # [include, first, second]
        self.quota = quota

    def ask(self, seen: np.ndarray, contains: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> Ask:
        """Choose the pairs to ask in a view; seen [Q], contains [Q, 3, Q], scores [Q, 3]: as in First."""
        if len(seen) == 0:
            none = np.zeros(0, dtype=np.int64)  # [0]
            return Ask(none, none, none > 0, np.zeros((0, 3), dtype=bool), none, none > 0)
        good = scores >= MIN_SCORE  # [Q, 3]
        distinct = ~np.eye(len(seen), dtype=bool)  # [Q, Q]
        distance = self.distance[np.ix_(seen, seen)]  # [Q, Q]
        # One granularity a view and first click, drawn from the good ones, decides which second clicks are proposed.
        row = (good * rng.random(good.shape)).argmax(axis=1)  # [Q]
        chosen = []
        for include in (0, 1):
            rule = contains != bool(include)  # [Q, 3, Q] excluding clicks inside, including ones outside
            allowed = rule & good[:, :, None] & distinct[:, None]  # [Q, 3, Q]
            known = self.chosen[include][np.ix_(seen, seen)]  # [Q, Q]
            candidates = allowed[np.arange(len(seen)), row] & ~known  # [Q, Q]
            reach = NEAR * np.where(candidates, distance, 0.0).max(axis=1, keepdims=True)  # [Q, 1]
            candidates &= distance <= reach
            candidates &= (self.chosen[include, seen].sum(axis=1) < self.quota)[:, None]
            pick = (candidates * rng.random(candidates.shape)).argmax(axis=1)  # [Q]
            asked = known & allowed.any(axis=1)  # [Q, Q]
            asked[np.arange(len(seen)), pick] |= candidates.any(axis=1)
            i, j = np.nonzero(asked)  # [R_include] each
            chosen.append((i, j, np.full(len(i), bool(include)), allowed[i, :, j], known[i, j]))
        first, second, included, allowed, known = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
        best = np.where(allowed, scores[first], -np.inf).argmax(axis=1)  # [R]
        return Ask(first, second, included, allowed, best, known)

    def restore(self, click_sets: list[VertexClicks], clickable: np.ndarray) -> None:
        """Restore the pairs among click sets; clickable [T]."""
        index = {int(vertex): i for i, vertex in enumerate(clickable)}
        for clicks in click_sets:
            if len(clicks) == 2:
                (first, _), (second, include) = clicks
                self.chosen[int(include), index[first], index[second]] = True

    def keep(self, seen: np.ndarray, ask: Ask, counts: np.ndarray) -> np.ndarray:
        """Remember the pairs that a granularity learns from (counts [R, 3]); the others can be chosen anew. [R] bool"""
        kept = np.asarray(counts.any(axis=1))  # [R]
        self.chosen[ask.include[kept].astype(int), seen[ask.first[kept]], seen[ask.second[kept]]] = True
        return kept
