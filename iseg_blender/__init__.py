"""iSeg in Blender: click on a mesh, get a part of it."""

import bpy

from . import operators
from .document import properties, undo
from .engine import session
from .engine.environment import manager
from .live import handlers
from .ui import preferences, sidebar
from .viewport import draw, tool

CLASSES = (preferences.Preferences, *properties.CLASSES, *operators.CLASSES, *sidebar.CLASSES)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.add_properties()
    handlers.start()
    draw.start()
    tool.start()


def unregister() -> None:
    operators.click.stop()
    tool.stop()
    manager.stop()
    session.close()  # what is under way ends, and says so to those below
    draw.stop()
    handlers.stop()
    undo.forget()
    properties.remove_properties()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
