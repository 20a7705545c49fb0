"""Choice of the engine: what starts it, as the preferences say."""

import os
from typing import Any

import bpy

from .. import names
from ..core import EngineError
from ..tasks import local_command, split_command
from . import managed


def get() -> Any:
    """The extension's preferences; None where they are not there."""
    addon = bpy.context.preferences.addons.get(names.PACKAGE)
    return addon.preferences if addon is not None else None


def overridden() -> str:
    """The command line that the environment variable asks for; empty where it does not."""
    return os.environ.get(names.ENGINE_VARIABLE, "")


def engine_command() -> tuple[list[str], dict[str, str]]:
    """What starts the engine, and its extra environment. Raises EngineError where there is none."""
    if overridden():
        return split_command(overridden()), {}
    chosen = get()
    if chosen is None or chosen.choice == "MANAGED":
        return managed.engine_command()
    if chosen.choice == "COMMAND" and chosen.command.strip():
        return split_command(chosen.command), {}
    if chosen.choice == "PYTHON" and chosen.python.strip():
        return local_command(bpy.path.abspath(chosen.python.strip()), names.FOLDER)
    kind = "Python" if chosen.choice == "PYTHON" else "command"
    raise EngineError(
        f"No {kind} is named yet. Open Edit > Preferences > Add-ons > iSeg and name the {kind} of the engine, or "
        "choose Managed."
    )


def is_managed() -> bool:
    """Whether the engine runs in the environment that iSeg makes."""
    preferences = get()
    return not overridden() and (preferences is None or preferences.choice == "MANAGED")


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
        return os.path.join(bpy.utils.extension_path_user(names.PACKAGE, create=True), "engine.log")
    except (ValueError, OSError):  # run from a folder that is no extension repository, or read-only
        return None
