"""iSeg in Blender: click on a mesh, get a part of it."""

import bpy

from . import operators, signals
from .document import properties, undo
from .engine import managed, models, queries, reading, running
from .live import answers, groups, handlers
from .mesh import cache
from .operators import click_modal
from .session import SESSION
from .timers import Timers
from .ui import preferences, sidebar
from .viewport import draw, evaluated, preview, tool

CLASSES = (preferences.Preferences, *properties.CLASSES, *operators.CLASSES, *sidebar.CLASSES)
KEPT = (  # objects that the session keeps; closed in reverse order
    Timers,
    handlers.Handlers,
    properties.Naming,
    properties.Restoring,
    undo.UndoStates,
    cache.MeshCache,
    models.ModelLists,
    queries.AnswerCache,
    reading.Readings,
    groups.LiveGroups,
    answers.LiveAnswers,
    evaluated.SurfaceCache,
    preview.Hover,
    tool.MouseWatch,
    draw.ViewOverlay,
    running.Running,  # closed before those above, so that they still hear how its tasks in the engine ended
    managed.Managed,
    click_modal.ClickMode,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    properties.add_properties()
    signals.edited.connect(undo.note)
    signals.changed.connect(answers.changed)
    SESSION.start(KEPT)
    tool.start()


def unregister() -> None:
    tool.stop()
    SESSION.close()
    signals.disconnect_all()
    properties.remove_properties()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
