"""Run of experiments on a dataset: each mesh in a process of its own, as many at once as there are cores.

A record is written as soon as it is measured, under the name of what it depends on: a run that was stopped goes on
where it was, and a mesh that fails, or takes its process down, does not stop the others.
"""

import hashlib
import json
import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import Cancelled, IsegError, SettingsError
from ..progress import Progress
from ..system.atomic_file import atomic_write
from ..training.settings import get_settings
from ..version import __version__
from .dataset import LabelledFile, find_meshes
from .experiment import INSTANT, Experiment, Record, Setup
from .nested import NestedFile, find_nested

DEFAULTS = {LabelledFile.kind: ("clicks", "otsu"), NestedFile.kind: ("nested",)}
ALL = "all"
MeshFile = LabelledFile | NestedFile
Failures = dict[str, str]  # mesh: why it has no record


def experiments() -> dict[str, Experiment]:
    """Experiments by name."""
    from .experiments import EXPERIMENTS
    from .experiments.clicks import CLICKS
    from .experiments.nested import NESTED

    return {CLICKS.name: CLICKS, NESTED.name: NESTED, **EXPERIMENTS}


def find_files(folder: Path) -> Sequence[MeshFile]:
    """Find the meshes of a dataset of any kind: with nested parts (nested.py), or with labels (dataset.find_meshes).

    Raises SettingsError where there are none.
    """
    return find_nested(folder) or find_meshes(folder)


def choose(names: Sequence[str], kind: str, teacher: str) -> list[str]:
    """Choose experiments for a kind of dataset: those named, the default ones for none, every one for "all".

    Raises SettingsError for one that is unknown, measures another kind of dataset, or cannot do without training.
    """
    known = {name: experiment for name, experiment in experiments().items() if experiment.dataset in (kind, None)}
    chosen = list(known) if list(names) == [ALL] else list(names or DEFAULTS[kind])
    for name in chosen:
        if name not in known:
            raise SettingsError(f"Unknown experiment {name!r} for {kind}. Choose from: {', '.join(known)}.")
        if teacher == INSTANT and known[name].trains:
            raise SettingsError(f"The experiment {name} trains, and has instant mode beside it. Name a teacher.")
    return chosen


def bench(
    setup: Setup,
    names: Sequence[str] = (),
    limit: int | None = None,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    again: bool = False,
) -> tuple[dict[str, dict[str, Record]], Failures]:
    """Measure what is not measured yet. Returns the records by experiment and mesh, and the meshes that failed.

    names: experiments, see `choose`. limit: so many meshes of the dataset, the first ones. workers: meshes at once
    (default: one a core, one on a GPU). again: measure what is measured, too; models that are trained are used.
    Raises SettingsError for experiments that do not fit or a folder without such meshes, Cancelled where Ctrl-C stopped
    it; what was measured until then is kept.
    """
    get_settings(setup.preset)  # raises for an unknown one, before any work
    files = find_files(setup.dataset)[:limit]
    names = choose(names, files[0].kind, setup.teacher)
    missing = {file.name: [n for n in names if again or _read(setup, n, file) is None] for file in files}
    todo = [file for file in files if missing[file.name]]
    workers = workers or default_workers(setup.device)
    say = progress or (lambda _: None)
    say(Progress("bench", 0.0, None))

    failures: Failures = {}
    pool = ThreadPoolExecutor(max(1, min(workers, len(todo))))  # each thread waits for one process
    threads = max(1, (os.cpu_count() or 1) // max(1, min(workers, len(todo))))
    try:
        jobs = {pool.submit(_measure_apart, file, missing[file.name], setup, threads): file for file in todo}
        for done, job in enumerate(as_completed(jobs), start=1):
            name, problem = jobs[job].name, job.result()
            if problem:
                failures[name] = problem
            say(Progress(f"{name}: {'failed' if problem else 'done'}", done / len(todo), None))
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise Cancelled("Stopped. What was measured is kept: the same command goes on from there.") from None
    finally:
        pool.shutdown(cancel_futures=True)
    found = {name: {file.name: _read(setup, name, file) for file in files} for name in names}
    return {
        name: {mesh: r for mesh, r in records.items() if r is not None} for name, records in found.items()
    }, failures


def default_workers(device: str) -> int:
    """Number of processes: one a core where the processor computes; a GPU serves one at a time."""
    from ..system.device import pick_device

    return (os.cpu_count() or 1) if pick_device(device).type == "cpu" else 1


def _measure_apart(file: MeshFile, names: list[str], setup: Setup, threads: int) -> str | None:
    """Measure one mesh in a process of its own; returns why it failed."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(file, names, setup, threads, send), daemon=True)
    child.start()
    send.close()
    try:
        problem = receive.recv()
    except EOFError:  # it ended without a word
        child.join()
        return f"its process ended with the exit code {child.exitcode}; the system does that when memory runs out"
    child.join()
    return problem


def _work(file: MeshFile, names: list[str], setup: Setup, threads: int, answer: Any) -> None:
    if setup.teacher != INSTANT:  # instant mode does without torch, which takes seconds to load
        import torch

        torch.set_num_threads(threads)
    try:
        item = file.load()
        for name in names:
            record = experiments()[name].measure(item, setup)
            path = _record_path(setup, name, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as out:
                content = {"key": _key(setup, name, file), "record": record}
                out.write(json.dumps(content, indent=1, default=_plain).encode())
        answer.send(None)
    except IsegError as error:
        answer.send(str(error))
    except Exception as error:  # a defect of ours: the other meshes go on, and the report says where it is
        frame = traceback.extract_tb(error.__traceback__)[-1]
        answer.send(f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})")


def _plain(value: Any) -> Any:
    """Turn a number of numpy's into one of Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is no JSON")


def _record_path(setup: Setup, experiment: str, file: MeshFile) -> Path:
    return setup.folder / "records" / experiment / f"{file.name}.json"


def _key(setup: Setup, experiment: str, file: MeshFile) -> str:
    """Hash of all that a record depends on; another one makes it stale."""
    parts = [__version__, experiment, setup.teacher, asdict(setup.settings), setup.seed, setup.device, file.digest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read(setup: Setup, experiment: str, file: MeshFile) -> Record | None:
    """Read the record of a mesh, where it was measured with this setup."""
    try:
        written = json.loads(_record_path(setup, experiment, file).read_bytes())
        return written["record"] if written["key"] == _key(setup, experiment, file) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
