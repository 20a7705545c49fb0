"""This Blender's managed environment: where it lies, how it stands, and what is being done to it.

All of this is called on Blender's main thread; the work itself is done in a thread (environment/job.py) that knows no
bpy, and a timer looks at it.
"""

import os
import sys
import time
from pathlib import Path

import bpy

from ... import redraw
from ...core import Cancelled, EngineError, Progress, __version__
from ...tasks import local_command
from .. import selftest, session
from . import make
from .folder import Environment, Folder, State
from .job import Job

PACKAGE, HERE = __package__ or "", Path(__file__).resolve().parent
LOCKS = {part: HERE / "requirements" / f"{part}.lock" for part in ("engine", "sam")}
GLANCE = 1.0  # seconds for which a look at the disk is good
WATCH = 0.1  # seconds between two looks at the work

INSTALL = "Install downloads PyTorch and what else the engine needs: about 0.3 GB, with an NVIDIA GPU 3 GB."
SENTENCES = {
    State.NOT_MADE: f"Not made yet. {INSTALL}",
    State.MAKING: "Being made.",
    State.INCOMPLETE: "Incomplete: it was interrupted, or files of it are missing. Repair completes it.",
    State.OUT_OF_DATE: "Out of date: it works, and was made for another version or another choice. Repair renews it.",
    State.READY: "Ready.",
}

job: Job | None = None  # the last work, also after its end
purpose = ""  # install | remove
problem = ""  # what went wrong last
_tidying: Job | None = None
_drawn: Progress | None = None  # how far the work was when it was drawn last
_glance: tuple[float, Environment | None, State] | None = None


def folder() -> Folder | None:
    """The environment's folder; None where this Blender has no place for an extension's files."""
    try:
        return Folder(Path(bpy.utils.extension_path_user(PACKAGE, path="engine")), LOCKS, __version__)
    except ValueError:  # run from a folder that is no extension repository
        return None


def parts() -> tuple[str, ...]:
    """What the environment shall hold."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return ("engine", "sam") if addon is not None and addon.preferences.sam else ("engine",)


def look() -> tuple[Environment | None, State]:
    """The environment that can be used, and how it stands."""
    global _glance
    if _glance is None or time.monotonic() - _glance[0] > GLANCE:
        place = folder()
        if place is None:
            _glance = time.monotonic(), None, State.NOT_MADE
        else:
            held = (_tidying is None or _tidying.ended) and not working() and place.is_held()
            state = State.MAKING if held else place.state(parts())
            _glance = time.monotonic(), place.current(), state
    if working() and purpose == "install":
        return _glance[1], State.MAKING
    return _glance[1:]


def look_again() -> None:
    """Something has changed on the disk, or in what is wanted."""
    global _glance
    _glance = None


def engine_command() -> tuple[list[str], dict[str, str]]:
    """What starts the engine in this environment. Raises EngineError where there is none that works."""
    environment, state = look()
    if environment is None:
        if state is State.MAKING:
            raise EngineError("The engine's environment is being made: wait for it.")
        button = "Repair" if state is State.INCOMPLETE else "Install"
        raise EngineError(
            f"The engine's environment is {state.value}. Open Edit > Preferences > Add-ons > iSeg and press {button}."
        )
    return local_command(environment.python, str(HERE))


def sentence() -> str:
    """How it stands, for the user."""
    environment, state = look()
    if state is State.READY and environment is not None:
        return f"Ready, {environment.note.get('bytes', 0) / 1e9:.1f} GB."
    if state is State.MAKING and not working():
        return "Another Blender is making or removing it."
    return SENTENCES[state]


# ---- What is done to it ----


def working() -> bool:
    return job is not None and not job.ended


def install() -> Job:
    """Begin to make the environment, new or anew. Raises EngineError where it has no place."""
    place = folder()
    if place is None:
        raise EngineError("This Blender has no folder for the files of iSeg: install the extension from its zip.")
    log = place.path.parent / "engine-test.log"

    def check(python: Path, job: Job) -> dict:
        return selftest.test(*local_command(python, str(HERE)), log, job.check)

    order = make.Order(parts(), check, own_python())
    return _begin("install", Job(lambda job: make.make(place, order, job)))


def remove() -> Job:
    """End the engine, where it runs from here, and begin to remove everything."""
    place = folder()
    assert place is not None  # else there was nothing to remove
    _end_engine(place)
    return _begin("remove", Job(lambda job: make.remove(place, job)))


def wait() -> None:
    """Until the work has ended, for background mode."""
    assert job is not None
    job.wait()
    _settle()
    if _tidying is not None:
        _tidying.wait()


def own_python() -> Path | None:
    """The folder of the Python that came with this Blender; None where it uses the system's."""
    folder, prefix = Path(os.path.realpath(bpy.app.binary_path)).parent, Path(sys.prefix)
    folder = folder.parent if folder.name == "MacOS" else folder  # Blender.app/Contents
    return prefix if bpy.app.binary_path and prefix.is_relative_to(folder) else None


def _begin(wish: str, work: Job) -> Job:
    global job, purpose, problem
    job, purpose, problem = work, wish, ""
    look_again()
    if not bpy.app.background and not bpy.app.timers.is_registered(_watch):
        bpy.app.timers.register(_watch, first_interval=WATCH, persistent=True)
    return work


def _watch() -> float | None:
    global _drawn
    assert job is not None
    if job.progress != _drawn:
        _drawn = job.progress
        redraw.redraw(views=False)
    replaced = purpose == "install" and job.error is None
    if working() or (replaced and session.engine.busy):  # an engine of the environment before may still be at work
        return WATCH
    _settle()
    redraw.redraw()
    return None


def _settle() -> None:
    """Once, after the work's end: say how it ended, and remove what the new environment has replaced."""
    global problem, _tidying
    assert job is not None
    look_again()
    place = folder()
    if job.error is not None:
        problem = "" if isinstance(job.error, Cancelled) else str(job.error)
    elif purpose == "install" and place is not None:
        session.checkup.clear()
        session.checkup.update(job.result.report)
        _end_engine(place)
        _tidying = Job(lambda _: _tidy(place))


def _tidy(place: Folder) -> None:
    try:
        with place.alone():
            place.tidy()
    except (EngineError, OSError):
        pass  # the next work here tidies up


def _end_engine(place: Folder) -> None:
    """So that no file is in use."""
    if any(Path(part).is_relative_to(place.path) for part in session.engine.command[:1]):
        session.engine.close()


def stop() -> None:
    """Cancel what is under way, and wait for its end."""
    global job, problem, _tidying
    if bpy.app.timers.is_registered(_watch):
        bpy.app.timers.unregister(_watch)
    for work in (job, _tidying):
        if work is not None:
            work.close()
    job, problem, _tidying = None, "", None
    look_again()
