"""Preferences: the choice of the engine, its state and self-test, the managed environment, weights of teachers."""

from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .. import names
from ..core import TEACHERS, weights_files
from ..document import choices
from ..engine import choice, managed, selftest
from ..engine.environment.folder import EnvironmentState
from ..engine.running import Running, problem_of
from .widgets import draw_progress, wrapped

CHOICES = (  # Blender saves the numbers
    ("MANAGED", "Managed", "An environment that iSeg makes for itself, with the PyTorch that fits the GPU", "", 2),
    ("PYTHON", "Existing Python", "A Python that has torch and the other packages that the engine needs", "", 0),
    ("COMMAND", "Command", "A command that starts the engine, here or on another machine", "", 1),
)


def _wish_changed(self: "Preferences", context: bpy.types.Context) -> None:
    """Read the state of the environment again, because other parts are wanted."""
    managed.retake()


class Preferences(bpy.types.AddonPreferences):
    bl_idname = names.PACKAGE

    choice: EnumProperty(name="Engine", description="What computes", items=CHOICES, default="MANAGED")
    sam: BoolProperty(
        name="With Segment Anything",
        description="Also the packages that the SAM teachers need; their weights are fetched by themselves",
        default=False,
        update=_wish_changed,
    )
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
        draw(self, self.layout)


ICONS = {
    EnvironmentState.NOT_MADE: "INFO",
    EnvironmentState.MAKING: "SORTTIME",
    EnvironmentState.INCOMPLETE: "ERROR",
    EnvironmentState.OUT_OF_DATE: "ERROR",
    EnvironmentState.READY: "CHECKMARK",
}


def draw(preferences: Any, layout: Any) -> None:
    """Draw the preferences."""
    context = bpy.context
    overridden = choice.overridden()
    if overridden:
        sentence = f"The environment variable {names.ENGINE_VARIABLE} overrides the choice below: {overridden}"
        wrapped(layout, context, sentence, "INFO")
    column = layout.column()
    column.enabled = not overridden
    column.row().prop(preferences, "choice", expand=True)
    if preferences.choice == "MANAGED":
        draw_environment(column, context, preferences)
    else:
        column.prop(preferences, preferences.choice.lower())

    row = layout.row()
    row.operator(names.CHECK_ENGINE, icon="CHECKMARK")
    row.operator(names.COPY_REPORT, icon="COPYDOWN")
    row = layout.row()
    row.operator(names.FREE_MEMORY, icon="TRASH")
    row.operator(names.CLEAR_CACHE, icon="TRASH")
    running = Running.current()
    about, report = running.engine.about, running.checkup
    if about and not report:
        layout.label(text=f"Engine {about.get('version')} on Python {about.get('python')}, {about.get('platform')}")
    if running.freed:
        wrapped(layout, context, running.freed, "INFO")
    made_here = choice.is_managed()  # then draw_environment shows its problems
    problem = report.get("error") or problem_of(None) or ("" if made_here else choice.problem())
    if problem:
        wrapped(layout, context, str(problem), "ERROR")
    for line in selftest.words(report, made_here):
        wrapped(layout, context, line.text, {True: "CHECKMARK", False: "ERROR", None: "INFO"}[line.good])
    draw_weights(layout, context, report)


def draw_environment(layout: Any, context: bpy.types.Context, preferences: Any) -> None:
    """Draw the state of the managed environment, and the buttons that change it."""
    box, work = layout.box(), managed.Managed.current()
    if managed.working() and work.job is not None:
        draw_progress(box, work.job, names.ENVIRONMENT_CANCEL)
    else:
        wrapped(box, context, f"Environment: {managed.sentence()}", ICONS[managed.examine()[1]])
    if work.problem:
        wrapped(box, context, f"The last attempt failed. {work.problem}", "ERROR")
    row = box.row()
    row.enabled = not managed.working()
    row.prop(preferences, "sam")
    row = box.row()
    row.operator(names.ENVIRONMENT_INSTALL, icon="IMPORT")
    row.operator(names.ENVIRONMENT_REPAIR, icon="FILE_REFRESH")
    row.operator(names.ENVIRONMENT_REMOVE, icon="TRASH")


def draw_weights(layout: Any, context: bpy.types.Context, report: dict) -> None:
    """Draw the weights that teachers need: size, licence, whether they are on this machine, and the download button."""
    box = layout.box()
    box.label(text=choices.weights_heading())
    for name, weights in weights_files().items():
        row = box.row()
        row.label(text=f"{TEACHERS[name].label}, {weights.size}, licence {weights.licence}")
        if name in Running.current().fetches:
            draw_progress(row, Running.current().fetches[name], names.CANCEL_FETCH, name=name)
        elif selftest.has_weights(report, name):
            row.label(text="On this machine", icon="CHECKMARK")
        else:
            row.operator(names.FETCH_WEIGHTS, text="Fetch", icon="IMPORT").name = name
        if name in Running.current().problems:
            wrapped(box, context, Running.current().problems[name], "ERROR")
