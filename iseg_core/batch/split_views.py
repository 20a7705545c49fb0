"""Split the views of one big mesh over workers, each with its own teacher, and add up their sums.

The result is that of one process, but for the rounding of sums. What a view is asked depends on the views before it: a
pair of clicks that one view has chosen is asked in all later ones. So every choice is made here, view after view, as in
one process (training/observe.py). The workers first show all views and answer the single clicks, at the same time.
Then each view in turn answers the pairs that are new with it; they are few, since quotas fill early. At last the
workers answer all known pairs, at the same time again. A worker keeps its views open in the meantime: with SAM some 0.8
MB of logits a single click and view.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry.mesh import Mesh
from ..render.backends import make_rasterizer
from ..render.camera import Camera, sphere_cameras
from ..storage.trained_model import Model
from ..teachers.make import make_teacher
from ..teachers.registry import is_geometric
from ..teachers.teacher import TeacherCard
from ..training.observations import Observations
from ..training.observe import Questions
from ..training.run import Run
from ..training.sums import VoteSums
from ..training.view_pass import Ask, First, Scene, Viewer
from ..version import __version__
from .library import Training
from .pool import Resources, settle

SHOWN = 0.7  # of the observation's progress, once all views were shown; a guess: teachers differ


class ViewWorker:
    """Ray actor that takes a share of the views; it keeps its teacher and what it has observed."""

    def __init__(self, version: str, resources: Resources):
        settle(version, resources)

    def open(self, model: Model, teacher: Any, device: str) -> TeacherCard:
        """Make the teacher of a prepared model; returns the facts about it."""
        self._proxy = Mesh(model.proxy.vertices.copy(), model.proxy.faces.copy())  # Ray's arrays are read-only
        self._backend = "embree" if device == "cpu" else "auto"
        self._teacher = make_teacher(teacher, model, device)
        return TeacherCard.of(self._teacher)

    def show(
        self, order: list[int], cameras: Sequence[Camera], clickable: np.ndarray, keep_views: bool
    ) -> dict[int, First]:
        """Show the teacher these of the cameras' views; returns its answers to single clicks on `clickable` [T]."""
        vertices, faces = self._proxy.vertices, self._proxy.faces
        scene = Scene(vertices, faces, cameras, make_rasterizer(vertices, faces, self._backend))
        self._viewer = Viewer(self._teacher, scene, clickable, keep_views)
        return dict(self._viewer.show(order))

    def ask(self, index: int, ask: Ask) -> np.ndarray:
        """Ask for pairs that are new; returns which answers count, for each granularity. [R, 3] bool"""
        return self._viewer.ask(index, ask)

    def count(self, index: int, kept: np.ndarray, rows: np.ndarray) -> None:
        """Add the answers asked last, as Viewer.count."""
        self._viewer.count(index, kept, rows)

    def answer(self, index: int, ask: Ask, rows: np.ndarray) -> None:
        """Ask for pairs that are known, with the rows of their click sets [R], and close the view."""
        if len(rows):
            kept = np.asarray(self._viewer.ask(index, ask).any(axis=1))  # [R]
            self._viewer.count(index, kept, rows[kept])
        self._viewer.close(index)

    def total(self) -> tuple[tuple, VoteSums]:
        """Sums of this worker's views: of the field and of the votes."""
        return self._viewer.field.total(), self._viewer.votes


def train_split(
    ray: Any, mesh: "Mesh | str | Path", workers: int, training: Training, resources: Resources, **options: Any
) -> Model:
    """Train one mesh, its views split over `workers` processes, each with these resources.

    ray: from ray_pool. options: progress, cancel and objective, as train takes them. The fits run in this process.
    Raises what train raises; and a RayError where a worker ends: what it has seen is lost, so the run must begin anew.
    """
    from ..training.train import train

    cores, gpu = resources.cores, resources.gpu
    actor = ray.remote(num_cpus=cores, num_gpus=gpu, max_restarts=0)(ViewWorker)
    device = "cuda" if gpu else "cpu"
    view_workers = [actor.remote(__version__, resources) for _ in range(workers)]

    def local(model: Model) -> Any:
        """Make the workers' teachers, and here the one that answers in 3D: a geometric one, or none."""
        shipped, teacher = ray.put(model), training.teacher
        known = ray.get([worker.open.remote(shipped, teacher, device) for worker in view_workers])
        return make_teacher(teacher, model) if is_geometric(teacher) else known[0]

    try:
        options |= {"device": "auto" if gpu else "cpu", "observer": partial(observe_split, ray, view_workers)}
        return train(mesh, local, training.settings, training.seed, **options)
    finally:
        for worker in view_workers:
            ray.kill(worker)


def observe_split(ray: Any, workers: list[Any], run: Run) -> Observations:
    """Observe as `observe` does, with the views split over workers that are open. No checkpoint is kept."""
    step, cameras, keep_views = run.step("observe"), sphere_cameras(run.settings.views), run.objective == "rendered"
    questions = Questions(run, len(cameras))
    order = questions.order.tolist()
    owner = {index: workers[k % len(workers)] for k, index in enumerate(order)}

    firsts: dict[int, First] = {}
    own_views = [[index for index in order if owner[index] is worker] for worker in workers]
    showing = [
        worker.show.remote(own, cameras, questions.clickable, keep_views)
        for worker, own in zip(workers, own_views, strict=True)
    ]
    for seen in _gather(ray, showing, lambda done: step(SHOWN * done)):
        firsts |= seen

    later = []
    for index in order:
        first, worker = firsts[index], owner[index]
        ask = questions.ask(first)
        new, known = ask.where(~ask.known), ask.where(ask.known)
        if len(new.first):
            counts = ray.get(worker.ask.remote(index, new))  # [R, 3]
            worker.count.remote(index, *questions.keep(first, new, counts))  # an actor does things in their order
        later.append((worker, index, known, questions.rows(first, known)))
        step(SHOWN)
    answering = [worker.answer.remote(*what) for worker, *what in later]
    for _ in _gather(ray, answering, lambda done: step(SHOWN + (1 - SHOWN) * done)):
        pass

    votes, fields = VoteSums(len(run.proxy.vertices), len(questions.clickable), keep_views), []
    for field, seen in ray.get([worker.total.remote() for worker in workers]):
        fields.append(field)
        votes.merge(seen)
    A, b, c, pixels = (reduce(add, parts) for parts in zip(*fields, strict=True))
    return questions.sum_up((A.tocsr(), b, c, pixels), votes, run.teacher)


def _gather(ray: Any, waiting: list[Any], tell: Callable[[float], None]) -> Iterator[Any]:
    """Yield results as they come. `tell` gets the fraction done several times a second, and may raise."""
    count = len(waiting)
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1, timeout=0.25)
        yield from ray.get(done)
        tell(1 - len(waiting) / count)
