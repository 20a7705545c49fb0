"""Observations: the teacher's answers on one mesh, summed over views."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..clicks.click import VertexClick, VertexClicks
from ..storage.checkpoint import CheckpointState
from .sums import ViewVotes


@dataclass(eq=False)
class Observations:
    """Sums of the teacher's answers over views. P vertices, d features, K click sets, 3 granularities.

    Observations of the same mesh add up: views may be split over workers. Where each worker draws from a generator of
    the same seed, all of them click the same vertices.
    """

    A: sp.csr_matrix  # [P, P] float64
    b: np.ndarray  # [P, d] float64
    c: float
    pixels: int  # rows of the stacked B of the field
    click_sets: list[VertexClicks]
    inside: np.ndarray  # [K, 3, P] float32
    seen: np.ndarray  # [K, 3, P] float32; the votes against are seen - inside
    views: list[ViewVotes] | None = None  # only where asked for

    def __add__(self, other: "Observations") -> "Observations":
        row = {clicks: i for i, clicks in enumerate(self.click_sets)}
        click_sets = self.click_sets + [clicks for clicks in other.click_sets if clicks not in row]
        row = {clicks: i for i, clicks in enumerate(click_sets)}
        rows = np.array([row[clicks] for clicks in other.click_sets], dtype=np.int64)  # [K']
        inside, seen = (np.zeros((len(click_sets), *self.inside.shape[1:]), dtype=np.float32) for _ in range(2))
        for total, mine, theirs in ((inside, self.inside, other.inside), (seen, self.seen, other.seen)):
            total[: len(mine)] = mine
            total[rows] += theirs
        views = None
        if self.views is not None and other.views is not None:
            moved = [
                ViewVotes(v.matrix, np.stack([rows[v.rows[:, 0]], v.rows[:, 1]], axis=1), v.masks) for v in other.views
            ]
            views = self.views + moved
        A, b = (self.A + other.A).tocsr(), self.b + other.b
        return Observations(A, b, self.c + other.c, self.pixels + other.pixels, click_sets, inside, seen, views)

    def state(self) -> CheckpointState:
        """State for `restore`; views that were kept are no part of it."""
        record = {"c": self.c, "pixels": self.pixels, "click_sets": self.click_sets}
        matrix = {"values": self.A.data, "columns": self.A.indices, "rows": self.A.indptr}
        return CheckpointState(record, {**matrix, "b": self.b, "inside": self.inside, "seen": self.seen})

    @classmethod
    def restore(cls, state: CheckpointState, vertex_count: int, feature_dim: int) -> "Observations":
        """Make the observations of a state. Raises ValueError or another error where it is of another mesh."""
        record, arrays = state
        A = sp.csr_matrix((arrays["values"], arrays["columns"], arrays["rows"]), shape=(vertex_count, vertex_count))
        click_sets = click_sets_of(record)
        shape = (len(click_sets), 3, vertex_count)
        if (
            not arrays["b"].shape == (vertex_count, feature_dim)
            or not arrays["inside"].shape == arrays["seen"].shape == shape
        ):
            raise ValueError("observations of another mesh")
        return cls(
            A, arrays["b"], float(record["c"]), int(record["pixels"]), click_sets, arrays["inside"], arrays["seen"]
        )

    def field_loss(self, f: np.ndarray) -> float:
        """Equation 3 of features f [P, d]: squared error of the rendered features, mean over pixels and channels."""
        total = (f * (self.A @ f)).sum() - 2 * (f * self.b).sum() + self.c
        return float(total) / (self.pixels * f.shape[1])


def click_sets_of(record: dict[str, Any]) -> list[VertexClicks]:
    """Read the click sets of a record, as they were before they were JSON."""
    return [tuple(VertexClick(int(v), bool(include)) for v, include in clicks) for clicks in record["click_sets"]]
