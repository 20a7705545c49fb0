"""The operators, by what they are about."""

from . import click, clicks, edit, engine, environment, group, seed, train

CLASSES = (
    *train.CLASSES,
    *engine.CLASSES,
    *environment.CLASSES,
    *click.CLASSES,
    *clicks.CLASSES,
    *seed.CLASSES,
    *group.CLASSES,
    *edit.CLASSES,
)
