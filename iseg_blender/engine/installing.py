"""What is done to this Blender's managed environment: it is made, anew or for the first time, and removed.

All of this is called on Blender's main thread; the work itself is done in a thread (job.py) that knows no bpy, and a
timer looks at it.
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

WATCH = 0.1  # seconds between two looks at the work


def install() -> EnvironmentJob:
    """Begin to make the environment, new or anew. Raises EngineError where it has no place."""
    place = folder()
    if place is None:
        raise EngineError("This Blender has no folder for the files of iSeg: install the extension from its zip.")
    log = place.path.parent / "engine-test.log"

    def check(python: Path, job: EnvironmentJob) -> dict:
        return selftest.test(*local_command(python, names.FOLDER), log, job.check)

    order = make.Order(parts(), check, own_python())
    return _begin("install", EnvironmentJob(lambda job: make.make(place, order, job)))


def remove() -> EnvironmentJob:
    """End the engine, where it runs from here, and begin to remove everything."""
    place = folder()
    assert place is not None  # else there was nothing to remove
    _end_engine(place)
    return _begin("remove", EnvironmentJob(lambda job: make.remove(place, job)))


def wait() -> None:
    """Until the work has ended, for background mode."""
    managed = Managed.current()
    assert managed.job is not None
    managed.job.wait()
    _settle(managed)
    if managed.tidying is not None:
        managed.tidying.wait()


def own_python() -> Path | None:
    """The folder of the Python that came with this Blender; None where it uses the system's."""
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
    """Look at the work; called by a timer until it has ended."""
    managed = Managed.current()
    assert managed.job is not None
    if managed.job.progress != managed.drawn:
        managed.drawn = managed.job.progress
        redraw.redraw(views=False)
    replaced = managed.purpose == "install" and managed.job.error is None
    if working() or (replaced and engine().busy):  # an engine of the environment before may still be at work
        return WATCH
    _settle(managed)
    redraw.redraw()
    return None


def _settle(managed: Managed) -> None:
    """Once, after the work's end: say how it ended, and remove what the new environment has replaced."""
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
        pass  # the next work here tidies up


def _end_engine(place: Folder) -> None:
    """So that no file is in use."""
    if any(Path(part).is_relative_to(place.path) for part in engine().command[:1]):
        engine().close()
