"""Choice of the engine: the command that starts it, from the preferences or an environment variable."""

import os
from typing import Any

import bpy

from .. import names
from ..core import EngineError
from ..tasks import local_command, split_command
from . import managed


def preferences() -> Any:
    """Return the extension's preferences; None where the extension is not enabled."""
    addon = bpy.context.preferences.addons.get(names.PACKAGE)
    return addon.preferences if addon is not None else None


def overridden() -> str:
    """Return the command line that the environment variable sets; empty where it is not set."""
    return os.environ.get(names.ENGINE_VARIABLE, "")


def engine_command() -> tuple[list[str], dict[str, str]]:
    """Return the engine's command and its extra environment variables. Raises EngineError where no engine is chosen."""
    if overridden():
        return split_command(overridden()), {}
    chosen = preferences()
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
    """Return True where the engine runs in the managed environment."""
    chosen = preferences()
    return not overridden() and (chosen is None or chosen.choice == "MANAGED")


def problem() -> str:
    """Return the reason why no engine can be started; empty where one can."""
    try:
        engine_command()
    except EngineError as error:
        return str(error)
    return ""


def log_path() -> str | None:
    """Return the path of the engine's log file; None where this Blender has no folder for it."""
    try:
        return os.path.join(bpy.utils.extension_path_user(names.PACKAGE, create=True), "engine.log")
    except (ValueError, OSError):  # run from a folder that is no extension repository, or read-only
        return None
