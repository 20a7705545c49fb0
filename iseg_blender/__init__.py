"""iSeg in Blender: click on a mesh, get a part of it."""

import bpy

from . import operators, signals
from .document import properties, undo
from .engine import session
from .engine.environment import standing
from .live import answers, handlers
from .operators import click_modal
from .session import SESSION
from .timers import Timers
from .ui import preferences, sidebar
from .viewport import draw, tool

CLASSES = (preferences.Preferences, *properties.CLASSES, *operators.CLASSES, *sidebar.CLASSES)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    signals.edited.connect(undo.note)
    signals.changed.connect(answers.changed)
    properties.add_properties()
    handlers.start()
    SESSION.start((Timers, standing.Managed))
    draw.start()
    tool.start()


def unregister() -> None:
    click_modal.stop()
    tool.stop()
    standing.Managed.current().close()
    session.close()  # what is under way ends, and says so to those below
    draw.stop()
    handlers.stop()
    undo.forget()
    SESSION.close()
    signals.disconnect_all()
    properties.remove_properties()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
