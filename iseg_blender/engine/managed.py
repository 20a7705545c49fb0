"""Where this Blender's managed environment lies, how it stands, and the command that starts the engine in it."""

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
GLANCE = 1.0  # seconds for which a look at the disk is good

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
    """What is being done to the environment, and what was seen of it last."""

    def __init__(self) -> None:
        self.job: EnvironmentJob | None = None  # the last work, also after its end
        self.purpose = ""  # of that: install | remove
        self.problem = ""  # what went wrong last
        self.tidying: EnvironmentJob | None = None
        self.drawn: Progress | None = None  # how far the work was when it was drawn last
        self.glance: tuple[float, Environment | None, EnvironmentState] | None = None  # when, and what `look` saw then

    def close(self) -> None:
        """Cancel what is under way, and wait for its end."""
        for job in (self.job, self.tidying):
            if job is not None:
                job.close()


def folder() -> Folder | None:
    """The environment's folder; None where this Blender has no place for an extension's files."""
    try:
        return Folder(Path(bpy.utils.extension_path_user(names.PACKAGE, path="engine")), LOCKS, __version__)
    except ValueError:  # run from a folder that is no extension repository
        return None


def parts() -> tuple[str, ...]:
    """What the environment shall hold."""
    addon = bpy.context.preferences.addons.get(names.PACKAGE)
    return ("engine", "sam") if addon is not None and addon.preferences.sam else ("engine",)


def examine() -> tuple[Environment | None, EnvironmentState]:
    """The environment that can be used, and how it stands."""
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
    """Something has changed on the disk, or in what is wanted."""
    Managed.current().glance = None


def engine_command() -> tuple[list[str], dict[str, str]]:
    """What starts the engine in this environment. Raises EngineError where there is none that works."""
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
    """How it stands, for the user."""
    environment, state = examine()
    if state is EnvironmentState.READY and environment is not None:
        return f"Ready, {environment.note.get('bytes', 0) / 1e9:.1f} GB."
    if state is EnvironmentState.MAKING and not working():
        return "Another Blender is making or removing it."
    return SENTENCES[state]


def working() -> bool:
    """Whether the environment is being made or removed here."""
    job = Managed.current().job
    return job is not None and not job.ended
