"""Run of a library: hands meshes to the pool, writes the models that come back, tries again where a worker has ended.

Workers compute and the command alone writes models, each whole or not at all; so no mesh is trained twice, a folder
need not be shared between machines, and the same command goes on from whatever is there. Workers that do reach the
folder keep checkpoints there (checkpoints.py): an interrupted mesh goes on in its middle.
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
from ..geometry.mesh import Mesh
from ..storage.trained_model import Model
from ..version import __version__
from .checkpoints import LibraryCheckpoints, keeping
from .library import FAILED, PRESENT, TRAINED, Entry, Result, Training, is_present
from .pool import MeshTask, Resources, check_resources, explain, make_board, read_board, slots, train_one

LOCK = ".batch.lock"
POLL = 0.25  # seconds between two readings of the board


class Running(NamedTuple):
    """Mesh under way, as its worker last reported."""

    name: str
    stage: str
    fraction: float
    seconds_left: float | None
    host: str
    pid: int


@dataclass
class LibraryProgress:
    """Progress of the whole library: results so far, and what runs."""

    total: int
    results: list[Result] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other commands from writing into the folder while this lasts. SettingsError: one does already."""
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
class _Attempts:
    """Mesh to be trained, and how often that was tried."""

    entry: Entry
    mesh: Mesh
    count: int = 0


@dataclass(frozen=True)
class LibraryJob:
    """Job of training a library: the training, the output folder and the resources."""

    ray: Any  # from ray_pool
    folder: Path
    training: Training
    resources: Resources = Resources()  # of one mesh
    retries: int = 2  # so often a mesh is tried again whose worker ended, or failed in a way that iSeg did not foresee
    show: Callable[[LibraryProgress], None] = lambda progress: None  # told several times a second; it may raise
    address: str | None = None  # of the cluster; None: this machine alone
    spread: int | None = None  # one mesh at a time, its views split over so many workers (split_views.py)
    marks: bool = True  # hear what the files say of their faces, as load_mesh does


def train_library(job: LibraryJob, entries: Sequence[Entry]) -> list[Result]:
    """Train every mesh that has no model yet; a mesh that fails does not stop the others.

    What iSeg refuses (a mesh without area, say) is not tried again. Raises SettingsError where another command works in
    the folder or no machine has the job's resources, WeightsError where the teacher's weights are missing.
    """
    check_resources(job.ray, job.resources, job.spread or 1, job.address)
    job.training.record  # noqa: B018 raises for all meshes at once, before any of them
    progress = LibraryProgress(len(entries))
    with alone(job.folder), keeping(job.folder) as checkpoints:
        run = _LibraryRun if job.spread is None else _SplitRun
        run(job, progress, checkpoints).go(entries)
    return progress.results


