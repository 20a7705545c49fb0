"""Cache: a folder of bounded size with a model for each mesh, teacher, preset and seed, and trainings' checkpoints.

Several processes may use it at once: each file is written whole or not at all, and checked when it is read. A damaged
or foreign file counts as absent. It is an LRU cache: what was not used for longest goes first where there is no room
for a new model.
"""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ModelFileError
from ..system.folders import cache_folder
from .checkpoint import SUFFIX as CHECKPOINT
from .checkpoint import Checkpoint
from .tensor_file import read_header
from .trained_model import SUFFIX, Model

LIMIT_VARIABLE = "ISEG_CACHE_LIMIT"  # GB
LIMIT = 5.0  # GB: more than a thousand models of the preset standard
STALE = 86400.0  # seconds after which a file that was never completed was left by a process that has ended


class Usage(NamedTuple):
    """Contents of a cache."""

    models: int
    checkpoints: int
    bytes: int


@dataclass(frozen=True)
class Cache:
    """Cache of models in a folder, which is made when needed."""

    folder: Path

    @classmethod
    def of_user(cls) -> "Cache":
        """Cache that Blender and the command line share."""
        return cls(cache_folder() / "models")

    def path_for(self, mesh_hash: str, teacher: str, preset: str, seed: int) -> Path:
        """Path of the file that holds a model, or would hold it."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{mesh_hash}-{teacher}-{preset}-{seed}")
        return Path(self.folder) / (name + SUFFIX)

    def find(self, mesh_hash: str, teacher: str, preset: str, seed: int) -> Model | None:
        """Read a model; None where there is none that can be used."""
        path = self.path_for(mesh_hash, teacher, preset, seed)
        try:
            model = Model.load(path)
        except ModelFileError:
            return None
        named = (model.mesh.hash, *(model.info.get(name) for name in ("teacher", "preset", "seed")))
        if named != (mesh_hash, teacher, preset, seed):
            return None
        try:
            os.utime(path)  # it was used now
        except OSError:
            pass
        return model

    def describe(self, mesh_hash: str) -> list[dict[str, Any]]:
        """List teacher, preset, seed, created of a mesh's models by the files' headers alone: fast, not verified."""
        models: list[dict[str, Any]] = []
        for path in sorted(Path(self.folder).glob(f"{mesh_hash}-*{SUFFIX}")):
            try:
                with open(path, "rb") as file:
                    record, _ = read_header(path, file)
                info = {name: record["info"][name] for name in ("teacher", "preset", "seed", "created")}
                if record["mesh"] == mesh_hash and [type(v) for v in info.values()] == [str, str, int, str]:
                    models.append(info)
            except (ModelFileError, OSError, KeyError, TypeError):
                pass  # junk counts as absent
        return models

    def put(self, model: Model) -> Path:
        """Store a model under its mesh's hash and the teacher, preset and seed of its info; returns the file.

        Then make room: see `trim`.
        """
        path = self.path_for(model.mesh.hash, model.info["teacher"], model.info["preset"], model.info["seed"])
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
        self.trim(path)
        return path

    def checkpoint(self) -> Checkpoint:
        """Make a checkpoint for a training, and room for it: interrupted ones never come to `put`."""
        self.trim()
        return Checkpoint(Path(self.folder) / "checkpoints")

    def usage(self) -> Usage:
        """Count the models and checkpoints, and their bytes."""
        entries = self._entries()
        models = sum(path.suffix == SUFFIX for path, _, _ in entries)
        return Usage(models, len(entries) - models, sum(size for _, size, _ in entries))

    def trim(self, newest: Path | None = None) -> None:
        """Remove the least recently used until the rest is within `limit`, and files that were never completed."""
        total, bound = 0, limit()
        for path, size, _ in sorted(self._entries(), key=lambda entry: (entry[0] != newest, -entry[2])):
            total += size
            if total > bound and path != newest:
                _remove(path)
        for path in self._parts():
            if time.time() - _measure(path)[1] > STALE:
                _remove(path)

    def clear(self) -> Usage:
        """Remove all models and checkpoints; returns what there was. A file that is in use elsewhere may stay."""
        before = self.usage()
        for path in [*(path for path, _, _ in self._entries()), *self._parts()]:
            _remove(path)
        return before

    def _entries(self) -> list[tuple[Path, int, float]]:
        """List the models and checkpoints, each with its bytes and the time of its last use."""
        folder = Path(self.folder)
        paths = [*folder.glob(f"*{SUFFIX}"), *folder.glob(f"checkpoints/*{CHECKPOINT}")]
        return [(path, *_measure(path)) for path in paths]

    def _parts(self) -> list[Path]:
        """Files that are being written, or that a killed process has left."""
        return [*Path(self.folder).glob(".*.part"), *Path(self.folder).glob("checkpoints/*/.*.part")]


def limit() -> int:
    """Number of bytes that a cache may hold, by the environment variable ISEG_CACHE_LIMIT (GB), else LIMIT."""
    try:
        gigabytes = float(os.environ.get(LIMIT_VARIABLE, LIMIT))
    except ValueError:
        gigabytes = LIMIT
    return int((gigabytes if 0 <= gigabytes < 1e9 else LIMIT) * 1e9)


def _measure(path: Path) -> tuple[int, float]:
    """Measure a file, or a folder's files: bytes, and time of the last change; 0 where it has just gone."""
    try:
        status = [file.stat() for file in (path.iterdir() if path.is_dir() else [path])]
        return sum(s.st_size for s in status), max((s.st_mtime for s in status), default=path.stat().st_mtime)
    except OSError:
        return 0, 0.0


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    except OSError:
        pass  # another process has it open, or has removed it
