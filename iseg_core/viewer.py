"""A share of the views: drawn, shown to the teacher, and what it says summed up on the vertices.

One Viewer may see all views, or several a share each: what they sum up adds up (observe.py, batch/spread.py).
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from .checkpoint import State
from .raster import Raster, Rasterizer, shade
from .teacher import Embedding, RenderedView, Teacher
from .views import Camera

MAX_IOU = 0.9  # a second click that changes less than this is not learned from
CLICK_REACH = 2.0  # pixels: how far from its vertex a click's pixel may show the surface


@dataclass(eq=False)
class ViewVotes:
    """One view as the rendered objective needs it."""

    matrix: sp.csr_matrix  # [p, P] B_v
    rows: np.ndarray  # [R, 2] int32: click set and scale of each mask
    masks: np.ndarray  # [R, p] bool


class First(NamedTuple):
    """Answers to the single clicks that one view sees. Q places in the list of clickable vertices."""

    seen: np.ndarray  # [Q]
    contains: np.ndarray  # [Q, 3, Q] bool: the mask of the first holds the click of the second
    scores: np.ndarray  # [Q, 3]


class Ask(NamedTuple):
    """Second clicks to be asked in one view; R pairs of places among those that it sees."""

    first: np.ndarray  # [R]
    second: np.ndarray  # [R]
    positive: np.ndarray  # [R] bool
    allowed: np.ndarray  # [R, 3] bool: the rule holds for the first mask of this scale
    scale: np.ndarray  # [R] the best of these: its mask is the prior
    known: np.ndarray  # [R] bool: the pair was chosen in an earlier view

    def where(self, rows: np.ndarray) -> "Ask":
        """Some of them: rows [R] bool."""
        return Ask(*(part[rows] for part in self))


@dataclass
class _Open:
    """A view that may still be asked. p of its pixels show the mesh."""

    raster: Raster
    matrix: sp.csr_matrix  # [p, P]
    embedding: Embedding
    points: np.ndarray  # [Q, 2] pixels of the single clicks
    at: np.ndarray  # [Q] their places among the pixels that show the mesh
    masks: np.ndarray  # [Q, 3, p] bool
    logits: Any  # [Q, 3, h, w]
    answers: np.ndarray | None = None  # [R, 3, p] bool, to the second clicks asked last
    counts: np.ndarray | None = None  # [R, 3] bool


class _Drawn(NamedTuple):
    """A view that the teacher has not seen yet."""

    index: int
    view: RenderedView
    small: Raster | None  # at the size of the teacher's features, where that is known and another


class Viewer:
    """Shows the teacher views, asks it for masks there, and sums up. T clickable vertices."""

    def __init__(
        self,
        teacher: Teacher,
        rasterizer: Rasterizer,
        cameras: Sequence[Camera],
        vertices: np.ndarray,
        faces: np.ndarray,
        clickable: np.ndarray,
        keep_views: bool = False,
    ):
        """cameras: all of them, whichever share is looked at; vertices [P, 3], faces [F, 3]; clickable [T]."""
        self.field = FieldSums(len(vertices), teacher.feature_dim)
        self.votes = VoteSums(len(vertices), len(clickable), keep_views)
        self._teacher, self._rasterizer, self._cameras = teacher, rasterizer, cameras
        self._vertices, self._faces, self._clickable = vertices, faces, clickable
        self._open: dict[int, _Open] = {}

    def look(self, order: Iterable[int]) -> Iterator[tuple[int, First]]:
        """Show the teacher these views, each once; it is asked for the single clicks that each sees.

        A thread draws the next views meanwhile, and a teacher that can is shown several at once. A view stays open
        until `close`.
        """
        many = getattr(self._teacher, "look_many", None)
        todo, ahead = iter(order), deque[Future[_Drawn]]()
        pool = ThreadPoolExecutor(1)

        def draw_ahead(count: int) -> None:
            while len(ahead) < count and (index := next(todo, None)) is not None:
                ahead.append(pool.submit(self._draw, int(index)))

        try:
            while True:
                size = getattr(self._teacher, "views_at_once", 1) if many else 1
                draw_ahead(2 * size)
                batch = [ahead.popleft().result() for _ in range(min(size, len(ahead)))]
                if not batch:
                    return
                draw_ahead(2 * size)
                views = [drawn.view for drawn in batch]
                seen = many(views) if many else [self._teacher.look(view) for view in views]
                for drawn, embedding in zip(batch, seen, strict=True):
                    if (small := drawn.small) is None and embedding.features.shape[-1] != self._teacher.resolution:
                        side = embedding.features.shape[-1]
                        small = pool.submit(self._rasterizer.rasterize, drawn.view.camera, side).result()
                    yield drawn.index, self._begin(drawn, embedding, small or drawn.view.raster)
        finally:
            pool.shutdown(cancel_futures=True)

    def look_again(self, order: Iterable[int]) -> None:
        """Views that the restored sums hold already: they are drawn again, faster than to read them, and equal."""
        for index in map(int, order):
            drawn = self._draw(index)
            matrix = self._matrix(drawn.view.raster)  # [p, P]
            self.field.see(matrix if drawn.small is None else self._matrix(drawn.small))
            self.votes.see(index, matrix)

    def ask(self, index: int, ask: Ask) -> np.ndarray:
        """Ask an open view for second clicks. Returns for which scales the answer counts, [R, 3] bool."""
        view, (i, j) = self._open[index], (ask.first, ask.second)
        prior = None if view.logits is None else view.logits[i, ask.scale]  # [R, h, w]
        labels = np.stack([np.ones_like(ask.positive), ask.positive], axis=1).astype(np.int8)  # [R, 2]
        points = np.stack([view.points[i], view.points[j]], axis=1)  # [R, 2, 2]
        second = self._teacher.predict(view.embedding, points, labels, prior)
        answers = _covered(second.masks, view.raster)  # [R, 3, p]
        answers[np.arange(len(i)), :, view.at[i]] = True
        answers[np.arange(len(i)), :, view.at[j]] = ask.positive[:, None]
        view.answers, view.counts = answers, ask.allowed & _changed(view.masks[i], answers, ask.positive)
        return view.counts

    def count(self, index: int, kept: np.ndarray, rows: np.ndarray) -> None:
        """Add the answers asked last: those kept [R] bool, as votes for the click sets `rows` [kept]."""
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
        """B_v of a view. [p, P]"""
        return raster.matrix(self._faces, len(self._vertices))

    def _begin(self, drawn: _Drawn, embedding: Embedding, small: Raster) -> First:
        """Sum up the features of a view [d, h, w], and ask for the single clicks that it sees."""
        raster = drawn.view.raster
        matrix = self._matrix(raster)  # [p, P]
        self.field.add(embedding.features, small, matrix if small is raster else self._matrix(small))
        self.votes.see(drawn.index, matrix)
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


def clicked_pixels(
    raster: Raster, camera: Camera, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates of all vertices [P, 2], and which of them can be clicked in this view [P] bool.

    A visible vertex at a silhouette may fall on a pixel whose centre shows the background or another part behind: a 2D
    teacher asked there would speak of something else. So its pixel must show one of its faces or a point near it, and
    some pixel must show one of its faces: the view is fine enough to tell the vertex from others.
    """
    size = raster.face_id.shape[0]
    pixels = camera.project(vertices, size).astype(np.float32)  # [P, 2] as the teacher is told: rounding moves some on
    column, row = np.clip(pixels.astype(np.int64), 0, size - 1).T  # [P] each
    face, weights = raster.face_id[row, column], raster.barycentrics[row, column]  # [P], [P, 3]
    drawn = np.zeros(len(vertices), dtype=bool)  # [P]
    drawn[faces[raster.face_id.ravel()[raster.covered]]] = True
    corners = faces[face]  # [P, 3]; where nothing is hit: any face
    own = (corners == np.arange(len(vertices))[:, None]).any(axis=1)  # [P]
    offset = np.linalg.norm(np.einsum("pk,pkx->px", weights, vertices[corners]) - vertices, axis=1)  # [P]
    pixel = 2 * np.tan(camera.fov / 2) / size * np.linalg.norm(vertices - camera.position, axis=1)  # [P]
    return pixels, raster.visible & drawn & (face >= 0) & (own | (offset < CLICK_REACH * pixel))


