"""Observe: one pass of the teacher over the views gives all that the fits need to know about it, as Observations.

Rendering an attribute f [P, d] of the vertices in view v is a fixed sparse map B_v f. So the field's loss (equation 3)
needs only A = sum B'B, b = sum B'E and c = sum |E|^2; and the masks m of a click set become votes of the vertices,
inside = sum B'm and seen = sum B'1, which bound the decoder's loss (equation 7) from above, by convexity.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from ..clicks.click import VertexClick, VertexClicks
from ..clicks.training_sequences import LANDMARKS, farthest_points, simulate
from ..render.backends import make_rasterizer
from ..render.camera import sphere_cameras
from ..storage.checkpoint import CheckpointState
from ..teachers.teacher import SurfaceTeacher, TargetTeacher, Teacher
from .observations import Observations, click_sets_of
from .run import Run
from .second_clicks import Pairs
from .settings import Settings
from .sums import VoteSums
from .view_pass import Ask, First, Scene, Viewer, restore_sums, sums_state


def observe(run: Run, scene: Scene | None = None) -> Observations:
    """Show the teacher every view once, and ask it there for every click set that the view sees.

    scene: the views; by default those of the run's own proxy. The run is told the fraction done, first that which the
    checkpoint brought, then after every view, and may end there. With objective="rendered" rasters and masks are kept.

    Click sets (supplementary D and the released code's rules, for views that are shared):
    - Singles: evenly spread vertices, asked in every view where they can be clicked.
    - Pairs: in a view, a single whose mask is good enough proposes one second click of either kind: included outside of
      its mask, excluded inside, until it has `second_clicks` of each. The pair is then one click set of its own: every
      later view that sees both clicks asks it again, if the rule holds there too. The answer of a granularity counts
      only where the rule holds for its own first mask, and where the second click grew (shrank) it and changed it
      enough. Views come in random order and quotas fill early, so one pass, which needs no embedding twice, loses
      hardly a view.

    A teacher may also answer in 3D (SurfaceTeacher): it then votes in the views that do not see the clicks, which a 2D
    teacher cannot. And towards the targets that a teacher proposes (TargetTeacher), longer sequences of clicks are
    simulated (clicks/training_sequences.py): the region votes in all views, at every granularity.
    """
    scene = scene or scene_of(run)
    teacher, checkpoint, step = run.teacher, run.checkpoint, run.step("observe")
    questions = Questions(run, len(scene.cameras))
    viewer = Viewer(teacher, scene, questions.clickable, run.objective == "rendered")
    done, whole = 0, None

    def restore(state: CheckpointState) -> None:
        nonlocal done, whole
        if "pixels" in state.record:  # all views had been summed up
            whole = Observations.restore(state, len(scene.vertices), teacher.feature_dim)
            return
        questions.restore(state)
        done = restore_sums(viewer, state, len(questions.click_sets), questions.order)

    checkpoint.load("observe", restore)
    if whole is not None:
        step(1.0)
        return whole
    viewer.redraw(questions.order[:done])
    step(done / len(scene.cameras))

    for index, first in viewer.show(questions.order[done:]):
        ask = questions.ask(first)
        if len(ask.first):
            viewer.count(index, *questions.keep(first, ask, viewer.ask(index, ask)))
        viewer.close(index)
        done += 1
        checkpoint.keep("observe", lambda: _state(questions, viewer))
        step(done / len(scene.cameras))
    whole = questions.sum_up(viewer.field.total(), viewer.votes, teacher)
    checkpoint.keep("observe", whole.state, last=True)
    return whole


def scene_of(run: Run) -> Scene:
    """Make the views of a training: `settings.views` cameras around its proxy."""
    backend = "auto" if str(run.device).startswith("cuda") else "embree"
    rasterizer = make_rasterizer(run.proxy.vertices, run.proxy.faces, backend)
    return Scene(run.proxy.vertices, run.proxy.faces, sphere_cameras(run.settings.views), rasterizer)


def _state(questions: "Questions", viewer: Viewer) -> CheckpointState:
    """State that later views depend on, but for what is drawn again."""
    record, arrays = sums_state(viewer, len(questions.click_sets))
    return CheckpointState(
        record | {"click_sets": questions.click_sets, "rng": questions.rng.bit_generator.state}, arrays
    )


class Questions:
    """Questions that the teacher is asked. Every draw is made here, in the order of the views, whoever shows them.

    So the same vertices are clicked, and the same pairs chosen, however the views are split.
    """

    def __init__(self, run: Run, views: int):
        """views: how many there are."""
        vertices, settings, rng = run.proxy.vertices, run.settings, np.random.default_rng(run.seed)
        used = np.unique(run.proxy.faces)  # [U] vertices of some face: others can be neither seen nor clicked
        self.rng = rng
        self.clickable = clickable_vertices(vertices, used, settings, rng)  # [T]
        self.click_sets: list[VertexClicks] = [(VertexClick(int(v), True),) for v in self.clickable]
        self._rows = {clicks: row for row, clicks in enumerate(self.click_sets)}
        self._pairs = Pairs(vertices[self.clickable], settings.second_clicks)
        self._sequences = _sequences(run.teacher, vertices, used, settings, rng)
        self.order = rng.permutation(views)  # [views]

    def ask(self, first: First) -> Ask:
        """Choose the second clicks to ask in the view whose answers to single clicks are `first`."""
        return self._pairs.ask(first.seen, first.contains, first.scores, self.rng)

    def keep(self, first: First, ask: Ask, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keep the pairs whose answer counts [R, 3] for a granularity: [R] bool, and their click sets' rows [kept]."""
        kept = self._pairs.keep(first.seen, ask, counts)  # [R]
        return kept, self.rows(first, ask.where(kept))

    def rows(self, first: First, ask: Ask) -> np.ndarray:
        """Number of each pair's click set; new ones are added. [R]"""
        one, two = (self.clickable[first.seen[indices]] for indices in (ask.first, ask.second))  # [R] each
        pairs = zip(one.tolist(), two.tolist(), ask.include.tolist(), strict=True)
        return np.array(
            [self._row((VertexClick(a, True), VertexClick(b, include))) for a, b, include in pairs], dtype=np.int64
        )

    def _row(self, clicks: VertexClicks) -> int:
        if clicks not in self._rows:
            self._rows[clicks] = len(self.click_sets)
            self.click_sets.append(clicks)
        return self._rows[clicks]

    def restore(self, state: CheckpointState) -> None:
        """Go on after a view whose state was kept."""
        self.click_sets[:] = click_sets_of(state.record)
        self._rows.update((clicks, row) for row, clicks in enumerate(self.click_sets))
        self._pairs.restore(self.click_sets, self.clickable)
        self.rng.bit_generator.state = state.record["rng"]

    def sum_up(
        self, field: tuple[sp.csr_matrix, np.ndarray, float, int], votes: VoteSums, teacher: Teacher
    ) -> Observations:
        """Make Observations of all views' sums.

        A teacher that answers in 3D speaks for the views that do not see the clicks, too.
        field: A, b, c, pixels, as FieldSums gives them.
        """
        votes.grow(len(self.click_sets))
        seen, asked, everywhere = votes.seen(len(self.click_sets))  # [K, 3, P], [K, 3], [P]
        if isinstance(teacher, SurfaceTeacher):
            for k, clicks in enumerate(self.click_sets):
                votes.inside[k, asked[k]] += (everywhere - seen[k, asked[k]]) * teacher.regions(clicks)[asked[k]]
                seen[k, asked[k]] = everywhere
        if self._sequences is not None:
            fresh = [i for i, clicks in enumerate(self._sequences.click_sets) if clicks not in self._rows]
            rows = [self._row(self._sequences.click_sets[i]) for i in fresh]
            votes.grow(len(self.click_sets))
            targets = self._sequences.regions[self._sequences.target[fresh]]  # [S, P] bool
            votes.inside[rows] = (everywhere * targets)[:, None]
            seen = np.concatenate([seen, np.broadcast_to(everywhere, (len(rows), *seen.shape[1:]))])  # [K + S, 3, P]
        return Observations(*field, self.click_sets, votes.inside[: len(seen)], seen, votes.views)


def clickable_vertices(
    vertices: np.ndarray, used: np.ndarray, settings: Settings, rng: np.random.Generator
) -> np.ndarray:
    """Choose the vertices that are clicked in training, evenly spread over those used [U] by faces. [T]

    With a fresh generator of a training's seed: those of that training.
    """
    count = int(np.clip(round(settings.click_share * len(used)), *settings.click_range))
    return used[farthest_points(vertices[used], count, rng)]


@dataclass
class _Sequences:
    """Click sequences that simulated users make towards regions that they want."""

    click_sets: list[VertexClicks]  # S
    target: np.ndarray  # [S] region of each
    regions: np.ndarray  # [M, P] bool


def _sequences(
    teacher: Teacher, vertices: np.ndarray, used: np.ndarray, settings: Settings, rng: np.random.Generator
) -> _Sequences | None:
    if not isinstance(teacher, TargetTeacher) or settings.hidden_targets == 0:
        return None
    regions = teacher.hidden_targets(rng, settings.hidden_targets)  # [M, P]
    marks = used[farthest_points(vertices[used], LANDMARKS, rng)]  # [L]
    found, target = simulate(regions[:, marks], vertices[marks], settings.max_clicks, rng)
    click_sets = [tuple(VertexClick(int(marks[v]), include) for v, include in clicks) for clicks in found]
    unique = {clicks: wanted for clicks, wanted in zip(click_sets, target, strict=True)}
    return _Sequences(list(unique), np.array(list(unique.values()), dtype=np.int64), regions)
