"""Checkpoints from which an interrupted training resumes, so that little of its work is done twice.

One file for each stage (safetensors and JSON, never pickle), written whole or not at all, under the name of exactly one
training. What a file says is checked before it is used; one that is damaged, foreign or out of date counts as absent.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..version import __version__
from .tensor_file import checksum, write

RECIPE = 1  # raised by one whenever an older checkpoint would no longer lead to the model of a whole run
INTERVAL = 10.0  # seconds of work that may be lost
SUFFIX = ".checkpoint"


class CheckpointState(NamedTuple):
    """State of a stage: a JSON record, and arrays of any shape."""

    record: dict[str, Any]
    arrays: dict[str, np.ndarray]


class UnusableCheckpoint(Exception):
    """Checkpoint that fits no stage of this training; it has been removed, so the training can begin anew."""


class Checkpoint:
    """Checkpoint of one training at a time. `of` says which; until then, and without a folder, nothing is kept."""

    def __init__(self, folder: str | os.PathLike[str] | None = None):
        """folder: where checkpoints lie, each in a folder of its own; made when needed."""
        self._parent = Path(folder) if folder is not None else None
        self._folder: Path | None = None
        self._present: set[str] = set()  # stages that this run has loaded or written
        self._kept = self._stepped = 0.0

    def of(self, training: dict[str, Any]) -> None:
        """Name the training: everything (JSON) that decides how its model turns out."""
        self._present.clear()
        self._kept = self._stepped = time.monotonic()
        if self._parent is not None:
            key = json.dumps(training | {"engine": __version__, "recipe": RECIPE}, sort_keys=True)
            self._folder = self._parent / (hashlib.sha256(key.encode()).hexdigest() + SUFFIX)

    def load(self, stage: str, restore: Callable[[CheckpointState], None]) -> None:
        """Hand what was kept of a stage to `restore`; where nothing was, forget the later stages, too.

        Raises UnusableCheckpoint where `restore` fails: what it has filled in by then is of no use.
        """
        if self._folder is None:
            return
        state = _read(self._folder / stage)
        if state is None:
            self._forget()
            return
        try:
            restore(state)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            self.remove()
            raise UnusableCheckpoint from error
        self._present.add(stage)

    def keep(self, stage: str, state: Callable[[], CheckpointState], last: bool = False) -> None:
        """Write the state of a stage after one of its steps, if it is time to. last: it was the stage's last step.

        It is time where the next step, if it takes as long as this one, would end later than INTERVAL after the last
        writing. Where there is no room for it, on the disk or in memory, that costs the checkpoint, not the training.
        """
        if self._folder is None:
            return
        now = time.monotonic()
        step, self._stepped = now - self._stepped, now
        if last or now + step - self._kept > INTERVAL:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                _write(self._folder / stage, state())
                self._present.add(stage)
            except (OSError, MemoryError, RuntimeError):  # torch's allocator raises the latter
                pass
            self._kept = self._stepped = time.monotonic()

    def remove(self) -> None:
        """Remove all that is kept of a training that has ended and whose model is saved."""
        if self._folder is not None and self._parent is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            try:
                self._parent.rmdir()
            except OSError:
                pass  # others lie there

    def _forget(self) -> None:
        """Remove all stages but those of this run: a later one belongs to another run of an earlier one."""
        assert self._folder is not None
        for path in self._folder.glob("*"):
            if path.name not in self._present:
                try:
                    path.unlink()
                except OSError:
                    pass  # another process is at it


def _write(path: Path, state: CheckpointState) -> None:
    arrays = {name: np.asarray(array, order="C") for name, array in state.arrays.items()}
    record = json.loads(json.dumps(state.record))  # as it will be read: tuples are lists
    write(path, {"state": record, "sha256": checksum(record, arrays)}, arrays)


def _read(path: Path) -> CheckpointState | None:
    """Read what `_write` wrote; None where there is nothing, or anything else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        record = json.loads(header["__metadata__"]["iseg"])
        state = CheckpointState(record["state"], load(data))
        return state if record["sha256"] == checksum(*state) else None
    except (OSError, MemoryError, SafetensorError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return None
