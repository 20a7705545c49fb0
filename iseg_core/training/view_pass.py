"""Viewer: draws a share of the views, shows them to the teacher and sums up its answers on the vertices.

One Viewer may see all views, or several a share each: what they sum up adds up (observe.py, batch/split_views.py).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from ..render.camera import Camera
from ..render.click_pixels import clicked_pixels
from ..render.raster import Raster, Rasterizer
from ..render.shading import shade
from ..storage.checkpoint import CheckpointState
from ..teachers.teacher import Embedding, RenderedView, Teacher, look_at, views_at_once
from .sums import FieldSums, VoteSums

MAX_IOU = 0.9  # a second click that changes less than this is not learned from


class First(NamedTuple):
    """Answers to the Q single clicks that one view sees."""

    seen: np.ndarray  # [Q] indices into the clickable vertices
    contains: np.ndarray  # [Q, 3, Q] bool: the mask of the first holds the click of the second
    scores: np.ndarray  # [Q, 3]


class Ask(NamedTuple):
    """Second clicks to be asked in one view: R pairs of the Q single clicks that it sees."""

    first: np.ndarray  # [R] indices 0..Q - 1
    second: np.ndarray  # [R] indices 0..Q - 1
    include: np.ndarray  # [R] bool: of the second clicks
    allowed: np.ndarray  # [R, 3] bool: the rule holds for the first mask of this granularity
    best: np.ndarray  # [R] the best granularity of these: its mask is the prior
    known: np.ndarray  # [R] bool: the pair was chosen in an earlier view

    def where(self, rows: np.ndarray) -> "Ask":
        """Select the pairs rows [R] bool."""
        return Ask(*(part[rows] for part in self))


@dataclass
class _Open:
    """View that may still be asked. p of its pixels show the mesh."""

    raster: Raster
    matrix: sp.csr_matrix  # [p, P]
    embedding: Embedding
    points: np.ndarray  # [Q, 2] pixels of the single clicks
    at: np.ndarray  # [Q] their indices among the pixels that show the mesh
    masks: np.ndarray  # [Q, 3, p] bool
    logits: Any  # [Q, 3, h, w]
    answers: np.ndarray | None = None  # [R, 3, p] bool, to the second clicks asked last
    counts: np.ndarray | None = None  # [R, 3] bool


class _Drawn(NamedTuple):
    """View that is drawn, and that the teacher has not seen yet."""

    index: int
    view: RenderedView
    small: Raster | None  # at the size of the teacher's features, where that is known and another


@dataclass(frozen=True, eq=False)
class Scene:
    """Mesh and the cameras around it: all views of a training."""

    vertices: np.ndarray  # [P, 3] in the unit sphere
    faces: np.ndarray  # [G, 3]
    cameras: Sequence[Camera]
    rasterizer: Rasterizer


class Viewer:
    """Viewer of a share of the views: shows them to the teacher and sums up its masks. T clickable vertices."""

    def __init__(self, teacher: Teacher, scene: Scene, clickable: np.ndarray, keep_views: bool = False):
        """scene: all its views, whichever share is looked at; clickable [T]: vertices."""
        self.field = FieldSums(len(scene.vertices), teacher.feature_dim)
        self.votes = VoteSums(len(scene.vertices), len(clickable), keep_views)
        self._teacher, self._rasterizer, self._cameras = teacher, scene.rasterizer, scene.cameras
        self._vertices, self._faces, self._clickable = scene.vertices, scene.faces, clickable
        self._open: dict[int, _Open] = {}

    def show(self, order: Iterable[int]) -> Iterator[tuple[int, First]]:
        """Show the teacher these views, each once; it is asked for the single clicks that each sees.

        A thread draws the next views meanwhile, and a teacher that can is shown several at once. A view stays open
        until `close`.
        """
        todo, ahead = iter(order), deque[Future[_Drawn]]()
        pool = ThreadPoolExecutor(1)

        def draw_ahead(count: int) -> None:
            while len(ahead) < count and (index := next(todo, None)) is not None:
                ahead.append(pool.submit(self._draw, int(index)))

        try:
            while True:
                size = views_at_once(self._teacher)
                draw_ahead(2 * size)
                batch = [ahead.popleft().result() for _ in range(min(size, len(ahead)))]
                if not batch:
                    return
                draw_ahead(2 * size)
                seen = look_at(self._teacher, [drawn.view for drawn in batch])
                for drawn, embedding in zip(batch, seen, strict=True):
                    if (small := drawn.small) is None and embedding.features.shape[-1] != self._teacher.resolution:
                        side = embedding.features.shape[-1]
                        small = pool.submit(self._rasterizer.rasterize, drawn.view.camera, side).result()
                    yield drawn.index, self._begin(drawn, embedding, small or drawn.view.raster)
        finally:
            pool.shutdown(cancel_futures=True)

    def redraw(self, order: Iterable[int]) -> None:
        """Draw the views again that the restored sums hold already: faster than to read them, and equal."""
        for index in map(int, order):
            drawn = self._draw(index)
            matrix = self._matrix(drawn.view.raster)  # [p, P]
            self.field.add_view(matrix if drawn.small is None else self._matrix(drawn.small))
            self.votes.add_view(index, matrix)

    def ask(self, index: int, ask: Ask) -> np.ndarray:
        """Ask an open view for second clicks; returns which answers count, for each granularity. [R, 3] bool"""
        view, (i, j) = self._open[index], (ask.first, ask.second)
        prior = None if view.logits is None else view.logits[i, ask.best]  # [R, h, w]
        labels = np.stack([np.ones_like(ask.include), ask.include], axis=1).astype(np.int8)  # [R, 2]
        points = np.stack([view.points[i], view.points[j]], axis=1)  # [R, 2, 2]
        second = self._teacher.predict(view.embedding, points, labels, prior)
        answers = _covered(second.masks, view.raster)  # [R, 3, p]
        answers[np.arange(len(i)), :, view.at[i]] = True
        answers[np.arange(len(i)), :, view.at[j]] = ask.include[:, None]
        view.answers, view.counts = answers, ask.allowed & _changed(view.masks[i], answers, ask.include)
        return view.counts

    def count(self, index: int, kept: np.ndarray, rows: np.ndarray) -> None:
        """Add the answers asked last, those kept [R] bool, as votes for the click sets `rows` [kept]."""
        view = self._open[index]
        assert view.answers is not None and view.counts is not None
        self.votes.add(index, view.matrix, rows, view.answers[kept], view.counts[kept])

    def close(self, index: int) -> None:
        """Forget what only further questions would need."""
        del self._open[index]

    def _draw(self, index: int) -> _Drawn:
        camera, side = self._cameras[index], self._teacher.resolution
        raster = self._rasterizer.rasterize(camera, side)
        small = self._rasterizer.rasterize(camera, self.field.side) if self.field.side not in (0, side) else None
        return _Drawn(index, RenderedView(camera, raster, shade(raster, camera, self._vertices, self._faces)), small)

    def _matrix(self, raster: Raster) -> sp.csr_matrix:
        """Matrix B_v of a view. [p, P]"""
        return raster.matrix(self._faces, len(self._vertices))

    def _begin(self, drawn: _Drawn, embedding: Embedding, small: Raster) -> First:
        """Sum up the features of a view [d, h, w], and ask for the single clicks that it sees."""
        raster = drawn.view.raster
        matrix = self._matrix(raster)  # [p, P]
        self.field.add(embedding.features, small, matrix if small is raster else self._matrix(small))
        self.votes.add_view(drawn.index, matrix)
        pixels, shown = clicked_pixels(raster, drawn.view.camera, self._vertices, self._faces)  # [P, 2], [P]
        seen = np.flatnonzero(shown[self._clickable])  # [Q]
        count, points = len(seen), pixels[self._clickable[seen]]  # [Q, 2]
        if not count:
            nothing = np.zeros((0, 3, len(raster.covered)), dtype=bool)  # [0, 3, p]
            self._open[drawn.index] = _Open(raster, matrix, embedding, points, seen, nothing, None)
            return First(seen, nothing[:, :, :0], np.zeros((0, 3)))
        first = self._teacher.predict(embedding, points[:, None], np.ones((count, 1), dtype=np.int8))
        at = _pixel(points, raster)  # [Q]
        masks = _covered(first.masks, raster)  # [Q, 3, p]
        masks[np.arange(count), :, at] = True  # the clicked pixel is inside
        self.votes.add(drawn.index, matrix, seen, masks, np.ones(masks.shape[:2], dtype=bool))
        self._open[drawn.index] = _Open(raster, matrix, embedding, points, at, masks, first.logits)
        return First(seen, masks[:, :, at], first.scores)


def _covered(masks: np.ndarray, raster: Raster) -> np.ndarray:
    """Restrict masks [Q, 3, H, W] to the pixels that show the mesh. [Q, 3, p]"""
    return masks.reshape(*masks.shape[:2], -1).take(raster.covered, axis=2)  # [Q, 3, p]


def _pixel(points: np.ndarray, raster: Raster) -> np.ndarray:
    """Indices, among the pixels that show the mesh, of points [Q, 2] that lie on such pixels. [Q]"""
    column, row = points.astype(np.int64).T  # [Q] each
    return np.searchsorted(raster.covered, row * raster.face_id.shape[1] + column)  # [Q]


def _changed(before: np.ndarray, after: np.ndarray, include: np.ndarray) -> np.ndarray:
    """Find masks [R, 3, p] that second clicks [R] changed enough, and enlarged where they include. [R, 3] bool"""
    both = (before & after).sum(axis=2)  # [R, 3]
    old, new = before.sum(axis=2), after.sum(axis=2)  # [R, 3]
    right_way = np.where(include[:, None], new > old, new < old)  # [R, 3]
    return np.asarray(right_way & (both <= MAX_IOU * (old + new - both)))


def sums_state(viewer: Viewer, click_sets: int) -> CheckpointState:
    """State of the sums for `restore_sums`, without what is drawn again. click_sets: how many there are."""
    answered = [np.concatenate(rows) if rows else np.zeros(0, np.int64) for rows in viewer.votes.answered.values()]
    record = {
        "c": viewer.field.c,
        "side": viewer.field.side,
        "ends": np.cumsum([len(rows) for rows in answered])[:-1].tolist(),
    }
    inside = viewer.votes.inside[:click_sets]  # [K, 3, P]
    return CheckpointState(record, {"b": viewer.field.b, "inside": inside, "answered": np.concatenate(answered)})


def restore_sums(viewer: Viewer, state: CheckpointState, click_sets: int, order: np.ndarray) -> int:
    """Fill in the sums of the first views of `order`; returns how many. The viewer must redraw them."""
    field, votes, inside = viewer.field, viewer.votes, state.arrays["inside"]
    if inside.shape != (click_sets, *votes.inside.shape[1:]) or inside.dtype != votes.inside.dtype:
        raise ValueError("votes of another mesh")
    field.b[:] = state.arrays["b"]
    field.c, field.side = float(state.record["c"]), int(state.record["side"])
    votes.inside = inside
    answered = np.split(state.arrays["answered"], state.record["ends"])
    votes.answered = {int(index): [rows] for index, rows in zip(order, answered, strict=False)}
    return len(answered)
