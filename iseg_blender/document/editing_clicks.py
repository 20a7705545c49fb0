"""Editing of clicks: adding and removing them, and checking that they may be made."""

import bpy

from ..core import Prompt, SurfacePoint
from ..mesh import cache, usable
from ..mesh.snapshot import MeshSnapshot
from ..tasks import Refusal
from . import choices, properties
from . import parts as document_parts


def add_click(obj: bpy.types.Object, prompt: Prompt, include: bool, fresh: bool = True) -> None:
    """Add a click on a vertex or a point to the active part; a part is made where there is none. Raises Refusal."""
    snapshot = cache.snapshot_of(obj, fresh)
    stored = obj.iseg
    made = _saved(prompt, include, obj, snapshot)
    check_topology(obj, snapshot)
    stored.topology = snapshot.topology
    part = document_parts.part_of(obj)
    if part is None:
        part = document_parts.add_part(obj)
    if len(part.clicks) >= choices.CLICKS_LIMIT:
        raise Refusal(f"A part can have {choices.CLICKS_LIMIT} clicks: remove some.")
    for index, click in enumerate(part.clicks):
        if document_parts.prompt_of(click, snapshot.geometry) == prompt:  # of two, the newest counts
            part.clicks.remove(index)
            break
    document_parts.put(part.clicks.add(), made)
    part.click_index = len(part.clicks) - 1


def _saved(prompt: Prompt, include: bool, obj: bpy.types.Object, snapshot: MeshSnapshot) -> document_parts.SavedClick:
    """Return the values of a click on the mesh of an object. Raises Refusal where that has no such vertex or face."""
    if isinstance(prompt, SurfacePoint):
        if not 0 <= prompt.face < len(snapshot.faces):
            raise Refusal(
                f"There is no triangle {prompt.face}: {usable.name_of(obj)} has 0 to {len(snapshot.faces) - 1}."
            )
        weights = prompt.barycentric
        vertex = int(snapshot.faces[prompt.face, weights.index(max(weights))])
        return document_parts.SavedClick(vertex, include, prompt.face, weights)
    if not 0 <= prompt < len(snapshot.vertices):
        raise Refusal(
            f"There is no vertex {prompt}: {usable.name_of(obj)} has the vertices 0 to {len(snapshot.vertices) - 1}."
        )
    return document_parts.SavedClick(prompt, include)


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