def _covered(masks: np.ndarray, raster: Raster) -> np.ndarray:
    """Masks [Q, 3, H, W] on the pixels that show the mesh. [Q, 3, p]"""
    return masks.reshape(*masks.shape[:2], -1).take(raster.covered, axis=2)  # [Q, 3, p]


def _pixel(points: np.ndarray, raster: Raster) -> np.ndarray:
    """Places, among the pixels that show the mesh, of points [Q, 2] that lie on such pixels. [Q]"""
    column, row = points.astype(np.int64).T  # [Q] each
    return np.searchsorted(raster.covered, row * raster.face_id.shape[1] + column)  # [Q]


def _changed(before: np.ndarray, after: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Whether second clicks changed masks [R, 3, p] enough, and the right way for their sign [R]. [R, 3] bool"""
    both = (before & after).sum(axis=2)  # [R, 3]
    old, new = before.sum(axis=2), after.sum(axis=2)  # [R, 3]
    right_way = np.where(positive[:, None], new > old, new < old)  # [R, 3]
    return np.asarray(right_way & (both <= MAX_IOU * (old + new - both)))


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
        self.answered: dict[int, list[np.ndarray]] = {}  # a view: places 3 k + scale in which it voted
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
        """Of `count` click sets: the votes of the views that they were asked in [K, 3, P], in which of these scales
        they were asked at all [K, 3] bool; and the votes of all views [P]."""
        views = list(self.coverage)
        coverage = np.stack([self.coverage[view] for view in views])  # [views, P]
        answered = np.zeros((3 * count, len(views)), dtype=np.float32)  # [3 K, views]
        for column, view in enumerate(views):
            places = self.answered[view]
            answered[np.concatenate(places) if places else [], column] = 1.0
        seen = (answered @ coverage).reshape(count, 3, -1)  # [K, 3, P]
        return seen, answered.any(axis=1).reshape(count, 3), coverage.sum(axis=0)


def sums_state(viewer: Viewer, click_sets: int) -> State:
    """What `restore_sums` needs, but for what is drawn again."""
    answered = [
        np.concatenate(places) if places else np.zeros(0, np.int64) for places in viewer.votes.answered.values()
    ]
    record = {
        "c": viewer.field.c,
        "side": viewer.field.side,
        "ends": np.cumsum([len(places) for places in answered])[:-1].tolist(),
    }
    inside = viewer.votes.inside[:click_sets]  # [K, 3, P]
    return State(record, {"b": viewer.field.b, "inside": inside, "answered": np.concatenate(answered)})


def restore_sums(viewer: Viewer, state: State, click_sets: int, order: np.ndarray) -> int:
    """Fill in the sums of the first views of `order`; returns how many. They must be looked at again."""
    field, votes, inside = viewer.field, viewer.votes, state.arrays["inside"]
    if inside.shape != (click_sets, *votes.inside.shape[1:]) or inside.dtype != votes.inside.dtype:
        raise ValueError("votes of another mesh")
    field.b[:] = state.arrays["b"]
    field.c, field.side = float(state.record["c"]), int(state.record["side"])
    votes.inside = inside
    answered = np.split(state.arrays["answered"], state.record["ends"])
    votes.answered = {int(index): [places] for index, places in zip(order, answered, strict=False)}
    return len(answered)
