"""The operators, by what they are about."""

from . import click, clicks, edit, group, train

CLASSES = (*train.CLASSES, *click.CLASSES, *clicks.CLASSES, *group.CLASSES, *edit.CLASSES)
