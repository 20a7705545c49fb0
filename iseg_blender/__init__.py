"""iSeg in Blender: click on a mesh, get a part of it."""

import bpy

from . import history, live, managed, operators, panels, prefs, session, state, tool, view

CLASSES = (prefs.Preferences, *state.CLASSES, *operators.CLASSES, *panels.CLASSES)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    state.add_properties()
    live.start()
    view.start()
    tool.start()


def unregister() -> None:
    operators.click.stop()
    tool.stop()
    managed.stop()
    session.close()  # what is under way ends, and says so to those below
    view.stop()
    live.stop()
    history.forget()
    state.remove_properties()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
