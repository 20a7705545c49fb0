"""Batches of the decoder: click sets, vertices and their targets, drawn from Observations.

Two sources, one for each objective of fit.py. Draws are made on the CPU from one generator, whatever the device.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

from ..clicks.click import VertexClick, VertexClicks
from ..errors import SettingsError
from .observations import Observations
from .settings import Settings

POOL = 256  # corrected click sets kept for replay
REPLAY = 0.25  # share of a batch that is replayed; at a half, the fit of all other click sets suffers
MIX = (2.0, 1.0, 1.0)  # how often singles, pairs and longer sequences are drawn, however many there are of each
CLEAR = 0.2  # votes are clear enough to correct a click where they lie this far from a half


class ClickBatch(NamedTuple):
    """K click sets, padded to n clicks."""

    vertices: Tensor  # [K, n] int64
    signs: Tensor  # [K, n] int64: +1 include, -1 exclude, 0 padding
    granularity: Tensor  # [K] int64


class VoteBatch(NamedTuple):
    """K click sets with N vertices each."""

    clicks: ClickBatch
    sources: list[
        tuple[int, VertexClicks]
    ]  # K: the pair of (set, granularity) that gives the target, and the clicks made so far
    vertices: Tensor  # [K, N] int64
    target: Tensor  # [K, N] share of the votes that lie inside


def pad(click_sets: Sequence[Sequence[tuple[int, bool]]], granularity: Sequence[int]) -> ClickBatch:
    """Pad click sets of any lengths to tensors; granularity: the row of each."""
    longest = max(len(clicks) for clicks in click_sets)
    rows = [
        [(v, 1 if include else -1) for v, include in clicks] + [(0, 0)] * (longest - len(clicks))
        for clicks in click_sets
    ]
    vertices, signs = torch.tensor(rows, dtype=torch.int64).unbind(dim=-1)  # [K, n] each
    return ClickBatch(vertices, signs, torch.tensor(granularity, dtype=torch.int64))


def bound(logits: Tensor, target: Tensor) -> Tensor:
    """Bound on equation 7, of logits and target [K, N]: vertices were drawn by their votes, so each counts once. []"""
    return binary_cross_entropy_with_logits(logits, target)


class VoteBatches:
    """Source of the objective "votes": any click set and granularity, at vertices drawn as often as they were seen.

    Hard-example replay: a click set whose answer was wrong is corrected by one click and drawn again with it.
    """

    def __init__(
        self, observations: Observations, vertices: np.ndarray, settings: Settings, generator: torch.Generator
    ):
        self.sets, self.settings, self.generator = observations.click_sets, settings, generator
        self.points = torch.as_tensor(vertices, dtype=torch.float32)  # [P, 3]
        self.inside = torch.from_numpy(observations.inside).flatten(0, 1)  # [3 K, P]
        self.seen = torch.from_numpy(observations.seen).flatten(0, 1)  # [3 K, P]
        answered = (self.seen.sum(dim=1) > 0).numpy()  # [3 K]
        length = np.repeat([min(len(clicks), 3) for clicks in self.sets], 3)  # [3 K]
        kinds = [torch.from_numpy(np.flatnonzero(answered & (length == n))) for n in (1, 2, 3)]
        self.kinds = [kind for kind in kinds if len(kind)]
        self.odds = torch.tensor([odds for odds, kind in zip(MIX, kinds, strict=True) if len(kind)])
        self.pool: list[tuple[int, VertexClicks]] = []

    def draw(self) -> VoteBatch:
        count = self.settings.decoder_sets
        replayed = min(int(count * REPLAY), len(self.pool))
        sources = [self.pool[i] for i in self._integers(len(self.pool), replayed)] if replayed else []
        fresh = torch.multinomial(self.odds, count - replayed, replacement=True, generator=self.generator)
        for kind in fresh.tolist():
            flat_row = int(self.kinds[kind][self._integers(len(self.kinds[kind]), 1)[0]])
            sources.append((flat_row, self.sets[flat_row // 3]))
        flat_rows = torch.tensor([flat_row for flat_row, _ in sources])  # [K]
        seen = self.seen[flat_rows]  # [K, P]
        vertices = torch.multinomial(
            seen, self.settings.decoder_vertices, replacement=True, generator=self.generator
        )  # [K, N]
        target = self.inside[flat_rows].gather(1, vertices) / seen.gather(1, vertices)  # [K, N]
        clicks = pad([clicks for _, clicks in sources], (flat_rows % 3).tolist())
        return VoteBatch(clicks, sources, vertices, target.clamp(0, 1))

    def loss(self, batch: VoteBatch, logits: Tensor) -> Tensor:
        return bound(logits, batch.target.to(logits.device))

    def learn(self, batch: VoteBatch, logits: Tensor) -> None:
        """Correct each set of the batch with one click, the deepest of its wrong vertices: hard examples for replay.

        Depth is the distance to the nearest vertex of the batch that is right, as in clicks/simulated_user.py.
        """
        logits, target = logits.detach().cpu(), batch.target
        wrong = ((logits > 0) != (target > 0.5)) & ((target - 0.5).abs() > CLEAR)  # [K, N]
        points = self.points[batch.vertices]  # [K, N, 3]
        depth = torch.cdist(points, points).masked_fill(wrong[:, None], torch.inf).amin(dim=2)  # [K, N]
        deepest = depth.masked_fill(~wrong, -1.0).argmax(dim=1)  # [K]
        vertices = batch.vertices.gather(1, deepest[:, None]).flatten().tolist()  # K
        include = (target.gather(1, deepest[:, None]).flatten() > 0.5).tolist()  # K
        for k in torch.nonzero(wrong.any(dim=1)).flatten().tolist():
            flat_row, clicks = batch.sources[k]
            if len(clicks) >= self.settings.max_clicks:
                continue
            entry = (flat_row, (*clicks, VertexClick(vertices[k], include[k])))
            if len(self.pool) < POOL:
                self.pool.append(entry)
            else:
                self.pool[self._integers(POOL, 1)[0]] = entry

    def _integers(self, high: int, count: int) -> list[int]:
        return torch.randint(high, (count,), generator=self.generator).tolist()


class ViewBatch(NamedTuple):
    """K (view, click set, granularity) with the teacher's masks; p pixels of the mask's view show the mesh."""

    clicks: ClickBatch
    vertices: None  # all of them
    corners: list[Tensor]  # K x [p, 3] int64
    weights: list[Tensor]  # K x [p, 3]
    masks: list[Tensor]  # K x [p]


class ViewBatches:
    """Source of the objective "rendered": equation 7 as published, on the kept views."""

    def __init__(self, observations: Observations, settings: Settings, generator: torch.Generator):
        if not observations.views:
            raise SettingsError('objective="rendered" needs the views: observe them with keep_views=True.')
        self.views, self.sets = observations.views, observations.click_sets
        self.settings, self.generator = settings, generator
        self.pool: list[tuple[int, VertexClicks]] = []  # nothing is replayed
        self.answers = torch.tensor([(v, r) for v, view in enumerate(self.views) for r in range(len(view.rows))])

    def draw(self) -> ViewBatch:
        chosen = torch.randint(len(self.answers), (self.settings.decoder_sets,), generator=self.generator)  # [K]
        rows, corners, weights, masks = [], [], [], []
        for v, r in self.answers[chosen].tolist():
            view = self.views[v]
            rows.append(view.rows[r])
            corners.append(torch.tensor(view.matrix.indices.reshape(-1, 3), dtype=torch.int64))
            weights.append(torch.tensor(view.matrix.data.reshape(-1, 3)))
            masks.append(torch.tensor(view.masks[r], dtype=torch.float32))
        clicks = pad([self.sets[k] for k, _ in rows], [int(granularity) for _, granularity in rows])
        return ViewBatch(clicks, None, corners, weights, masks)

    def loss(self, batch: ViewBatch, logits: Tensor) -> Tensor:
        """Equation 7: cross-entropy of the rendered probabilities of logits [K, P] with the masks. []"""
        losses = []
        for p, corners, weights, mask in zip(logits.sigmoid(), batch.corners, batch.weights, batch.masks, strict=True):
            corners, weights, mask = (t.to(logits.device) for t in (corners, weights, mask))
            rendered = (p[corners] * weights).sum(dim=1).clamp(0, 1)  # [p]
            losses.append(binary_cross_entropy(rendered, mask))
        return torch.stack(losses).mean()  # []

    def learn(self, batch: ViewBatch, logits: Tensor) -> None:
        """Do nothing: the published objective corrects no clicks."""


class Ahead:
    """Source that draws ahead: a thread learns from a batch and draws the next while the gradients are computed.

    The draws are the same as without. A context: the thread ends with it.
    """

    def __init__(self, source: VoteBatches | ViewBatches):
        self.source = source
        self._thread = ThreadPoolExecutor(1, "batches", torch.set_num_threads, (1,))  # its products are small
        self._next: Future[tuple[Tensor, Any]] | None = None  # the generator's state before it, and the next batch

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def draw(self) -> Any:
        """Draw a batch of the source's kind; once for each call of `learn`."""
        drawn, self._next = self._next, None
        return self.source.draw() if drawn is None else drawn.result()[1]

    def loss(self, batch: Any, logits: Tensor) -> Tensor:
        return self.source.loss(batch, logits)

    def learn(self, batch: Any, logits: Tensor) -> None:
        """Hand the logits of a batch to the source's `learn`."""
        self._next = self._thread.submit(self._prepare, batch, logits)

    def generator_state(self) -> Tensor:
        """State of the source's generator before the next batch: who goes on from there draws that again."""
        return self.source.generator.get_state() if self._next is None else self._next.result()[0]

    def _prepare(self, batch: Any, logits: Tensor) -> tuple[Tensor, Any]:
        self.source.learn(batch, logits)
        return self.source.generator.get_state(), self.source.draw()
