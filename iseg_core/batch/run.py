"""Trains a library: hands meshes to the pool, writes the models that come back, tries again where a worker has ended.

Workers compute and the command alone writes models, each whole or not at all; so no mesh is trained twice, a folder
need not be shared between machines, and the same command goes on from whatever is there. Workers that do reach the
folder keep checkpoints there (kept.py): an interrupted mesh goes on in its middle.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import IsegError, ModelFileError, SettingsError
from ..formats.load import load_mesh
from ..version import __version__
from .checkpoints import Kept, keeping
from .library import FAILED, PRESENT, TRAINED, Entry, Result, Training, is_present
from .pool import check_resources, explain, make_board, read_board, slots, train_one

LOCK = ".batch.lock"
LOOK = 0.25  # seconds between two looks at the board


@dataclass(frozen=True)
class Share:
    """What one training gets of a machine."""

    cores: int = 1
    gpu: float = 0.0  # share of a GPU; 0 computes on the processor


class Running(NamedTuple):
    """One mesh under way, as its worker last said."""

    name: str
    stage: str
    fraction: float
    seconds_left: float | None
    host: str
    pid: int


@dataclass
class State:
    """How far the whole is."""

    total: int
    results: list[Result] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While this lasts, no other command writes into the folder. Raises SettingsError where one does already."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise SettingsError(
            f"Another command is training into {folder}. Wait until it has ended, stop it, or name another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Job:
    entry: Entry
    mesh: Any
    attempts: int = 0


def train_library(
    ray: Any,
    entries: Sequence[Entry],
    folder: Path,
    training: Training,
    share: Share | None = None,
    retries: int = 2,
    show: Callable[[State], None] = lambda state: None,
    address: str | None = None,
    spread: int | None = None,
) -> list[Result]:
    """Train every mesh that has no model yet; a mesh that fails does not stop the others.

    ray: from ray_pool. retries: how often a mesh is tried again whose worker ended, or failed in a way that iSeg did
    not foresee; what iSeg refuses (a mesh without area, say) is not tried again. show is told the state several times a
    second, and may raise. spread: one mesh at a time, its views spread over so many workers (spread.py). Raises
    SettingsError where another command works in `folder` or no machine has what `share` asks for, WeightsError where
    the teacher's weights are missing.
    """
    share = share or Share()
    check_resources(ray, share.cores * (spread or 1), share.gpu * (spread or 1), address)
    training.record  # noqa: B018 raises for all meshes at once, before any of them
    state = State(len(entries))
    with alone(folder), keeping(folder) as kept:
        arguments = (ray, folder, training, share, retries, state, show, kept)
        (_Run(*arguments) if spread is None else _SpreadRun(*arguments, spread)).go(entries)
    return state.results


class _Run:
    def __init__(
        self,
        ray: Any,
        folder: Path,
        training: Training,
        share: Share,
        retries: int,
        state: State,
        show: Callable[[State], None],
        kept: Kept,
        workers: int = 0,
    ):
        self.workers = workers  # over which the views of one mesh are spread
        self.ray, self.folder, self.training, self.share, self.retries = ray, folder, training, share, retries
        self.arguments = {"teacher": training.teacher, "preset": training.settings, "seed": training.seed}
        self.state, self.show, self.kept = state, show, kept
        # Tried again here and not by Ray, which would not say so.
        resources = {"num_cpus": share.cores, "num_gpus": share.gpu, "max_retries": 0}
        self.train = ray.remote(**resources)(train_one)
        self.board = make_board(ray)
        self.jobs: dict[Any, _Job] = {}

    def go(self, entries: Sequence[Entry]) -> None:
        waiting = deque(entries)
        try:
            while waiting or self.jobs:
                # A few more than run at once, so that nobody waits for work and a cluster that can grow sees the need.
                while waiting and len(self.jobs) < 2 * slots(self.ray, self.share.cores, self.share.gpu):
                    self._begin(waiting.popleft())
                self._look()
        finally:
            for reference in self.jobs:
                self.ray.cancel(reference, force=True)

    def _begin(self, entry: Entry) -> None:
        """Submit a mesh, unless its model is there."""
        try:
            mesh = load_mesh(entry.path)
            if is_present(entry.model(self.folder), mesh, self.training):
                self._end(Result(entry.name, PRESENT, vertices=len(mesh.vertices)))
                return
        except (IsegError, OSError) as error:
            self._end(Result(entry.name, FAILED, str(error)))
            return
        except Exception as error:  # a defect of ours, or no memory: the other meshes go on
            self._end(Result(entry.name, FAILED, explain(error)))
            return
        self._submit(_Job(entry, mesh))

    def _submit(self, job: _Job) -> None:
        job.attempts += 1
        name, mesh, share = job.entry.name, job.mesh, self.share
        inputs = name, mesh.vertices, mesh.faces, self.arguments, self.kept.place(name)
        reference = self.train.remote(*inputs, share.cores, share.gpu, self.board, __version__)
        self.jobs[reference] = job

    def _look(self) -> None:
        """Wait a moment for something to end, and show how the rest is."""
        said = read_board(self.ray, self.board)
        under_way = {job.entry.name for job in self.jobs.values()}
        self.state.running = [Running(name, *words) for name, words in said.items() if name in under_way]
        self.show(self.state)
        if not self.jobs:
            return
        ended, _ = self.ray.wait(list(self.jobs), num_returns=1, timeout=LOOK)
        for reference in ended:
            job = self.jobs.pop(reference)
            self.board.forget.remote(job.entry.name)
            self._collect(job, reference)

    def _collect(self, job: _Job, reference: Any) -> None:
        from ray.exceptions import RayError

        try:
            answer, host = self.ray.get(reference)
        except RayError as error:
            if job.attempts <= self.retries:
                self._submit(job)
            else:
                self._give_up(job, error)
            return
        self._keep(job, answer, host)

    def _keep(self, job: _Job, answer: Any, host: str) -> None:
        """The end of a job: a model, or the sentence of a refusal."""
        result = Result(job.entry.name, TRAINED, "", job.attempts, vertices=len(job.mesh.vertices), host=host)
        if isinstance(answer, str):
            result.status, result.reason = FAILED, answer
        else:
            path = job.entry.model(self.folder)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                answer.save(path)
                result.seconds = round(sum(answer.info["seconds"].values()), 2)
            except ModelFileError as error:  # a fit that diverged: its checkpoint would lead there for ever
                self.kept.remove(result.name)
                result.status, result.reason = FAILED, str(error)
            except OSError as error:  # a full disk: training it again would not help
                result.status, result.reason = FAILED, f"its model cannot be written: {error.strerror or error}."
        self._end(result)

    def _give_up(self, job: _Job, error: BaseException) -> None:
        reason = f"{explain(error)} Tried {job.attempts} times."
        self._end(Result(job.entry.name, FAILED, reason, job.attempts, vertices=len(job.mesh.vertices)))

    def _end(self, result: Result) -> None:
        if result.status != FAILED:
            self.kept.remove(result.name)
        self.state.results.append(result)
        self.show(self.state)


class _SpreadRun(_Run):
    """One mesh after the other: its views on workers, all the rest in this process. No checkpoint is kept."""

    def go(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._begin(entry)

    def _submit(self, job: _Job) -> None:
        from .split_views import train_spread

        host, pid = socket.gethostname(), os.getpid()

        def tell(progress: Any) -> None:
            said = (progress.stage, progress.fraction, progress.seconds_left)
            self.state.running = [Running(job.entry.name, *said, host, pid)]
            self.show(self.state)

        resources = {"cores": self.share.cores, "gpu": self.share.gpu}
        while True:
            job.attempts += 1
            try:
                answer = train_spread(self.ray, job.mesh, self.workers, progress=tell, **resources, **self.arguments)
            except IsegError as error:
                answer = str(error)
            except Exception as error:  # a worker has ended, or a defect of ours
                if job.attempts <= self.retries:
                    continue
                self._give_up(job, error)
                return
            finally:
                self.state.running = []
            self._keep(job, answer, host)
            return
