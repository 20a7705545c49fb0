"""Installation, repair and removal of this Blender's managed environment.

Everything here is called on Blender's main thread. The job itself runs on a thread of its own (job.py), which does not
use bpy; a timer polls it.
"""

import os
import sys
from pathlib import Path

import bpy

from .. import names, redraw
from ..core import Cancelled, EngineError
from ..tasks import local_command
from ..timers import Timers
from . import selftest
from .environment import make
from .environment.folder import Folder
from .environment.job import EnvironmentJob
from .managed import Managed, folder, parts, retake, working
from .running import Running, engine

WATCH = 0.1  # seconds between two polls of the job


def install() -> EnvironmentJob:
    """Start to make the environment, for the first time or anew. Raises EngineError where there is no folder for it."""
    place = folder()
    if place is None:
        raise EngineError("This Blender has no folder for the files of iSeg: install the extension from its zip.")
    log = place.path.parent / "engine-test.log"

    def check(python: Path, job: EnvironmentJob) -> dict:
        return selftest.test(*local_command(python, names.FOLDER), log, job.check)

    order = make.Order(parts(), check, own_python())
    return _begin("install", EnvironmentJob(lambda job: make.make(place, order, job)))


def remove() -> EnvironmentJob:
    """End the engine where it runs in this environment, and start to remove the environment and its tools."""
    place = folder()
    assert place is not None  # else there was nothing to remove
    _end_engine(place)
    return _begin("remove", EnvironmentJob(lambda job: make.remove(place, job)))


def wait() -> None:
    """Block until the job and the tidying after it have ended; for background mode."""
    managed = Managed.current()
    assert managed.job is not None
    managed.job.wait()
    _settle(managed)
    if managed.tidying is not None:
        managed.tidying.wait()


def own_python() -> Path | None:
    """Return the folder of the Python that came with this Blender; None where Blender uses the system's Python."""
    folder, prefix = Path(os.path.realpath(bpy.app.binary_path)).parent, Path(sys.prefix)
    folder = folder.parent if folder.name == "MacOS" else folder  # Blender.app/Contents
    return prefix if bpy.app.binary_path and prefix.is_relative_to(folder) else None


def _begin(purpose: str, job: EnvironmentJob) -> EnvironmentJob:
    managed = Managed.current()
    managed.job, managed.purpose, managed.problem = job, purpose, ""
    retake()
    Timers.current().begin(watch, after=WATCH, persistent=True)
    return job


def watch() -> float | None:
    """Poll the job; a timer calls this until it returns None, once the job has ended."""
    managed = Managed.current()
    assert managed.job is not None
    if managed.job.progress != managed.drawn:
        managed.drawn = managed.job.progress
        redraw.redraw(views=False)
    replaced = managed.purpose == "install" and managed.job.error is None
    if working() or (replaced and engine().busy):  # an engine in the previous environment may still be busy
        return WATCH
    _settle(managed)
    redraw.redraw()
    return None


def _settle(managed: Managed) -> None:
    """Record how the job ended, and start to remove what a new environment has replaced; called once after its end."""
    assert managed.job is not None
    retake()
    place, error = folder(), managed.job.error
    if error is not None:
        managed.problem = "" if isinstance(error, Cancelled) else str(error)
    elif managed.purpose == "install" and place is not None:
        Running.current().checkup = dict(managed.job.result.report)
        _end_engine(place)
        managed.tidying = EnvironmentJob(lambda _: _tidy(place))


def _tidy(place: Folder) -> None:
    try:
        with place.alone():
            place.tidy()
    except (EngineError, OSError):
        pass  # the next job tidies up


def _end_engine(place: Folder) -> None:
    """End the engine where it runs in this environment, so that none of its files is in use."""
    if any(Path(part).is_relative_to(place.path) for part in engine().command[:1]):
        engine().close()
