"""Widgets: pieces of layouts that panels share."""

import textwrap
from typing import Any

import bpy


def draw_progress(layout: Any, task: Any, cancel: str, title: str = "", **properties: Any) -> None:
    """Draw the progress of a task, and the button of the operator that cancels it, with its properties.

    title: the name of the object that the task is for.
    """
    report = task.progress
    left = report.seconds_left if report else None
    stage = report.stage[:1].upper() + report.stage[1:] if report else "Starting"
    text = f"{stage}, {left:.0f} s left" if left is not None else stage
    text = f"{title}: {text}" if title else text
    row = layout.row(align=True)
    row.progress(factor=report.fraction if report else 0.0, text=text)
    button = row.operator(cancel, text="", icon="X")
    for name, value in properties.items():
        setattr(button, name, value)


def wrapped(layout: Any, context: bpy.types.Context, text: str, icon: str) -> None:
    """Draw a sentence, wrapped to the width of the region."""
    scale = context.preferences.view.ui_scale * context.preferences.system.pixel_size
    width = max(int((context.region.width / max(scale, 0.1) - 80) / 6.2), 16)  # characters, beside icon, box and tabs
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, width)):
        column.label(text=line, icon=icon if number == 0 else "BLANK1")
