"""The operators, by what they are about."""

from . import click, clicks, edit, engine, environment, group, seed, tool, train

CLASSES = (
    *train.CLASSES,
    *engine.CLASSES,
    *environment.CLASSES,
    *click.CLASSES,
    *tool.CLASSES,
    *clicks.CLASSES,
    *seed.CLASSES,
    *group.CLASSES,
    *edit.CLASSES,
)
