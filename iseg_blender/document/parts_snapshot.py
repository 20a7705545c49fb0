"""Snapshots of an object's parts as plain values, and the way back from them."""

from typing import Any, NamedTuple

import bpy

from .parts import SavedClick, saved_click, set_clicks
from .properties import ObjectState, Restoring, size_meant


class SavedPart(NamedTuple):
    """Part as plain values."""

    settings: tuple[tuple[str, Any], ...]  # (property, value)
    clicks: tuple[SavedClick, ...]


class Saved(NamedTuple):
    """Snapshot that undo restores: the parts of an object with their clicks."""

    topology: str
    part_index: int
    parts: tuple[SavedPart, ...]


SETTINGS = ("name", "granularity", "size", "automatic", "threshold", "connected", "mirror")


def saved(obj: bpy.types.Object) -> Saved:
    """Take a snapshot of the parts of an object."""
    stored, parts = obj.iseg, []
    for part in stored.parts:
        settings = tuple((name, _value(part, name)) for name in SETTINGS)
        parts.append(SavedPart(settings, tuple(map(saved_click, part.clicks))))
    return Saved(stored.topology, stored.part_index, tuple(parts))


def _value(part: Any, name: str) -> Any:
    """Value of a part's property, as one that can be kept."""
    match name:
        case "size":
            return size_meant(part)
        case "mirror":
            return tuple(part.mirror)
        case _:
            return getattr(part, name)


def restore(obj: bpy.types.Object, wanted: Saved) -> None:
    """Replace the parts of an object with these."""
    restoring = Restoring.current()
    restoring.now = True
    try:
        _restore(obj.iseg, wanted)
    finally:
        restoring.now = False


def _restore(stored: ObjectState, wanted: Saved) -> None:
    while len(stored.parts) > len(wanted.parts):
        stored.parts.remove(len(stored.parts) - 1)
    while len(stored.parts) < len(wanted.parts):
        stored.parts.add()
    for part, want in zip(stored.parts, wanted.parts, strict=True):
        for name, value in want.settings:
            setattr(part, name, value)
        set_clicks(part, want.clicks)
    stored.topology, stored.part_index = wanted.topology, wanted.part_index
