"""Making, testing and activating an environment, and removing everything."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...core import Cancelled, EngineError, IsegError
from . import uv
from .folder import Environment, Folder, python_of, size_of
from .job import EnvironmentJob
from .uv_errors import explain_os_error

PREFERRED, ACCEPTED = "3.11", ">=3.11,<3.14"  # Pythons: the one that uv downloads, and those installed already
LEAST_SPACE = 1.5e9  # bytes: the environment with a CPU build of PyTorch takes 1.0 GB
COUNT = 1.0  # seconds between two counts of the downloaded bytes

Check = Callable[[Path, EnvironmentJob], Mapping[str, Any]]


class Order(NamedTuple):
    """Specification of the environment to make."""

    parts: tuple[str, ...]  # of Folder.locks
    check: Check  # starts the engine with the new Python; returns its report, or raises where it does not work
    own_python: Path | None = None  # folder of Blender's Python, which uv must not use


class Made(NamedTuple):
    environment: Environment
    report: Mapping[str, Any]


def make(folder: Folder, order: Order, job: EnvironmentJob) -> Made:
    """Make an environment beside the existing one, if any, and make it the current one once the engine has run in it.

    Whatever fails, and wherever this process is killed, an environment that was complete before stays as it was.
    Raises EngineError with a sentence for the user, or Cancelled.
    """
    try:
        with folder.alone():
            folder.tidy()
            _check_space(folder.path)
            program = uv.obtain(folder.path / "uv", lambda done: job.report("Getting uv", 0.05 * done))
            return _make(folder, order, program, job)
    except OSError as error:
        raise EngineError(explain_os_error(error)) from error


def remove(folder: Folder, job: EnvironmentJob) -> None:
    """Remove everything. Raises EngineError where something cannot be removed; what is left is never called ready."""
    try:
        with folder.alone():
            for done in folder.remove():
                job.report("Removing", done)
    except OSError as error:
        raise EngineError(explain_os_error(error)) from error


def _make(folder: Folder, order: Order, program: Path, job: EnvironmentJob) -> Made:
    wanted, cache = folder.wanted(order.parts), folder.cache()
    new = folder.fresh()
    environment = uv.settings(folder.path / "python", cache, order.own_python)

    def run(stage: str, begin: float, share: float, *arguments: str | Path) -> None:
        downloads, fraction, counted = uv.Downloads(), 0.0, 0.0

        def tick(line: str) -> None:
            nonlocal fraction, counted
            downloads.hear(line)
            if downloads.total and time.monotonic() - counted > COUNT:  # counting many files takes long
                fraction = downloads.fraction(sum(size_of(path, job.check) for path in cache.glob(".tmp*")))
                counted = time.monotonic()
            size = f" ({downloads.total / 1e6:,.0f} MB)" if downloads.total else ""
            job.report(stage + size, begin + share * fraction)

        job.report(stage, begin)
        uv.run([program, *arguments], environment, folder.path, tick)

    bare = ("venv", "--no-project", "--allow-existing", new)
    try:
        run("Getting Python", 0.05, 0.05, *bare, "--managed-python", "--python", PREFERRED)
    except EngineError as error:
        try:
            run("Looking for Python", 0.1, 0.0, *bare, "--no-managed-python", "--python", ACCEPTED)
        except EngineError:
            raise error from None  # the first error: most machines can use the Python that uv downloads
    python = python_of(new)
    locks = [argument for part in order.parts for argument in ("-r", folder.locks[part])]
    run("Getting packages", 0.1, 0.8, "pip", "install", "--python", python, "--only-binary", ":all:", *locks)
    job.report("Testing", 0.92)
    try:
        report = order.check(python, job)
    except Cancelled:
        raise
    except IsegError as error:
        if folder.distrust():
            raise
        raise EngineError(f"{error} Where Repair does not help, press Remove, then Install.") from error
    job.check()
    made = folder.complete(new, wanted | {"bytes": size_of(new, job.check)})
    return Made(made, report)


def _check_space(path: Path) -> None:
    free = shutil.disk_usage(path).free
    if free < LEAST_SPACE:
        raise EngineError(
            f"{path} has {free / 1e9:.1f} GB left, and the engine's environment needs at least {LEAST_SPACE / 1e9} GB, "
            "with an NVIDIA GPU 5 GB. Make room, then try again."
        )
