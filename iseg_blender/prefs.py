"""Preferences: which engine is used."""

import os

import bpy
from bpy.props import EnumProperty, StringProperty

from . import names
from .core import EngineError
from .engine import split_command

PACKAGE = __package__
FOLDER = os.path.dirname(os.path.abspath(__file__))

CHOICES = (
    ("PYTHON", "Existing Python", "A Python that has torch and the other packages that the engine needs"),
    ("COMMAND", "Command", "A command that starts the engine, here or on another machine"),
)


class Preferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    choice: EnumProperty(name="Engine", description="What computes", items=CHOICES, default="PYTHON")
    python: StringProperty(
        name="Python",
        description="The Python executable of an environment with the packages of the engine",
        subtype="FILE_PATH",
    )
    command: StringProperty(
        name="Command",
        description="For example: ssh gpubox python -m iseg_core engine",
    )

    def draw(self, context: bpy.types.Context) -> None:
        from . import panels

        panels.draw_preferences(self, self.layout)


def get() -> Preferences | None:
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon is not None else None


def overridden() -> str:
    """The command line that the environment variable asks for; empty where it does not."""
    return os.environ.get(names.ENGINE_VARIABLE, "")


def engine_command() -> tuple[list[str], dict[str, str]]:
    """What starts the engine, and its extra environment. Raises EngineError where none is chosen."""
    if overridden():
        return split_command(overridden()), {}
    chosen = get()
    if chosen is not None and chosen.choice == "COMMAND" and chosen.command.strip():
        return split_command(chosen.command), {}
    if chosen is not None and chosen.choice == "PYTHON" and chosen.python.strip():
        python = bpy.path.abspath(chosen.python.strip())
        return [python, "-m", "iseg_core", "engine"], {"PYTHONPATH": FOLDER}
    raise EngineError(
        "No engine is chosen yet. Open Edit > Preferences > Add-ons > iSeg and name a Python with the engine's "
        "packages, or a command."
    )


def chosen() -> str:
    """Why no engine can be started; empty where one is chosen."""
    try:
        engine_command()
    except EngineError as error:
        return str(error)
    return ""


def log_path() -> str | None:
    """The file for what the engine says, where this Blender has a folder for it."""
    try:
        return os.path.join(bpy.utils.extension_path_user(PACKAGE, create=True), "engine.log")
    except (ValueError, OSError):  # run from a folder that is no extension repository, or read-only
        return None
