"""The operators, by what they are about."""

from . import clicks, edit, group, train

CLASSES = (*train.CLASSES, *clicks.CLASSES, *group.CLASSES, *edit.CLASSES)
