"""Checkpoints of a library's trainings: in the output folder, for the workers that reach it.

The command makes the folder and clears it away; a worker writes there only where it finds the command's mark. On a
machine that does not share the output folder the same path may not be there, or be another folder, which nobody would
clear: such a worker keeps nothing.
"""

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..storage.checkpoint import Checkpoint

FOLDER = ".batch.checkpoints"
MARK = ".mark"


class CheckpointPlace(NamedTuple):
    """Place of the checkpoint of one mesh's training; it travels to the worker."""

    folder: Path
    mark: Path

    def open(self) -> Checkpoint:
        """Open, on a worker, the checkpoint there, or one that keeps nothing."""
        return Checkpoint(self.folder if self.mark.exists() else None)


class LibraryCheckpoints:
    """Checkpoints of all meshes that one command trains."""

    def __init__(self, folder: Path, mark: Path):
        self._folder, self._mark = folder, mark

    def place(self, name: str) -> CheckpointPlace:
        """Place of the checkpoint of the mesh of this name. Its folder's name is short, whatever the mesh's is."""
        return CheckpointPlace(self._folder / hashlib.sha256(name.encode()).hexdigest()[:16], self._mark)

    def remove(self, name: str) -> None:
        """Remove what is left of a training whose model is there, and of an earlier one of an edited mesh."""
        shutil.rmtree(self.place(name).folder, ignore_errors=True)


@contextmanager
def keeping(output: Path) -> Iterator[LibraryCheckpoints]:
    """Let workers keep checkpoints in the folder `output` while this lasts; then those of finished meshes are gone."""
    folder = (output / FOLDER).absolute()
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*" + MARK):  # of a command that was killed
        left.unlink(missing_ok=True)
    mark = folder / (secrets.token_hex(16) + MARK)
    mark.touch()
    try:
        yield LibraryCheckpoints(folder, mark)
    finally:
        mark.unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError:
            pass  # there are trainings to go on with
