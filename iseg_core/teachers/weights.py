"""Weights of the teachers that need some: download them, find them in the cache, check that they are official files.

Which files there are, the registry says. Nothing is downloaded unless `fetch` is called. A file that arrives lies under
its final name only once its sha256 is right; until then it is `<file>.part`, from which an interrupted download goes on
(system/download.py).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import Cancelled, DownloadError, WeightsError
from ..progress import Progress, ProgressCallback
from ..system.atomic_file import atomic_write, replace
from ..system.download import download
from ..system.folders import cache_folder
from .registry import DEFAULT_TEACHER, TEACHERS, TeacherEntry, WeightsFile, weights_files

BY_HAND = "use it by its path (`--weights FILE`)"
CHUNK = 1 << 20  # bytes hashed between two checks of `cancel`
FETCHING = {"wait": (0.0, 0.0), "download": (0.0, 0.95), "check": (0.95, 0.05)}  # begin and share of the progress
CHECKING = {"check": (0.0, 1.0)}


def weights_folder() -> Path:
    """Folder of the fetched weights, in the user's cache."""
    return cache_folder() / "weights"


def locate(
    name_or_path: str | os.PathLike[str],
    progress: ProgressCallback | None = None,
    cancel: Callable[[], bool] | None = None,
) -> tuple[TeacherEntry, Path]:
    """Find a teacher's weights by its name in the cache, or by the path of a file, and check them (see `verify`).

    Raises WeightsError where there are none, or they are not the official file; the message says what to do.
    """
    name, offered = os.fspath(name_or_path), weights_files()
    if name not in offered:
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"There is no file {str(path)!r} and no 2D model of that name; the names are {', '.join(offered)}. "
                f"`--teacher {DEFAULT_TEACHER}` needs no weights."
            )
        return verify(path, progress, cancel), path
    weights = offered[name]
    path = weights_folder() / weights.file
    if not path.is_file():
        raise WeightsError(
            f"The weights of {name} are not on this machine. `python -m iseg_core fetch {name}` "
            f"fetches them ({weights.size}, licence {weights.licence}, from {weights.host}), and "
            f"`--teacher {DEFAULT_TEACHER}` needs none."
        )
    if not _is_official(path, weights, _Report(CHECKING, progress, cancel)):
        raise WeightsError(
            f"{path} is not the official file of {name}, so it is not opened. "
            f"`python -m iseg_core fetch {name}` replaces it; `--teacher {DEFAULT_TEACHER}` needs none."
        )
    return TEACHERS[name], path


def verify(
    path: str | os.PathLike[str],
    progress: ProgressCallback | None = None,
    cancel: Callable[[], bool] | None = None,
) -> TeacherEntry:
    """Identify the official file at `path` by its length and sha256: the entry of its teacher.

    Raises WeightsError where it is none of them, and Cancelled where `cancel` says so.

    A file that was found right is not hashed again until its length or time of change differ from those noted then.
    """
    path, report, offered = Path(path), _Report(CHECKING, progress, cancel), weights_files()
    try:
        length = path.stat().st_size
        for name, weights in offered.items():
            if weights.bytes == length and _is_official(path, weights, report):
                return TEACHERS[name]
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror or error}). Check the path and its rights."
        ) from error
    families = " or ".join(dict.fromkeys(weights.family for weights in offered.values()))
    smallest = min(offered, key=lambda name: offered[name].bytes)
    raise WeightsError(
        f"{path} ({length:,} bytes) is none of the official files of {families}. It is not opened, for such a "
        f"file can run programs. `python -m iseg_core fetch {smallest}` fetches an official one "
        f"({offered[smallest].size}); `--teacher {DEFAULT_TEACHER}` needs none."
    )


def fetch(
    name: str,
    progress: ProgressCallback | None = None,
    cancel: Callable[[], bool] | None = None,
    base_url: str | None = None,
) -> Path:
    """Download a teacher's official weights into the cache and return their path; what is there is not fetched again.

    An interrupted download goes on where it ended. Two processes may fetch the same file: the second waits for the
    first and takes its result. The user's proxy settings are honoured.

    progress: receives Progress with the stages "wait", "download" and "check".
    cancel: asked several times a second; True ends the download with Cancelled, and what arrived is kept.
    base_url: a mirror of the folder that the file comes from; HTTPS, or HTTP on this very machine.

    Raises WeightsError: unknown name, no connection, a server that does not offer the official file, no space.
    """
    offered = weights_files()
    if name not in offered:
        raise WeightsError(f"There are no weights called {name!r}; the names are {', '.join(offered)}.")
    weights, report = offered[name], _Report(FETCHING, progress, cancel)
    url = weights.url if base_url is None else base_url.rstrip("/") + "/" + weights.file
    final = weights_folder() / weights.file
    part = final.with_name(final.name + ".part")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with _alone(final, lambda: report("wait", 0.0)):
            if not (final.exists() and _is_official(final, weights, report)):
                _complete(part, weights, url, report)
                replace(part, final)
                _note(final, _stamp(final), weights)
    except OSError as error:
        raise WeightsError(
            f"The weights cannot be written to {final.parent} ({error.strerror or error}). Make room or set the right "
            "to write there, or name another folder in the environment variable ISEG_CACHE; then try again: it goes on "
            "with what has arrived."
        ) from error
    return final


