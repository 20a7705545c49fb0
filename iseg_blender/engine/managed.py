"""Managed environment of this Blender: its folder, its state, and the command that starts the engine in it."""

import time
from pathlib import Path

import bpy

from .. import names
from ..core import EngineError, Progress, __version__
from ..session import Kept
from ..tasks import local_command
from .environment.folder import Environment, EnvironmentState, Folder
from .environment.job import EnvironmentJob

LOCKS = {part: Path(names.FOLDER) / "requirements" / f"{part}.lock" for part in ("engine", "sam")}
GLANCE = 1.0  # seconds for which a state that was read from the disk is reused

INSTALL = "Install downloads PyTorch and what else the engine needs: about 0.3 GB, with an NVIDIA GPU 3 GB."
SENTENCES = {
    EnvironmentState.NOT_MADE: f"Not made yet. {INSTALL}",
    EnvironmentState.MAKING: "Being made.",
    EnvironmentState.INCOMPLETE: "Incomplete: it was interrupted, or files of it are missing. Repair completes it.",
    EnvironmentState.OUT_OF_DATE: (
        "Out of date: it works, and was made for another version or another choice. Repair renews it."
    ),
    EnvironmentState.READY: "Ready.",
}


class Managed(Kept):
    """Job on the environment, and the state that was read last."""

    def __init__(self) -> None:
        self.job: EnvironmentJob | None = None  # the last job, also after its end
        self.purpose = ""  # of the last job: install | remove
        self.problem = ""  # the error of the last job; empty where it succeeded or was cancelled
        self.tidying: EnvironmentJob | None = None
        self.drawn: Progress | None = None  # the progress that was drawn last
        self.glance: tuple[float, Environment | None, EnvironmentState] | None = None  # time, result of the last read

    def close(self) -> None:
        """Cancel the running jobs and wait a moment for their end."""
        for job in (self.job, self.tidying):
            if job is not None:
                job.close()


def folder() -> Folder | None:
    """Return the environment's folder; None where this Blender has no folder for an extension's files."""
    try:
        return Folder(Path(bpy.utils.extension_path_user(names.PACKAGE, path="engine")), LOCKS, __version__)
    except ValueError:  # run from a folder that is no extension repository
        return None


def parts() -> tuple[str, ...]:
    """Return the names of the parts that the environment shall hold, as the preferences ask."""
    addon = bpy.context.preferences.addons.get(names.PACKAGE)
    return ("engine", "sam") if addon is not None and addon.preferences.sam else ("engine",)


def examine() -> tuple[Environment | None, EnvironmentState]:
    """Return the usable environment, if any, and the state; the disk is read at most every GLANCE seconds."""
    managed = Managed.current()
    if managed.glance is None or time.monotonic() - managed.glance[0] > GLANCE:
        place = folder()
        if place is None:
            managed.glance = time.monotonic(), None, EnvironmentState.NOT_MADE
        else:
            held = (managed.tidying is None or managed.tidying.ended) and not working() and place.is_held()
            state = EnvironmentState.MAKING if held else place.state(parts())
            managed.glance = time.monotonic(), place.current(), state
    if working() and managed.purpose == "install":
        return managed.glance[1], EnvironmentState.MAKING
    return managed.glance[1:]


def retake() -> None:
    """Drop the state that was read, because the disk or the preferences have changed."""
    Managed.current().glance = None


def engine_command() -> tuple[list[str], dict[str, str]]:
    """Return the engine's command and extra environment variables. Raises EngineError where no environment works."""
    environment, state = examine()
    if environment is None:
        if state is EnvironmentState.MAKING:
            raise EngineError("The engine's environment is being made: wait for it.")
        button = "Repair" if state is EnvironmentState.INCOMPLETE else "Install"
        raise EngineError(
            f"The engine's environment is {state.value}. Open Edit > Preferences > Add-ons > iSeg and press {button}."
        )
    return local_command(environment.python, names.FOLDER)


def sentence() -> str:
    """Describe the state of the environment in a sentence for the user."""
    environment, state = examine()
    if state is EnvironmentState.READY and environment is not None:
        return f"Ready, {environment.note.get('bytes', 0) / 1e9:.1f} GB."
    if state is EnvironmentState.MAKING and not working():
        return "Another Blender is making or removing it."
    return SENTENCES[state]


def working() -> bool:
    """Return True while this Blender makes or removes the environment."""
    job = Managed.current().job
    return job is not None and not job.ended