class _LibraryRun:
    """Run that hands meshes to the pool and collects models, as many at once as the pool runs."""

    def __init__(self, job: LibraryJob, progress: LibraryProgress, checkpoints: LibraryCheckpoints):
        self.job, self.progress, self.checkpoints = job, progress, checkpoints
        # Tried again here and not by Ray, which would not say so.
        resources = {"num_cpus": job.resources.cores, "num_gpus": job.resources.gpu, "max_retries": 0}
        self.train = job.ray.remote(**resources)(train_one)
        self.board = make_board(job.ray)
        self.pending: dict[Any, _Attempts] = {}  # by Ray's reference to the answer

    def go(self, entries: Sequence[Entry]) -> None:
        waiting = deque(entries)
        try:
            while waiting or self.pending:
                # A few more than run at once, so that nobody waits for work and a cluster that can grow sees the need.
                while waiting and len(self.pending) < 2 * slots(self.job.ray, self.job.resources):
                    self._begin(waiting.popleft())
                self._poll()
        finally:
            for reference in self.pending:
                self.job.ray.cancel(reference, force=True)

    def _begin(self, entry: Entry) -> None:
        """Submit a mesh, unless its model is there."""
        try:
            mesh = load_mesh(entry.path, marks=self.job.marks)
            if is_present(entry.model(self.job.folder), mesh, self.job.training):
                self._end(Result(entry.name, PRESENT, vertices=len(mesh.vertices)))
                return
        except (IsegError, OSError) as error:
            self._end(Result(entry.name, FAILED, str(error)))
            return
        except Exception as error:  # a defect of ours, or no memory: the other meshes go on
            self._end(Result(entry.name, FAILED, explain(error)))
            return
        self._submit(_Attempts(entry, mesh))

    def _submit(self, attempts: _Attempts) -> None:
        attempts.count += 1
        name, mesh, job = attempts.entry.name, attempts.mesh, self.job
        task = MeshTask(name, job.training, self.checkpoints.place(name), job.resources, self.board, __version__)
        self.pending[self.train.remote(mesh, task)] = attempts

    def _poll(self) -> None:
        """Wait a moment for something to end, and show how far the rest is."""
        said = read_board(self.job.ray, self.board)
        under_way = {attempts.entry.name for attempts in self.pending.values()}
        self.progress.running = [Running(name, *words) for name, words in said.items() if name in under_way]
        self.job.show(self.progress)
        if not self.pending:
            return
        ended, _ = self.job.ray.wait(list(self.pending), num_returns=1, timeout=POLL)
        for reference in ended:
            attempts = self.pending.pop(reference)
            self.board.forget.remote(attempts.entry.name)
            self._collect(attempts, reference)

    def _collect(self, attempts: _Attempts, reference: Any) -> None:
        from ray.exceptions import RayError

        try:
            answer, host = self.job.ray.get(reference)
        except RayError as error:
            if attempts.count <= self.job.retries:
                self._submit(attempts)
            else:
                self._give_up(attempts, error)
            return
        self._keep(attempts, answer, host)

    def _keep(self, attempts: _Attempts, answer: Model | str, host: str) -> None:
        """Save the model that a training has ended with, or record the sentence of a refusal."""
        name, vertices = attempts.entry.name, len(attempts.mesh.vertices)
        result = Result(name, TRAINED, "", attempts.count, vertices=vertices, host=host)
        if isinstance(answer, str):
            result.status, result.reason = FAILED, answer
        else:
            path = attempts.entry.model(self.job.folder)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                answer.save(path)
                result.seconds = round(sum(answer.info["seconds"].values()), 2)
            except ModelFileError as error:  # a fit that diverged: its checkpoint would lead there for ever
                self.checkpoints.remove(result.name)
                result.status, result.reason = FAILED, str(error)
            except OSError as error:  # a full disk: training it again would not help
                result.status, result.reason = FAILED, f"its model cannot be written: {error.strerror or error}."
        self._end(result)

    def _give_up(self, attempts: _Attempts, error: BaseException) -> None:
        name, vertices = attempts.entry.name, len(attempts.mesh.vertices)
        reason = f"{explain(error)} Tried {attempts.count} times."
        self._end(Result(name, FAILED, reason, attempts.count, vertices=vertices))

    def _end(self, result: Result) -> None:
        if result.status != FAILED:
            self.checkpoints.remove(result.name)
        self.progress.results.append(result)
        self.job.show(self.progress)


class _SplitRun(_LibraryRun):
    """Run of one mesh after the other: views on workers, all the rest in this process. No checkpoint is kept."""

    def go(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._begin(entry)

    def _submit(self, attempts: _Attempts) -> None:
        from .split_views import train_split

        job, host, pid = self.job, socket.gethostname(), os.getpid()

        def tell(progress: Any) -> None:
            said = (progress.stage, progress.fraction, progress.seconds_left)
            self.progress.running = [Running(attempts.entry.name, *said, host, pid)]
            job.show(self.progress)

        while True:
            attempts.count += 1
            try:
                answer = train_split(
                    job.ray, attempts.mesh, job.spread or 1, job.training, job.resources, progress=tell
                )
            except IsegError as error:
                answer = str(error)
            except Exception as error:  # a worker has ended, or a defect of ours
                if attempts.count <= job.retries:
                    continue
                self._give_up(attempts, error)
                return
            finally:
                self.progress.running = []
            self._keep(attempts, answer, host)
            return