def _complete(part: Path, weights: WeightsFile, url: str, report: "_Report") -> None:
    """Complete `part` to the whole official file."""
    inherited = part.exists()  # from an earlier run: it may have been damaged since
    while True:
        try:
            download(url, part, weights.bytes, lambda done: report("download", done))
        except DownloadError as error:
            raise WeightsError(f"{error} Or download {weights.url} elsewhere and {BY_HAND}.") from error
        digest = _sha256(part, report)
        if digest == weights.sha256:
            return
        part.unlink()
        if not inherited:
            raise WeightsError(
                f"What arrived as {weights.file} is not the official file (sha256 {digest}) and was deleted. Something "
                "between here and the server changes downloads: a proxy, a virus scanner or a login page. Try another "
                f"network, or download {weights.url} elsewhere and {BY_HAND}."
            )
        inherited = False


def _is_official(path: Path, weights: WeightsFile, report: "_Report") -> bool:
    """Tell whether `path` holds these weights; hashes it unless that was done since it last changed."""
    stamp = _stamp(path)
    if stamp["bytes"] != weights.bytes:
        return False
    if _noted(path) == stamp | {"sha256": weights.sha256}:
        return True
    right = _sha256(path, report) == weights.sha256
    if right:
        _note(path, stamp, weights)
    return right


def _sha256(path: Path, report: "_Report") -> str:
    """Hash a file, in hexadecimal digits."""
    digest, size, done = hashlib.sha256(), max(path.stat().st_size, 1), 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report("check", min(done / size, 1.0))
    return digest.hexdigest()


def _stamp(path: Path) -> dict[str, Any]:
    """Read path, length and time of change of a file: one of them differs after a change."""
    stat = path.stat()
    return {"path": str(path.resolve()), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _note_path(path: Path) -> Path:
    """Path of the note that says how a file was when its hash was found right."""
    # In the cache, not beside the file: the user's own copy may lie where we may not write.
    return weights_folder() / "checked" / (hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16] + ".json")


def _noted(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(_note_path(path).read_bytes())
    except (OSError, ValueError):
        return None


def _note(path: Path, stamp: dict[str, Any], weights: WeightsFile) -> None:
    note = _note_path(path)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(note) as file:
            file.write(json.dumps(stamp | {"sha256": weights.sha256}).encode())
    except OSError:
        pass  # the note only saves hashing the file again


@contextmanager
def _alone(final: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock of one download; calls `waiting` while another process has it. A process that dies lets go."""
    from filelock import FileLock, Timeout

    lock = FileLock(final.with_name(final.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            waiting()
    try:
        yield
    finally:
        lock.release()


class _Report:
    """Progress of the stages, at most ten times a second, and the caller's wish to stop."""

    def __init__(
        self,
        stages: dict[str, tuple[float, float]],
        progress: ProgressCallback | None,
        cancel: Callable[[], bool] | None,
    ):
        self._stages, self._progress, self._cancel = stages, progress, cancel
        self._stage, self._began, self._first, self._last = "", 0.0, 0.0, 0.0

    def __call__(self, stage: str, done: float) -> None:
        """Report the fraction `done` of a stage. Raises Cancelled where the caller asked to stop."""
        if self._cancel is not None and self._cancel():
            raise Cancelled("Stopped. What has arrived of a download is kept: the next attempt goes on from there.")
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._first, self._last = stage, now, done, 0.0
        if self._progress is not None and (now - self._last >= 0.1 or done >= 1.0):
            gained = done - self._first  # in this run: a download that goes on begins above 0
            left = (now - self._began) / gained * (1.0 - done) if gained > 0.01 else None
            begin, share = self._stages[stage]
            self._progress(Progress(stage, begin + share * done, left))
            self._last = now
