"""Editing of clicks: adding and removing them, and checking that they may be made."""

import bpy

from ..mesh import cache, usable
from ..mesh.snapshot import MeshSnapshot
from ..tasks import Refusal
from . import choices, properties
from . import parts as document_parts


def add_click(obj: bpy.types.Object, vertex: int, include: bool, fresh: bool = True) -> None:
    """Add a click to the active part; a part is made where there is none. Raises Refusal."""
    snapshot = cache.snapshot_of(obj, fresh)
    stored = obj.iseg
    if not 0 <= vertex < len(snapshot.vertices):
        raise Refusal(
            f"There is no vertex {vertex}: {usable.name_of(obj)} has the vertices 0 to {len(snapshot.vertices) - 1}."
        )
    check_topology(obj, snapshot)
    stored.topology = snapshot.topology
    part = document_parts.part_of(obj)
    if part is None:
        part = document_parts.add_part(obj)
    if len(part.clicks) >= choices.CLICKS_LIMIT:
        raise Refusal(f"A part can have {choices.CLICKS_LIMIT} clicks: remove some.")
    for index, click in enumerate(part.clicks):
        if click.vertex == vertex:  # the newest click on a vertex is the one that counts
            part.clicks.remove(index)
            break
    click = part.clicks.add()
    click.vertex, click.positive = vertex, include
    part.click_index = len(part.clicks) - 1


def check_topology(obj: bpy.types.Object, snapshot: MeshSnapshot) -> None:
    """Raise Refusal where there are clicks on another topology than the mesh has now."""
    if obj.iseg.topology != snapshot.topology and any(len(part.clicks) for part in obj.iseg.parts):
        raise Refusal(
            "The mesh's faces have changed since the clicks were made: clear the clicks of all parts, or undo the "
            "change."
        )


def checked_index(part, index: int) -> int:
    """Index of the click that an operator was given; -1 is the last one. Raises Refusal where there is none."""
    index = index if index >= 0 else len(part.clicks) - 1
    if index >= len(part.clicks):
        raise Refusal(f"There is no click {index}: {part.name} has the clicks 0 to {len(part.clicks) - 1}.")
    return index


def clear(stored: properties.ObjectState, parts: list[properties.Part]) -> None:
    """Remove the clicks of these parts of an object."""
    for part in parts:
        part.clicks.clear()
        part.click_index = 0
    if not any(len(part.clicks) for part in stored.parts):
        stored.topology = ""
