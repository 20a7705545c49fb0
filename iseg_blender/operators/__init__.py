"""Operators, one module for each subject."""

from . import click_modal, click_tool, clicks, clicks_from, edit, engine, environment, train, vertex_group

CLASSES = (
    *train.CLASSES,
    *engine.CLASSES,
    *environment.CLASSES,
    *click_modal.CLASSES,
    *click_tool.CLASSES,
    *clicks.CLASSES,
    *clicks_from.CLASSES,
    *vertex_group.CLASSES,
    *edit.CLASSES,
)
