"""Sums over views: of the field's loss (equation 3) and of the votes that bound the decoder's (equation 7)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..render.raster import Raster


@dataclass(eq=False)
class ViewVotes:
    """Votes of one view, as the rendered objective needs them. R masks, p pixels that show the mesh."""

    matrix: sp.csr_matrix  # [p, P] B_v
    rows: np.ndarray  # [R, 2] int32: click set and granularity of each mask
    masks: np.ndarray  # [R, p] bool


class FieldSums:
    """Sums A, b, c of the field's loss over views (observe.py says what they are). P vertices, d features."""

    def __init__(self, vertex_count: int, dim: int):
        self.blocks: list[sp.csr_matrix] = []
        self.b = np.zeros((vertex_count, dim))  # [P, d]
        self.c = 0.0
        self.pixels = 0
        self.side = 0  # of the features' map

    def add_view(self, matrix: sp.csr_matrix) -> None:
        """Add a view by its B_v [p, P] at the size of the features."""
        self.pixels += matrix.get_shape()[0]
        self.blocks.append(matrix)

    def add(self, features: np.ndarray, raster: Raster, matrix: sp.csr_matrix) -> None:
        """Add a view and its features [d, h, w], by its raster [h, w] and the B_v [p, P] of that."""
        self.side = features.shape[-1]
        target = features.reshape(len(features), -1)[:, raster.covered].T.astype(np.float64)  # [p, d]
        self.add_view(matrix)
        self.b += matrix.T @ target
        self.c += float((target**2).sum())

    def total(self) -> tuple[sp.csr_matrix, np.ndarray, float, int]:
        """Sum up: A [P, P], b [P, d], c, and the number of pixels."""
        matrix = sp.vstack(self.blocks, format="csr").astype(np.float64)  # [sum p, P]
        return sp.csr_matrix(matrix.T @ matrix), self.b, self.c, self.pixels


class VoteSums:
    """Sums of the votes over views: inside of all K click sets, and what tells in which views each was asked."""

    def __init__(self, vertex_count: int, click_sets: int, keep_views: bool = False):
        self.inside = np.zeros((click_sets, 3, vertex_count), dtype=np.float32)  # [>= K, 3, P] grows
        self.coverage: dict[int, np.ndarray] = {}  # a view: B'1 [P]
        self.answered: dict[int, list[np.ndarray]] = {}  # a view: rows 3 k + granularity in which it voted
        self.views: list[ViewVotes] | None = [] if keep_views else None

    def add_view(self, index: int, matrix: sp.csr_matrix) -> None:
        """Add a view by its B_v, matrix [p, P]; nothing is asked in it yet."""
        self.coverage[index] = np.asarray(matrix.sum(axis=0)).ravel()  # [P]
        self.answered.setdefault(index, [])

    def add(self, index: int, matrix: sp.csr_matrix, rows: np.ndarray, masks: np.ndarray, counts: np.ndarray) -> None:
        """Add masks [R, 3, p] of the click sets `rows` [R] in a view, where counts [R, 3] bool; matrix [p, P]: B_v."""
        flat_rows = (3 * rows[:, None] + np.arange(3))[counts]  # [C]
        self.grow(int(rows.max(initial=-1)) + 1)
        masks = masks[counts]  # [C, p]
        pixels = np.ascontiguousarray(masks.T).astype(np.float32)  # [p, C]
        flat = self.inside.reshape(-1, self.inside.shape[2])  # [3 K, P]
        flat[flat_rows] += (matrix.T @ pixels).T  # [C, P]
        self.answered[index].append(flat_rows)
        if self.views is not None:
            self.views.append(ViewVotes(matrix, np.stack(np.divmod(flat_rows, 3), axis=1).astype(np.int32), masks))

    def grow(self, count: int) -> None:
        """Make room for `count` click sets."""
        if count > len(self.inside):
            grown = np.zeros((2 * count, *self.inside.shape[1:]), dtype=np.float32)
            grown[: len(self.inside)] = self.inside
            self.inside = grown

    def merge(self, other: "VoteSums") -> None:
        """Add the sums of other views."""
        self.grow(len(other.inside))
        self.inside[: len(other.inside)] += other.inside
        self.coverage |= other.coverage
        self.answered |= other.answered
        if self.views is not None and other.views is not None:
            self.views += other.views

    def seen(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sum up the votes of the views in which each of `count` click sets was asked. [K, 3, P]

        Also whether it was asked at all, for each granularity [K, 3] bool, and the votes of all views [P].
        """
        views = list(self.coverage)
        coverage = np.stack([self.coverage[view] for view in views])  # [views, P]
        answered = np.zeros((3 * count, len(views)), dtype=np.float32)  # [3 K, views]
        for column, view in enumerate(views):
            rows = self.answered[view]
            answered[np.concatenate(rows) if rows else [], column] = 1.0
        seen = (answered @ coverage).reshape(count, 3, -1)  # [K, 3, P]
        return seen, answered.any(axis=1).reshape(count, 3), coverage.sum(axis=0)
