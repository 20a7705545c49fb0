"""Parts of an object: their clicks, names and trained models."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import bpy

from .. import core
from ..mesh.geometry import Geometry
from .choices import CLICKS_LIMIT
from .properties import Click, Part, mend_size


class Clicks(NamedTuple):
    """Usable clicks of a part, in the order in which they were made."""

    made: core.Clicks
    dropped: int  # number of clicks on nothing of the mesh, or contradicting an earlier one


def part_of(obj: bpy.types.Object) -> Part | None:
    """Active part of an object; None where it has none."""
    state = obj.iseg
    if not len(state.parts):
        return None
    return state.parts[clamped(state.part_index, len(state.parts))]


def clamped(index: int, count: int) -> int:
    """Clamp an index, which a file can set to anything, to a list of count entries; 0 where the list is empty."""
    return max(min(index, count - 1), 0)


def title(part: Part) -> str:
    """Name for what is made from a part."""
    return part.name or "Part"


def add_part(obj: bpy.types.Object, name: str = "") -> Part:
    """Add a part and make it the active one; its name is unique among the parts."""
    state = obj.iseg
    taken = {part.name for part in state.parts}
    base, count = name or "Part", 1
    name = base
    while name in taken:
        count += 1
        name = f"{base} {count}"
    part = state.parts.add()
    part.name = name
    state.part_index = len(state.parts) - 1
    return part


def clicks_of(part: Part, geometry: Geometry) -> Clicks:
    """Collect the usable clicks of a part on its mesh; what is clicked twice the same way counts once."""
    made: dict[core.Prompt, bool] = {}
    total = len(part.clicks)
    for click in part.clicks[:CLICKS_LIMIT]:
        prompt = prompt_of(click, geometry)
        if prompt is not None:
            made.setdefault(prompt, click.positive)
    clicks = tuple(core.Click(prompt, include) for prompt, include in made.items())
    return Clicks(clicks, total - len(made))


def prompt_of(click: Click, geometry: Geometry) -> core.Prompt | None:
    """What a click is on: a point of the surface, or a vertex, also where a file holds no point of this mesh; None
    where the mesh has neither.
    """
    if 0 <= click.face < geometry.triangle_count:
        try:
            return core.SurfacePoint(click.face, tuple(click.weights))
        except core.ClickError:
            pass
    return click.vertex if 0 <= click.vertex < len(geometry.vertices) else None


class SavedClick(NamedTuple):
    """Click as plain values."""

    vertex: int
    positive: bool
    face: int = -1
    weights: tuple[float, ...] = (0.0, 0.0, 0.0)


def saved_click(click: Click) -> SavedClick:
    return SavedClick(click.vertex, click.positive, click.face, tuple(click.weights))


def set_clicks(part: Part, made: Sequence[SavedClick]) -> None:
    """Give a part these clicks and no others."""
    part.clicks.clear()
    for values in made:
        put(part.clicks.add(), values)
    part.click_index = max(len(part.clicks) - 1, 0)


def put(click: Click, values: SavedClick) -> None:
    """Give a click these values."""
    click.vertex, click.positive, click.face, click.weights = values


def trained_hash(obj: bpy.types.Object) -> str:
    """Hash of the geometry that an object was trained with; empty where there is none."""
    name = obj.iseg.trained
    return name if re.fullmatch("[0-9a-f]{64}", name) else ""


def trained_model(obj: bpy.types.Object) -> tuple[str, str, int] | None:
    """Teacher, preset and seed of the model that an object was trained with last."""
    found = re.fullmatch(r"(\w+) (\w+) (\d{1,9})", obj.iseg.trained_model)
    return (found[1], found[2], int(found[3])) if found is not None and trained_hash(obj) else None


def mend() -> None:
    """Empty the strings that are not UTF-8: a file can hold such bytes, and Python cannot read them. Points that are no
    numbers, which do not even equal themselves, become vertices. Parts get the size that their granularity stands for
    where the file knew that only.
    """
    for obj in bpy.data.objects:
        stored = obj.iseg
        for part in stored.parts:
            mend_size(part)
        for click in (click for part in stored.parts for click in part.clicks):
            if not all(map(math.isfinite, click.weights)):
                click.face, click.weights = -1, (0.0, 0.0, 0.0)
        for owner, kept in (
            (stored, ("topology", "trained", "trained_topology", "trained_model")),
            *((p, ("name", "group")) for p in stored.parts),
        ):
            for name in kept:
                try:
                    getattr(owner, name)
                except UnicodeDecodeError:
                    owner.property_unset(name)
