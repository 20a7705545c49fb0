"""Pool of Ray's workers on one machine or a cluster: the tasks that run there, and the reasons why they end."""

import logging
import os
import re
import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import IsegError, SettingsError
from ..system.lru import Recent
from ..version import __version__
from .checkpoints import CheckpointPlace
from .library import Training

if TYPE_CHECKING:
    from ..geometry.mesh import Mesh
    from ..storage.trained_model import Model
    from ..teachers.teacher import Teacher

STARTS = 3  # times that a pool on this machine is tried: Ray gives itself 30 s, which a busy machine may need
OBJECT_STORE = 256 * 2**20  # bytes of shared memory on one machine; what does not fit goes to the disk
# Ray limits OpenMP's threads to a task's cores; these make all libraries follow, and let idle threads sleep.
ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}


@contextmanager
def ray_pool(address: str | None = None, cores: int | None = None) -> Iterator[Any]:
    """Connect Ray, and yield its module, until the context ends.

    address: of a cluster ("auto": the one that this machine belongs to); None: a pool of processes of its own on this
    machine, with so many cores (None: all).
    Raises SettingsError where Ray is not installed or the cluster does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise SettingsError(
            f'Ray cannot be loaded ({error}). Get it: pip install "iseg-core[cluster]". '
            "`python -m iseg_core train` trains one mesh without it."
        ) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report its use to its makers
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {"address": "local", "num_cpus": cores, "object_store_memory": OBJECT_STORE}
        options |= {"include_dashboard": False}
    for left in reversed(range(STARTS if address is None else 1)):
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": ENVIRONMENT})
            break
        except Exception as error:  # Ray raises just that where a busy machine is too slow for it
            ray.shutdown()
            if left:
                continue
            where = "this machine" if address is None else f"a cluster at {address}"
            raise SettingsError(
                f"Ray does not start with {where} ({_first_line(error)}). `ray status --address ADDRESS` says whether "
                "a cluster runs; docs/cluster.md says how to start one."
            ) from error
    from ray.exceptions import RayError

    try:
        yield ray
    except RayError as error:
        raise IsegError(
            f"Ray has stopped the work ({_first_line(error)}). What is there is kept: the same command goes on."
        ) from error
    finally:
        ray.shutdown()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True)
class Resources:
    """Share of a machine that one training gets, or one worker of a split training."""

    cores: int = 1
    gpu: float = 0.0  # share of a GPU; 0 computes on the processor


def check_resources(ray: Any, resources: Resources, workers: int, address: str | None) -> None:
    """Raise SettingsError where this machine can never run so much at once. (A cluster may grow.)

    workers: how many processes shall have these resources at the same time.
    """
    have, cores, gpu = ray.cluster_resources(), resources.cores * workers, resources.gpu * workers
    if address is None and cores > have.get("CPU", 0):
        raise SettingsError(f"{cores} cores shall work on one mesh, and this machine has {have.get('CPU', 0):.0f}.")
    if address is None and gpu > have.get("GPU", 0):
        raise SettingsError(f"{gpu:g} GPUs shall work on one mesh, and Ray finds {have.get('GPU', 0):g} here.")


def slots(ray: Any, resources: Resources) -> int:
    """Number of trainings that the pool runs at once, at present; at least 1."""
    have, gpu = ray.cluster_resources(), resources.gpu
    count = have.get("CPU", 0) / resources.cores
    return max(1, int(min(count, have.get("GPU", 0) / gpu) if gpu else count))


class Board:
    """Board of the running tasks, their places and progress. An actor: every worker writes, the command reads."""

    def __init__(self) -> None:
        self._said: dict[str, tuple] = {}

    def tell(self, name: str, said: tuple) -> None:
        self._said[name] = said

    def read(self) -> dict[str, tuple]:
        return self._said

    def forget(self, name: str) -> None:
        self._said.pop(name, None)


def make_board(ray: Any) -> Any:
    """Make a Board on the machine of the command: no other machine's end takes it away."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Board).remote()


