"""Layout of the folder of the engine's environment, and the state of the environment.

    env-3fa0c1/        a virtual environment
    env-3fa0c1.json    its note: what it was made from. Written last and removed first: an environment without a note
                       is incomplete
    uv/ python/        the tools that it was made with
    cache/             uv's cache of packages; the environment's files are hard links to it
    lock               locked by the process that changes anything here; the system unlocks it when that process ends

A virtual environment cannot be moved, so a new one is made under a new name beside the old one, which stays in use
until the new one has its note. The environment whose note has the latest time is the current one. No name is used
twice: a uv whose Blender was killed may still be writing to the folder that it was given.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from ...core import EngineError, atomic_write

if os.name == "nt":
    import msvcrt
else:
    import fcntl

NAME = re.compile("env-[0-9a-f]{6}")
TOOLS = ("uv", "python", "cache")


class EnvironmentState(Enum):
    """State of the environment."""

    NOT_MADE = "not made"
    MAKING = "being made"
    INCOMPLETE = "incomplete"
    OUT_OF_DATE = "out of date"  # complete and usable, but made for another version of iSeg or from other lock files
    READY = "ready"


class Environment(NamedTuple):
    """Complete environment: its folder and its note."""

    folder: Path
    note: dict[str, Any]

    @property
    def python(self) -> Path:
        return python_of(self.folder)


class Folder:
    """Folder of the environment. Reading it never fails; every change is made under `alone`."""

    def __init__(self, path: Path, locks: Mapping[str, Path], version: str):
        """Take a folder. locks: lock files of packages, by the name of the part. version: the extension's."""
        self.path, self.locks, self.version = path, dict(locks), version

    # ---- Reading ----

    def wanted(self, parts: tuple[str, ...]) -> dict[str, Any]:
        """Return what an environment for these parts is made from, for its note."""
        digests = {part: hashlib.sha256(self.locks[part].read_bytes()).hexdigest() for part in parts}
        return {"version": self.version, "locks": digests, "place": str(self.path.absolute())}

    def current(self) -> Environment | None:
        """Return the complete environment that was made last; None where there is none."""
        found = [Environment(folder, note) for folder in self._folders() if (note := _read_note(folder)) is not None]
        found = [environment for environment in found if environment.python.exists()]  # `exists` follows links
        return max(found, key=lambda environment: environment.note["made"], default=None)

    def state(self, parts: tuple[str, ...]) -> EnvironmentState:
        """Return the state for these parts, from the files alone: never MAKING."""
        current = self.current()
        if current is not None:
            return (
                EnvironmentState.READY if self._fits(current.note, self.wanted(parts)) else EnvironmentState.OUT_OF_DATE
            )
        return EnvironmentState.INCOMPLETE if self._folders() else EnvironmentState.NOT_MADE

    def is_empty(self) -> bool:
        """Return True where there is nothing to remove."""
        return not self._ours()

    def _fits(self, note: dict[str, Any], wanted: dict[str, Any]) -> bool:
        """Return True where a note fits what is wanted; it may have more parts than wanted."""
        locks = note["locks"].items() >= wanted["locks"].items()
        return locks and (note["version"], note["place"]) == (wanted["version"], wanted["place"])

    def _folders(self) -> list[Path]:
        """List the folders of environments, complete or not."""
        return [path for path in self._entries() if NAME.fullmatch(path.name)]

    def _entries(self) -> list[Path]:
        """List the entries of the folder, sorted; empty where it cannot be read."""
        try:
            return sorted(self.path.iterdir())
        except OSError:
            return []

    def _ours(self) -> list[Path]:
        """List everything to remove, notes first."""
        entries = self._entries()
        notes = [path for path in entries if path.suffix == ".json" and NAME.fullmatch(path.stem)]
        return notes + [path for path in entries if NAME.fullmatch(path.name) or path.name in TOOLS]

    # ---- Changes ----

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock. Raises EngineError where another process has it, OSError where the folder is not writable."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "ab") as file:
            for _ in range(10):  # another process may be testing the lock (`is_held`) at this very moment
                if _hold(file.fileno()):
                    break
                time.sleep(0.05)
            else:
                raise EngineError("Another Blender is making or removing the engine's environment: wait for it.")
            yield

    def is_held(self) -> bool:
        """Return True while a process holds the lock, that is, changes the environment."""
        try:
            with open(self.path / "lock", "r+b") as file:
                return not _hold(file.fileno())
        except OSError:
            return False

    def fresh(self) -> Path:
        """Create a new, empty folder for an environment."""
        folder = self.path / f"env-{secrets.token_hex(3)}"
        folder.mkdir()
        return folder

    def complete(self, folder: Path, note: dict[str, Any]) -> Environment:
        """Write the note of the tested environment in `folder`, which makes it the current one."""
        with atomic_write(_note_path(folder)) as file:
            file.write(json.dumps(note | {"made": time.time()}, indent=1).encode())
        return Environment(folder, note)

    def cache(self) -> Path:
        """Return uv's cache folder, one for each version of PyTorch, the largest package, so that old ones can go."""
        pin = re.search(r"^torch==([\w.]+)", self.locks["engine"].read_text(encoding="utf-8"), re.MULTILINE)
        return self.path / "cache" / (f"torch-{pin[1]}" if pin else "any")

    def tidy(self) -> None:
        """Remove all environments except the current one, if any, the caches for other versions of PyTorch and the
        temporary files of a killed uv. What cannot be removed stays.
        """
        current = self.current()
        for folder in self._folders():
            if current is None or folder != current.folder:
                _note_path(folder).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
        for cache in (self.path / "cache").glob("*"):
            for rest in cache.glob(".tmp*") if cache == self.cache() else [cache]:
                shutil.rmtree(rest, ignore_errors=True)

    def distrust(self) -> bool:
        """Delete the cached packages and the Python, which may be damaged: the next attempt downloads them anew.
        Returns False where the Python has to stay, because the complete environment runs on it.
        """
        shutil.rmtree(self.path / "cache", ignore_errors=True)
        if self.current() is not None:
            return False
        shutil.rmtree(self.path / "python", ignore_errors=True)
        return True

    def remove(self) -> Iterator[float]:
        """Remove everything, yielding the fraction that is done. Raises OSError where something cannot be removed."""
        entries = self._ours()
        for number, path in enumerate(entries):
            yield number / len(entries)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, onerror=_remove_anyway)
            else:
                path.unlink(missing_ok=True)


def python_of(folder: Path) -> Path:
    """Return the path of the Python executable in a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def size_of(folder: Path, check: Callable[[], None]) -> int:
    """Count the bytes of the files in a folder. check: called for each folder; an exception from it ends the count."""
    total, folders = 0, [folder]
    while folders:
        check()
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # the folder changes during the count
            pass
    return total


def _note_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".json")


def _read_note(folder: Path) -> dict[str, Any] | None:
    """Read the note of an environment; None where it is missing or malformed."""
    try:
        note = json.loads(_note_path(folder).read_bytes())
        kinds = {"version": str, "locks": dict, "place": str, "made": float}
        return note if all(type(note[name]) is kind for name, kind in kinds.items()) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _hold(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another process or another file descriptor holds the lock."""
    try:
        if os.name == "nt":
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # pyright: ignore
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # others mean a file system without locks: assume that no other Blender changes it
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True


def _remove_anyway(function: Any, path: str, error: Any) -> None:
    """Make a read-only file or folder writable and remove it; the `onerror` callback of shutil.rmtree."""
    try:
        os.chmod(os.path.dirname(path), stat.S_IRWXU)
        os.chmod(path, stat.S_IRWXU)
    except OSError:
        raise error[1] from None
    function(path)
