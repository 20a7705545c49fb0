"""One pass of the teacher over the views -> Observations: all that the fits need to know about the 2D teacher.

Rendering an attribute f [P, d] of the vertices in view v is a fixed sparse map B_v f. So the field's loss (equation 3)
needs only A = sum B'B, b = sum B'E and c = sum |E|^2; and the masks m of a click set become votes of the vertices,
inside = sum B'm and seen = sum B'1, which bound the decoder's loss (equation 7) from above, by convexity.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from .checkpoint import Checkpoint, State
from .presets import Settings
from .raster import Raster, Rasterizer, shade
from .sequences import LANDMARKS, farthest_points, simulate
from .teacher import RenderedView, Teacher
from .views import Camera

MIN_SCORE = 0.4  # a first mask worth less gets no second click
MAX_IOU = 0.9  # a second click that changes less than this is not learned from
NEAR = 0.5**0.5  # second clicks lie within this share of the distance to the farthest candidate
CLICK_REACH = 2.0  # pixels: how far from its vertex a click's pixel may show the surface

Clicks = tuple[tuple[int, bool], ...]  # (vertex, positive) in the order they were made


@dataclass(eq=False)
class ViewVotes:
    """One view as the rendered objective needs it."""

    matrix: sp.csr_matrix  # [p, P] B_v
    rows: np.ndarray  # [R, 2] int32: click set and scale of each mask
    masks: np.ndarray  # [R, p] bool


@dataclass(eq=False)
class Observations:
    """What the teacher said, summed over views. P vertices, d features, K click sets, scales fine / part / whole.

    Observations of the same mesh add up: views may be split over workers. Where each worker draws from a generator of
    the same seed, all of them click the same vertices.
    """

    A: sp.csr_matrix  # [P, P] float64
    b: np.ndarray  # [P, d] float64
    c: float
    pixels: int  # rows of the stacked B of the field
    click_sets: list[Clicks]
    inside: np.ndarray  # [K, 3, P] float32
    seen: np.ndarray  # [K, 3, P] float32; the votes against are seen - inside
    views: list[ViewVotes] | None = None  # only where asked for

    def __add__(self, other: "Observations") -> "Observations":
        row = {clicks: i for i, clicks in enumerate(self.click_sets)}
        click_sets = self.click_sets + [clicks for clicks in other.click_sets if clicks not in row]
        row = {clicks: i for i, clicks in enumerate(click_sets)}
        place = np.array([row[clicks] for clicks in other.click_sets], dtype=np.int64)  # [K']
        inside, seen = (np.zeros((len(click_sets), *self.inside.shape[1:]), dtype=np.float32) for _ in range(2))
        for total, mine, theirs in ((inside, self.inside, other.inside), (seen, self.seen, other.seen)):
            total[: len(mine)] = mine
            total[place] += theirs
        views = None
        if self.views is not None and other.views is not None:
            moved = [
                ViewVotes(v.matrix, np.stack([place[v.rows[:, 0]], v.rows[:, 1]], axis=1), v.masks) for v in other.views
            ]
            views = self.views + moved
        A, b = (self.A + other.A).tocsr(), self.b + other.b
        return Observations(A, b, self.c + other.c, self.pixels + other.pixels, click_sets, inside, seen, views)

    def field_loss(self, f: np.ndarray) -> float:
        """Equation 3 of features f [P, d]: squared error of the rendered features, mean over pixels and channels."""
        total = (f * (self.A @ f)).sum() - 2 * (f * self.b).sum() + self.c
        return float(total) / (self.pixels * f.shape[1])


def observe(
    teacher: Teacher,
    rasterizer: Rasterizer,
    cameras: Sequence[Camera],
    vertices: np.ndarray,
    faces: np.ndarray,
    settings: Settings,
    rng: np.random.Generator,
    step: Callable[[float], None] = lambda fraction: None,
    keep_views: bool = False,
    checkpoint: Checkpoint | None = None,
) -> Observations:
    """Show the teacher every view once, and ask it there for every click set that the view sees.

    vertices [P, 3] in the unit sphere, faces [F, 3]; step is told the fraction done, first that which the checkpoint
    brought, then after every view, and may raise; keep_views keeps rasters and masks, for objective="rendered", and
    then no checkpoint.

    Click sets (supplementary D and the released code's rules, for views that are shared):
    - Singles: evenly spread vertices, asked in every view where they can be clicked.
    - Pairs: in a view, a single whose mask is good enough proposes one second click of either sign: positive outside of
      its mask, negative inside, until it has `second_clicks` of each. The pair is then one click set of its own: every
      later view that sees both clicks asks it again, if the rule holds there too. A scale's answer counts only where
      the rule holds for its own first mask, and where the second click grew (shrank) it and changed it enough. Views
      come in random order and quotas fill early, so one pass, which needs no embedding twice, loses hardly a view.

    A teacher may also answer in 3D. Its `regions(clicks) -> bool [3, P]` then votes in the views that do not see the
    clicks, which a 2D teacher cannot. And towards its `hidden_targets(rng, count) -> bool [count, P]`, longer sequences
    of clicks are simulated (sequences.py): the region votes in all views, at every scale.
    """
    used = np.unique(faces)  # vertices of some face: others can be neither seen nor clicked
    clickable = clickable_vertices(vertices, used, settings, rng)  # [T]
    votes = _Votes(len(vertices), [((int(v), True),) for v in clickable], keep_views)
    pairs = _Pairs(vertices[clickable], settings.second_clicks)
    sequences = _sequences(teacher, vertices, used, settings, rng)
    field = _FieldSums(len(vertices), teacher.feature_dim)
    order = rng.permutation(len(cameras))
    checkpoint = checkpoint if checkpoint is not None and not keep_views else Checkpoint()

    def restore(state: State) -> None:
        field.restore(state)
        votes.restore(state)
        pairs.restore(votes.click_sets, clickable)
        rng.bit_generator.state = state.record["rng"]

    checkpoint.load("observe", restore)
    done = len(votes.answered)
    for index in order[:done]:  # rendered again: faster than reading it, and equal
        raster = rasterizer.rasterize(cameras[index], teacher.resolution)
        field.see(raster, cameras[index], rasterizer, faces)
        votes.begin(raster, faces)
    step(done / len(cameras))

    for index in order[done:]:
        camera = cameras[index]
        raster = rasterizer.rasterize(camera, teacher.resolution)
        view = RenderedView(camera, raster, shade(raster, camera, vertices, faces))
        embedding = teacher.look(view)
        field.add(embedding.features, raster, camera, rasterizer, faces)

        votes.begin(raster, faces)
        pixels, shown = clicked_pixels(raster, camera, vertices, faces)  # [P, 2], [P]
        seen = np.flatnonzero(shown[clickable])  # [Q] places in `clickable`
        if len(seen):
            points = pixels[clickable[seen]].astype(np.float32)  # [Q, 2]
            first = teacher.predict(embedding, points[:, None], np.ones((len(seen), 1), dtype=np.int8))
            at = votes.pixel(points)  # [Q]
            masks = votes.covered(first.masks)  # [Q, 3, p]
            masks[np.arange(len(seen)), :, at] = True  # the clicked pixel is inside
            votes.add(seen, masks, np.ones(masks.shape[:2], dtype=bool))

            ask = pairs.ask(seen, masks[:, :, at], first.scores, rng)
            if len(ask.first):
                i, j = ask.first, ask.second  # [R] places in `seen`
                prior = None if first.logits is None else first.logits[i, ask.scale]  # [R, h, w]
                labels = np.stack([np.ones_like(ask.positive), ask.positive], axis=1).astype(np.int8)  # [R, 2]
                second = teacher.predict(embedding, np.stack([points[i], points[j]], axis=1), labels, prior)
                answers = votes.covered(second.masks)  # [R, 3, p]
                answers[np.arange(len(i)), :, at[i]] = True
                answers[np.arange(len(i)), :, at[j]] = ask.positive[:, None]
                counts = ask.allowed & _changed(masks[i], answers, ask.positive)  # [R, 3]
                kept = pairs.keep(seen, ask, counts)  # [R]
                rows = [
                    votes.row(((int(clickable[seen[a]]), True), (int(clickable[seen[b]]), bool(p))))
                    for a, b, p in zip(i[kept], j[kept], ask.positive[kept], strict=True)
                ]
                votes.add(np.array(rows, dtype=np.int64), answers[kept], counts[kept])
        done += 1
        checkpoint.keep("observe", lambda: _state(field, votes, rng), last=done == len(cameras))
        step(done / len(cameras))
    return votes.finish(field, teacher, sequences)


def clickable_vertices(
    vertices: np.ndarray, used: np.ndarray, settings: Settings, rng: np.random.Generator
) -> np.ndarray:
    """The vertices that are clicked in training, evenly spread over those used [U] by faces. [T]

    With a fresh generator of a training's seed: those of that training.
    """
    count = int(np.clip(round(settings.click_share * len(used)), *settings.click_range))
    return used[farthest_points(vertices[used], count, rng)]


def clicked_pixels(
    raster: Raster, camera: Camera, vertices: np.ndarray, faces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates of all vertices [P, 2], and which of them can be clicked in this view [P] bool.

    A visible vertex at a silhouette may fall on a pixel whose centre shows the background or another part behind: a 2D
    teacher asked there would speak of something else. So its pixel must show one of its faces or a point near it, and
    some pixel must show one of its faces: the view is fine enough to tell the vertex from others.
    """
    size = raster.face_id.shape[0]
    pixels = camera.project(vertices, size)  # [P, 2]
    column, row = np.clip(pixels.astype(np.int64), 0, size - 1).T  # [P] each
    face, weights = raster.face_id[row, column], raster.barycentrics[row, column]  # [P], [P, 3]
    drawn = np.zeros(len(vertices), dtype=bool)  # [P]
    drawn[faces[raster.face_id.ravel()[raster.covered]]] = True
    corners = faces[face]  # [P, 3]; where nothing is hit: any face
    own = (corners == np.arange(len(vertices))[:, None]).any(axis=1)  # [P]
    offset = np.linalg.norm(np.einsum("pk,pkx->px", weights, vertices[corners]) - vertices, axis=1)  # [P]
    pixel = 2 * np.tan(camera.fov / 2) / size * np.linalg.norm(vertices - camera.position, axis=1)  # [P]
    return pixels, raster.visible & drawn & (face >= 0) & (own | (offset < CLICK_REACH * pixel))


def _changed(before: np.ndarray, after: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Whether second clicks changed masks [R, 3, p] enough, and the right way for their sign [R]. [R, 3] bool"""
    both = (before & after).sum(axis=2)  # [R, 3]
    old, new = before.sum(axis=2), after.sum(axis=2)  # [R, 3]
    right_way = np.where(positive[:, None], new > old, new < old)  # [R, 3]
    return np.asarray(right_way & (both <= MAX_IOU * (old + new - both)))


class _FieldSums:
    """A, b, c of the field's loss."""

    def __init__(self, vertex_count: int, dim: int):
        self.blocks: list[sp.csr_matrix] = []
        self.b = np.zeros((vertex_count, dim))  # [P, d]
        self.c = 0.0
        self.pixels = 0
        self.side = 0  # of the features' map

    def see(self, raster: Raster, camera: Camera, rasterizer: Rasterizer, faces: np.ndarray) -> tuple[Raster, Any]:
        """Count a view in: its raster at the features' size, and the matrix B_v of that. raster: at the teacher's."""
        if raster.face_id.shape[0] != self.side:
            raster = rasterizer.rasterize(camera, self.side)
        matrix = raster.matrix(faces, len(self.b))  # [p, P]
        self.pixels += len(raster.covered)
        self.blocks.append(matrix)
        return raster, matrix

    def add(
        self, features: np.ndarray, raster: Raster, camera: Camera, rasterizer: Rasterizer, faces: np.ndarray
    ) -> None:
        """features [d, h, w] of a view; its raster at the teacher's size."""
        self.side = features.shape[-1]
        raster, matrix = self.see(raster, camera, rasterizer, faces)
        target = features.reshape(len(features), -1)[:, raster.covered].T.astype(np.float64)  # [p, d]
        self.b += matrix.T @ target
        self.c += float((target**2).sum())

    def restore(self, state: State) -> None:
        """What `_state` has kept; the views must be seen again."""
        self.b[:] = state.arrays["b"]
        self.c, self.side = float(state.record["c"]), int(state.record["side"])

    def total(self) -> tuple[sp.csr_matrix, np.ndarray, float, int]:
        matrix = sp.vstack(self.blocks, format="csr").astype(np.float64)  # [sum p, P]
        return sp.csr_matrix(matrix.T @ matrix), self.b, self.c, self.pixels


@dataclass
class _Ask:
    """Second clicks to be asked in one view; R pairs, places in the view's list of clickable vertices."""

    first: np.ndarray  # [R]
    second: np.ndarray  # [R]
    positive: np.ndarray  # [R] bool
    allowed: np.ndarray  # [R, 3] bool: the rule holds for the first mask of this scale
    scale: np.ndarray  # [R] the best of these: its mask is the prior


class _Pairs:
    """The pairs of clicks chosen so far, and the rules by which they are chosen. T clickable vertices."""

    def __init__(self, points: np.ndarray, quota: int):
        count = len(points)
        self.distance = np.linalg.norm(points[:, None] - points[None], axis=2)  # [T, T]
        self.chosen = np.zeros((2, count, count), dtype=bool)  # [sign, first, second]
        self.quota = quota

    def ask(self, seen: np.ndarray, contains: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> _Ask:
        """Pairs for a view that sees vertices `seen` [Q]. contains [Q, 3, Q]: the first's mask holds the second."""
        good = scores >= MIN_SCORE  # [Q, 3]
        others = ~np.eye(len(seen), dtype=bool)  # [Q, Q]
        distance = self.distance[np.ix_(seen, seen)]  # [Q, Q]
        # One scale a view and first click, drawn from the good ones, decides which second clicks are proposed.
        scale = (good * rng.random(good.shape)).argmax(axis=1)  # [Q]
        found = []
        for sign in (0, 1):
            rule = contains != bool(sign)  # [Q, 3, Q] negative clicks inside, positive ones outside
            allowed = rule & good[:, :, None] & others[:, None]  # [Q, 3, Q]
            known = self.chosen[sign][np.ix_(seen, seen)]  # [Q, Q]
            candidates = allowed[np.arange(len(seen)), scale] & ~known  # [Q, Q]
            reach = NEAR * np.where(candidates, distance, 0.0).max(axis=1, keepdims=True)  # [Q, 1]
            candidates &= distance <= reach
            candidates &= (self.chosen[sign, seen].sum(axis=1) < self.quota)[:, None]
            pick = (candidates * rng.random(candidates.shape)).argmax(axis=1)  # [Q]
            asked = known & allowed.any(axis=1)  # [Q, Q]
            asked[np.arange(len(seen)), pick] |= candidates.any(axis=1)
            i, j = np.nonzero(asked)  # [R_sign] each
            found.append((i, j, np.full(len(i), bool(sign)), allowed[i, :, j]))
        first, second, positive, allowed = (np.concatenate(parts) for parts in zip(*found, strict=True))
        best = np.where(allowed, scores[first], -np.inf).argmax(axis=1)  # [R]
        return _Ask(first, second, positive, allowed, best)

    def restore(self, click_sets: list[Clicks], clickable: np.ndarray) -> None:
        """The pairs among click sets; clickable [T]."""
        place = {int(vertex): i for i, vertex in enumerate(clickable)}
        for clicks in click_sets:
            if len(clicks) == 2:
                (first, _), (second, positive) = clicks
                self.chosen[int(positive), place[first], place[second]] = True

    def keep(self, seen: np.ndarray, ask: _Ask, counts: np.ndarray) -> np.ndarray:
        """Remember the pairs that a scale learns from (counts [R, 3]); the others can be chosen anew. [R] bool"""
        kept = np.asarray(counts.any(axis=1))  # [R]
        self.chosen[ask.positive[kept].astype(int), seen[ask.first[kept]], seen[ask.second[kept]]] = True
        return kept


def _state(field: _FieldSums, votes: "_Votes", rng: np.random.Generator) -> State:
    """All that later views depend on, but for what is rendered again."""
    answered = [np.concatenate(places) if places else np.zeros(0, dtype=np.int64) for places in votes.answered]
    record = {
        "c": field.c,
        "side": field.side,
        "click_sets": votes.click_sets,
        "ends": np.cumsum([len(places) for places in answered])[:-1].tolist(),
        "rng": rng.bit_generator.state,
    }
    inside = votes.inside[: len(votes.click_sets)]  # [K, 3, P]
    return State(record, {"b": field.b, "inside": inside, "answered": np.concatenate(answered)})


@dataclass
class _Sequences:
    click_sets: list[Clicks]  # S
    target: np.ndarray  # [S] region of each
    regions: np.ndarray  # [M, P] bool


def _sequences(
    teacher: Teacher, vertices: np.ndarray, used: np.ndarray, settings: Settings, rng: np.random.Generator
) -> _Sequences | None:
    hidden_targets = getattr(teacher, "hidden_targets", None)
    if hidden_targets is None or settings.hidden_targets == 0:
        return None
    regions = hidden_targets(rng, settings.hidden_targets)  # [M, P]
    marks = used[farthest_points(vertices[used], LANDMARKS, rng)]  # [L]
    found, target = simulate(regions[:, marks], vertices[marks], settings.max_clicks, rng)
    click_sets = [tuple((int(marks[v]), positive) for v, positive in clicks) for clicks in found]
    unique = {clicks: wanted for clicks, wanted in zip(click_sets, target, strict=True)}
    return _Sequences(list(unique), np.array(list(unique.values()), dtype=np.int64), regions)


class _Votes:
    """inside and seen of all click sets, view after view. p pixels of the present view show the mesh."""

    def __init__(self, vertex_count: int, click_sets: list[Clicks], keep_views: bool):
        self.click_sets = click_sets
        self.rows = {clicks: i for i, clicks in enumerate(click_sets)}
        self.inside = np.zeros((len(click_sets), 3, vertex_count), dtype=np.float32)  # [>= K, 3, P] grows
        self.coverage: list[np.ndarray] = []  # a view: B'1 [P]
        self.answered: list[list[np.ndarray]] = []  # a view: places 3 k + scale in which it voted
        self.views: list[ViewVotes] | None = [] if keep_views else None

    def row(self, clicks: Clicks) -> int:
        if clicks not in self.rows:
            self.rows[clicks] = len(self.click_sets)
            self.click_sets.append(clicks)
        return self.rows[clicks]

    def begin(self, raster: Raster, faces: np.ndarray) -> None:
        """Turn to the next view."""
        self.raster = raster
        self.matrix = raster.matrix(faces, self.inside.shape[2])  # [p, P]
        self.coverage.append(np.asarray(self.matrix.sum(axis=0)).ravel())  # [P]
        if len(self.answered) < len(self.coverage):  # else it was asked in an earlier run
            self.answered.append([])

    def restore(self, state: State) -> None:
        """What `_state` has kept; the views must be turned to again."""
        click_sets = [tuple((int(v), bool(sign)) for v, sign in clicks) for clicks in state.record["click_sets"]]
        inside = state.arrays["inside"]  # [K, 3, P]
        if inside.shape != (len(click_sets), *self.inside.shape[1:]) or inside.dtype != self.inside.dtype:
            raise ValueError("votes of another mesh")
        self.inside, self.click_sets[:] = inside, click_sets
        self.rows.update((clicks, i) for i, clicks in enumerate(click_sets))
        self.answered = [[places] for places in np.split(state.arrays["answered"], state.record["ends"])]

    def covered(self, masks: np.ndarray) -> np.ndarray:
        """Masks [Q, 3, H, W] on the pixels that show the mesh. [Q, 3, p]"""
        return masks.reshape(*masks.shape[:2], -1).take(self.raster.covered, axis=2)  # [Q, 3, p]

    def pixel(self, points: np.ndarray) -> np.ndarray:
        """Places, among the pixels that show the mesh, of points [Q, 2] that lie on such pixels. [Q]"""
        column, row = points.astype(np.int64).T  # [Q] each
        return np.searchsorted(self.raster.covered, row * self.raster.face_id.shape[1] + column)  # [Q]

    def add(self, rows: np.ndarray, masks: np.ndarray, counts: np.ndarray) -> None:
        """Masks [R, 3, p] of the click sets `rows` [R], where counts [R, 3]."""
        places = (3 * rows[:, None] + np.arange(3))[counts]  # [C]
        self._add(places, masks[counts])

    def _add(self, places: np.ndarray, masks: np.ndarray) -> None:
        """Add the votes of masks [C, p] at `places` [C]."""
        self._grow()
        pixels = np.ascontiguousarray(masks.T).astype(np.float32)  # [p, C]
        flat = self.inside.reshape(-1, self.inside.shape[2])  # [3 K, P]
        flat[places] += (self.matrix.T @ pixels).T  # [C, P]
        self.answered[-1].append(places)
        if self.views is not None:
            rows = np.stack(np.divmod(places, 3), axis=1).astype(np.int32)  # [C, 2]
            self.views.append(ViewVotes(self.matrix, rows, masks))

    def _grow(self) -> None:
        if len(self.click_sets) > len(self.inside):
            grown = np.zeros((2 * len(self.click_sets), *self.inside.shape[1:]), dtype=np.float32)
            grown[: len(self.inside)] = self.inside
            self.inside = grown

    def finish(self, field: _FieldSums, teacher: Teacher, sequences: _Sequences | None) -> Observations:
        """Sum up, and let a teacher that answers in 3D speak for the views that do not see the clicks."""
        count = len(self.click_sets)
        coverage = np.stack(self.coverage)  # [views, P]
        answered = np.zeros((3 * count, len(coverage)), dtype=np.float32)  # [3 K, views]
        for view, places in enumerate(self.answered):
            answered[np.concatenate(places) if places else [], view] = 1.0
        seen = (answered @ coverage).reshape(count, 3, -1)  # [K, 3, P]
        everywhere = coverage.sum(axis=0)  # [P]
        regions = getattr(teacher, "regions", None)
        if regions is not None:
            for k, clicks in enumerate(self.click_sets):
                asked = answered[3 * k : 3 * k + 3].any(axis=1)  # [3]
                self.inside[k, asked] += (everywhere - seen[k, asked]) * regions(clicks)[asked]
                seen[k, asked] = everywhere
        if sequences is not None:
            fresh = [i for i, clicks in enumerate(sequences.click_sets) if clicks not in self.rows]
            rows = [self.row(sequences.click_sets[i]) for i in fresh]
            self._grow()
            self.inside[rows] = (everywhere * sequences.regions[sequences.target[fresh]])[:, None]
            seen = np.concatenate([seen, np.broadcast_to(everywhere, (len(rows), *seen.shape[1:]))])  # [K + S, 3, P]
        return Observations(*field.total(), self.click_sets, self.inside[: len(seen)], seen, self.views)
