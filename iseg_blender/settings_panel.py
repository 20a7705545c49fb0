"""What the preferences show: which engine is chosen and how it stands, its report on itself, the weights."""

from typing import Any

import bpy

from . import managed, names, prefs, selftest, session, state
from .environment.folder import State
from .panels import draw_progress, wrapped

ICONS = {
    State.NOT_MADE: "INFO",
    State.MAKING: "SORTTIME",
    State.INCOMPLETE: "ERROR",
    State.OUT_OF_DATE: "ERROR",
    State.READY: "CHECKMARK",
}


def draw(preferences: Any, layout: Any) -> None:
    context = bpy.context
    overridden = prefs.overridden()
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
    about, report = session.engine.about, session.checkup
    if about and not report:
        layout.label(text=f"Engine {about.get('version')} on Python {about.get('python')}, {about.get('platform')}")
    if session.freed:
        wrapped(layout, context, session.freed, "INFO")
    made_here = prefs.managed()  # then it says so itself how it stands
    problem = report.get("error") or session.problem_of(None) or ("" if made_here else prefs.chosen())
    if problem:
        wrapped(layout, context, str(problem), "ERROR")
    for line in selftest.words(report, made_here):
        wrapped(layout, context, line.text, {True: "CHECKMARK", False: "ERROR", None: "INFO"}[line.good])
    draw_weights(layout, context, report)


def draw_environment(layout: Any, context: bpy.types.Context, preferences: Any) -> None:
    """How the managed environment stands, and what can be done to it."""
    box = layout.box()
    if managed.working() and managed.job is not None:
        draw_progress(box, managed.job, names.ENVIRONMENT_CANCEL)
    else:
        wrapped(box, context, f"Environment: {managed.sentence()}", ICONS[managed.look()[1]])
    if managed.problem:
        wrapped(box, context, f"The last attempt failed. {managed.problem}", "ERROR")
    row = box.row()
    row.enabled = not managed.working()
    row.prop(preferences, "sam")
    row = box.row()
    row.operator(names.ENVIRONMENT_INSTALL, icon="IMPORT")
    row.operator(names.ENVIRONMENT_REPAIR, icon="FILE_REFRESH")
    row.operator(names.ENVIRONMENT_REMOVE, icon="TRASH")


def draw_weights(layout: Any, context: bpy.types.Context, report: dict) -> None:
    """The weights of the SAM teachers: how large, under which licence, whether they are here, and the button."""
    box = layout.box()
    box.label(text="Weights of Segment Anything, for the SAM teachers only")
    labels = {name: label for name, label, *_ in state.TEACHERS}
    for name, size in state.WEIGHTS.items():
        row = box.row()
        row.label(text=f"{labels[name]}, {size}, licence {state.LICENCE}")
        if name in session.fetches:
            draw_progress(row, session.fetches[name], names.CANCEL_FETCH, name=name)
        elif selftest.has_weights(report, name):
            row.label(text="On this machine", icon="CHECKMARK")
        else:
            row.operator(names.FETCH_WEIGHTS, text="Fetch", icon="IMPORT").name = name
        if name in session.problems:
            wrapped(box, context, session.problems[name], "ERROR")
