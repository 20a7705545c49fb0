"""Sums over views: of the field's loss (equation 3) and of the votes that bound the decoder's (equation 7)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..render.raster import Raster


@dataclass(eq=False)
class ViewVotes:
    """One view as the rendered objective needs it."""

    matrix: sp.csr_matrix  # [p, P] B_v
    rows: np.ndarray  # [R, 2] int32: click set and granularity of each mask
    masks: np.ndarray  # [R, p] bool


class FieldSums:
    """A, b, c of the field's loss."""

    def __init__(self, vertex_count: int, dim: int):
        self.blocks: list[sp.csr_matrix] = []
        self.b = np.zeros((vertex_count, dim))  # [P, d]
        self.c = 0.0
        self.pixels = 0
        self.side = 0  # of the features' map

    def see(self, matrix: sp.csr_matrix) -> None:
        """Count a view in; its B_v [p, P] at the size of the features."""
        self.pixels += matrix.get_shape()[0]
        self.blocks.append(matrix)

    def add(self, features: np.ndarray, raster: Raster, matrix: sp.csr_matrix) -> None:
        """features [d, h, w] of a view, its raster [h, w] and the B_v [p, P] of that."""
        self.side = features.shape[-1]
        target = features.reshape(len(features), -1)[:, raster.covered].T.astype(np.float64)  # [p, d]
        self.see(matrix)
        self.b += matrix.T @ target
        self.c += float((target**2).sum())

    def total(self) -> tuple[sp.csr_matrix, np.ndarray, float, int]:
        """A [P, P], b [P, d], c, and the number of pixels."""
        matrix = sp.vstack(self.blocks, format="csr").astype(np.float64)  # [sum p, P]
        return sp.csr_matrix(matrix.T @ matrix), self.b, self.c, self.pixels


class VoteSums:
    """inside of all click sets, and what tells in which views each was asked. K click sets."""

    def __init__(self, vertex_count: int, click_sets: int, keep_views: bool = False):
        self.inside = np.zeros((click_sets, 3, vertex_count), dtype=np.float32)  # [>= K, 3, P] grows
        self.coverage: dict[int, np.ndarray] = {}  # a view: B'1 [P]
        self.answered: dict[int, list[np.ndarray]] = {}  # a view: places 3 k + granularity in which it voted
        self.views: list[ViewVotes] | None = [] if keep_views else None

    def see(self, index: int, matrix: sp.csr_matrix) -> None:
        """Count a view in; matrix [p, P]."""
        self.coverage[index] = np.asarray(matrix.sum(axis=0)).ravel()  # [P]
        self.answered.setdefault(index, [])

    def add(self, index: int, matrix: sp.csr_matrix, rows: np.ndarray, masks: np.ndarray, counts: np.ndarray) -> None:
        """Masks [R, 3, p] of the click sets `rows` [R], where counts [R, 3]; matrix [p, P] of the view."""
        places = (3 * rows[:, None] + np.arange(3))[counts]  # [C]
        self.grow(int(rows.max(initial=-1)) + 1)
        masks = masks[counts]  # [C, p]
        pixels = np.ascontiguousarray(masks.T).astype(np.float32)  # [p, C]
        flat = self.inside.reshape(-1, self.inside.shape[2])  # [3 K, P]
        flat[places] += (matrix.T @ pixels).T  # [C, P]
        self.answered[index].append(places)
        if self.views is not None:
            self.views.append(ViewVotes(matrix, np.stack(np.divmod(places, 3), axis=1).astype(np.int32), masks))

    def grow(self, count: int) -> None:
        """Make room for so many click sets."""
        if count > len(self.inside):
            grown = np.zeros((2 * count, *self.inside.shape[1:]), dtype=np.float32)
            grown[: len(self.inside)] = self.inside
            self.inside = grown

    def merge(self, other: "VoteSums") -> None:
        """Add those of other views."""
        self.grow(len(other.inside))
        self.inside[: len(other.inside)] += other.inside
        self.coverage |= other.coverage
        self.answered |= other.answered
        if self.views is not None and other.views is not None:
            self.views += other.views

    def seen(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of `count` click sets: the votes of the views that they were asked in [K, 3, P], in which granularities they
        were asked at all [K, 3] bool; and the votes of all views [P]."""
        views = list(self.coverage)
        coverage = np.stack([self.coverage[view] for view in views])  # [views, P]
        answered = np.zeros((3 * count, len(views)), dtype=np.float32)  # [3 K, views]
        for column, view in enumerate(views):
            places = self.answered[view]
            answered[np.concatenate(places) if places else [], column] = 1.0
        seen = (answered @ coverage).reshape(count, 3, -1)  # [K, 3, P]
        return seen, answered.any(axis=1).reshape(count, 3), coverage.sum(axis=0)
