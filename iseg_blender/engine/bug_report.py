"""Text for a bug report: versions, settings, the engine's state, its report on itself and the end of its log.

It holds no data of any mesh, and writes ~ for the home folder.
"""

import os
import platform

import bpy

from ..core import __version__
from . import choice, managed, selftest
from .running import Running

LOG_TAIL = 12_000  # bytes


def text() -> str:
    """Return the report, ready to be pasted."""
    settings, running = bpy.context.scene.iseg, Running.current()
    about = ", ".join(f"{name} {value}" for name, value in running.engine.about.items()) or "not running"
    lines = [
        f"iSeg {__version__}, Blender {bpy.app.version_string}, Python {platform.python_version()}",
        platform.platform(),
        f"Settings: teacher {settings.teacher}, preset {settings.preset}, device {settings.device}",
        f"Engine: {running.engine.state.value}; {about}",
        f"Environment: {managed.sentence()}",
        *(line.text for line in selftest.words(running.checkup, managed=False)),
        *(str(problem) for problem in (running.checkup.get("error"), running.engine.reason) if problem),
        "",
        "The end of the engine's log:",
        log_tail(choice.log_path()),
    ]
    return "\n".join(lines).replace(os.path.expanduser("~"), "~")


def log_tail(path: str | None) -> str:
    """Read the last whole lines of a log, at most LOG_TAIL bytes; a remark in brackets where that is not possible."""
    if path is None or not os.path.exists(path):
        return "(there is none)"
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LOG_TAIL, 0))
            data = file.read()
    except OSError as error:
        return f"(cannot be read: {error.strerror})"
    if size > LOG_TAIL:
        data = data.partition(b"\n")[2]
    return data.decode(errors="replace").rstrip()