def read_board(ray: Any, board: Any) -> dict[str, tuple]:
    """Read the board; nothing where it cannot be asked: progress is worth no failure."""
    from ray.exceptions import RayError

    try:
        return ray.get(board.read.remote(), timeout=10)
    except RayError:  # GetTimeoutError is one
        return {}


def settle(version: str, resources: Resources) -> None:
    """Keep to a share of this machine; called first by everything that runs on a worker. version: the command's.

    Raises SettingsError where the worker has another iSeg, or a share of a GPU that its torch cannot use.
    """
    import torch

    from ..system.device import pick_device

    if version != __version__:
        raise SettingsError(
            f"The machine {socket.gethostname()} has iSeg {__version__}, and the command is of iSeg {version}. Install "
            "the same on all machines."
        )
    torch.set_num_threads(resources.cores)
    if resources.gpu:
        pick_device("cuda")
    if 0 < resources.gpu < 1:  # Ray only books it
        torch.cuda.set_per_process_memory_fraction(resources.gpu)


held: Recent[tuple[str, str], "Teacher"] = Recent(1)  # by teacher and device


def held_teacher(name: str, device: str, model: "Model") -> "Teacher":
    """Make a teacher with weights, once a worker: a library has many meshes, and SAM's ViT-H 2.6 GB."""
    from ..teachers.make import make_teacher

    teacher = held.take((name, device))
    if teacher is None:
        held.put((name, device), teacher := make_teacher(name, model, device))
    return teacher


class MeshTask(NamedTuple):
    """Training of one mesh, as it is sent to a worker."""

    name: str
    training: Training
    checkpoint: CheckpointPlace
    resources: Resources
    board: Any  # a Board
    version: str  # of the command's iSeg


def train_one(mesh: "Mesh", task: MeshTask) -> "tuple[Model | str, str]":
    """Train one mesh, on a worker: its model, or a sentence that says why there is none; and the machine's name.

    It goes on from the checkpoint of an earlier attempt; the command clears that when the model is written.
    """
    import time

    host = socket.gethostname()
    last = 0.0

    def tell(progress: Any) -> None:
        nonlocal last
        if time.monotonic() - last > 0.25:
            last = time.monotonic()
            task.board.tell.remote(task.name, (*progress, host, os.getpid()))

    try:
        settle(task.version, task.resources)
        from ..teachers.make import find
        from ..training.train import train

        device = "cuda" if task.resources.gpu else "cpu"
        training, teacher = task.training, task.training.teacher
        model = train(
            _writable(mesh),
            teacher=teacher if find(teacher)[0].weights is None else partial(held_teacher, teacher, device),
            preset=training.settings,
            seed=training.seed,
            progress=tell,
            device=device,
            checkpoint=task.checkpoint.open(),
        )
        return model, host
    except IsegError as error:
        return str(error), host


def _writable(mesh: "Mesh") -> "Mesh":
    """Copy a mesh with all that it says of itself: Ray's arrays are read-only."""
    arrays = {field.name: getattr(mesh, field.name) for field in fields(mesh)}
    return replace(mesh, **{name: array.copy() for name, array in arrays.items() if array is not None})


def explain(error: BaseException) -> str:
    """Explain in a sentence why a worker gave no answer."""
    import ray.exceptions as known

    if isinstance(error, known.OutOfMemoryError):
        return "Ray ended its process because memory ran out: give each mesh more cores, so that fewer run at once."
    if isinstance(error, (known.WorkerCrashedError, known.ActorDiedError)):
        return "its process ended; somebody has killed it, or the system did because memory ran out."
    if isinstance(error, (known.NodeDiedError, known.ObjectLostError, known.LocalRayletDiedError)):
        return "the machine that trained it has left the cluster."
    if isinstance(error, known.RayTaskError):  # its text is the traceback of the worker
        frames, cause = re.findall(r'File "([^"]+)", line (\d+)', str(error)), error.cause
    else:
        frames, cause = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)], error
    where = f" ({Path(frames[-1][0]).name}, line {frames[-1][1]})" if frames else ""
    return f"{type(cause).__name__}: {_first_line(cause)}{where}."
