"""What lies where in the folder of the engine's environment, and how it stands.

    env-3fa0c1/        a virtual environment
    env-3fa0c1.json    its note: what it was made from. Written last and removed first: without one it is unfinished
    uv/ python/        what it was made with
    cache/             packages as uv keeps them, the same bytes on the disk as those in the environment (hard links)
    lock               held by the process that changes anything here, let go by the system when that process ends

A virtual environment cannot be moved, so a new one is made under a new name beside the old one, which stays in use
until the new one has its note. The note with the latest time wins. No name is used twice: a uv whose Blender was killed
may still be writing to the folder that it was given.
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
    """How the environment stands."""

    NOT_MADE = "not made"
    MAKING = "being made"
    INCOMPLETE = "incomplete"
    OUT_OF_DATE = "out of date"  # complete and used, but made for another version of the extension, or by other locks
    READY = "ready"


class Environment(NamedTuple):
    """A complete one."""

    folder: Path
    note: dict[str, Any]

    @property
    def python(self) -> Path:
        return python_of(self.folder)


class Folder:
    """Where the environment lies. Reading it never fails; what is changed here is changed under `alone`."""

    def __init__(self, path: Path, locks: Mapping[str, Path], version: str):
        """locks: the files that say what an environment holds, by the name of the part. version: the extension's."""
        self.path, self.locks, self.version = path, dict(locks), version

    # ---- How it stands ----

    def wanted(self, parts: tuple[str, ...]) -> dict[str, Any]:
        """What an environment is made from, for its note."""
        digests = {part: hashlib.sha256(self.locks[part].read_bytes()).hexdigest() for part in parts}
        return {"version": self.version, "locks": digests, "place": str(self.path.absolute())}

    def current(self) -> Environment | None:
        """The complete environment that was made last."""
        found = [Environment(folder, note) for folder in self._folders() if (note := _read_note(folder)) is not None]
        found = [environment for environment in found if environment.python.exists()]  # of a link: what it points to
        return max(found, key=lambda environment: environment.note["made"], default=None)

    def state(self, parts: tuple[str, ...]) -> EnvironmentState:
        """How it stands for these parts, as far as it is made."""
        current = self.current()
        if current is not None:
            return (
                EnvironmentState.READY if self._fits(current.note, self.wanted(parts)) else EnvironmentState.OUT_OF_DATE
            )
        return EnvironmentState.INCOMPLETE if self._folders() else EnvironmentState.NOT_MADE

    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        return not self._ours()

    def _fits(self, note: dict[str, Any], wanted: dict[str, Any]) -> bool:
        """More parts than wanted do no harm."""
        locks = note["locks"].items() >= wanted["locks"].items()
        return locks and (note["version"], note["place"]) == (wanted["version"], wanted["place"])

    def _folders(self) -> list[Path]:
        """Environments, complete or not."""
        return [path for path in self._entries() if NAME.fullmatch(path.name)]

    def _entries(self) -> list[Path]:
        try:
            return sorted(self.path.iterdir())
        except OSError:
            return []

    def _ours(self) -> list[Path]:
        """Everything to remove, notes first."""
        entries = self._entries()
        notes = [path for path in entries if path.suffix == ".json" and NAME.fullmatch(path.stem)]
        return notes + [path for path in entries if NAME.fullmatch(path.name) or path.name in TOOLS]

    # ---- Changing it ----

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time. Raises EngineError where another one is at it, OSError where we may not write."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / "lock", "ab") as file:
            for _ in range(10):  # another process may look at it (`is_held`) at this very moment
                if _hold(file.fileno()):
                    break
                time.sleep(0.05)
            else:
                raise EngineError("Another Blender is making or removing the engine's environment: wait for it.")
            yield

    def is_held(self) -> bool:
        """Whether a process changes the environment now."""
        try:
            with open(self.path / "lock", "r+b") as file:
                return not _hold(file.fileno())
        except OSError:
            return False

    def fresh(self) -> Path:
        """A new, empty folder for an environment."""
        folder = self.path / f"env-{secrets.token_hex(3)}"
        folder.mkdir()
        return folder

    def complete(self, folder: Path, note: dict[str, Any]) -> Environment:
        """The environment in `folder` has proved to work: from now on it is the current one."""
        with atomic_write(_note_path(folder)) as file:
            file.write(json.dumps(note | {"made": time.time()}, indent=1).encode())
        return Environment(folder, note)

    def cache(self) -> Path:
        """Where uv keeps packages; another place for another PyTorch, the largest of them, so that old ones can go."""
        pin = re.search(r"^torch==([\w.]+)", self.locks["engine"].read_text(encoding="utf-8"), re.MULTILINE)
        return self.path / "cache" / (f"torch-{pin[1]}" if pin else "any")

    def tidy(self) -> None:
        """Remove every environment but the current one; where there is none, all. And packages for another PyTorch, and
        what a killed uv has left behind. What cannot be removed stays.
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
        """What the last environment was made from may be damaged: fetch it anew the next time. False where the Python
        has to stay, because the complete environment runs on it.
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
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def size_of(folder: Path, check: Callable[[], None]) -> int:
    """Bytes of the files in a folder. check: called for every folder below; what it raises ends the count."""
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
        except OSError:  # it changes while we look
            pass
    return total


def _note_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".json")


def _read_note(folder: Path) -> dict[str, Any] | None:
    """The note of an environment; None where there is none, or none that makes sense."""
    try:
        note = json.loads(_note_path(folder).read_bytes())
        kinds = {"version": str, "locks": dict, "place": str, "made": float}
        return note if all(type(note[name]) is kind for name, kind in kinds.items()) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _hold(descriptor: int) -> bool:
    """Lock an open file until it is closed; False where another process, or another opening, has it."""
    try:
        if os.name == "nt":
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # pyright: ignore
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # a file system without locks: then only one Blender may be at it, as on most desks
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True


def _remove_anyway(function: Any, path: str, error: Any) -> None:
    """What cannot be removed because it is read-only is made writable and removed."""
    try:
        os.chmod(os.path.dirname(path), stat.S_IRWXU)
        os.chmod(path, stat.S_IRWXU)
    except OSError:
        raise error[1] from None
    function(path)
