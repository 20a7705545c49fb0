"""The operators, by what they are about."""

from . import click, clicks, edit, group, seed, train

CLASSES = (*train.CLASSES, *click.CLASSES, *clicks.CLASSES, *seed.CLASSES, *group.CLASSES, *edit.CLASSES)
