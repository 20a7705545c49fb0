"""What is kept in the .blend: the parts of an object with their clicks, and the settings of a scene.

A .blend can come from anywhere and hold anything: what is read here is bounded and checked where it is used
(`clicks_of`, `trained_name`, `chosen`), or mended when it arrives (`mend`).
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import bpy
from bpy.props import (
    BoolProperty,
    BoolVectorProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import names

CLICKS_LIMIT, PARTS_LIMIT = 1024, 256
NAME_LIMIT = 63  # bytes of a vertex group's name

_restoring = False  # while several parts get their names, which are unique at the end

GRANULARITIES = (
    ("fine", "Fine", "The smallest part that the first click can mean"),
    ("part", "Part", "The part that people mostly mean"),
    ("whole", "Whole", "The largest part that the first click can mean"),
)
TEACHERS = (
    ("geometric", "Geometric", "Learns from the shape alone; nothing to download, no GPU needed"),
    ("sam_vit_b", "SAM ViT-B", "Learns from Segment Anything, 375 MB of weights; needs a GPU to be quick"),
    ("sam_vit_l", "SAM ViT-L", "Learns from Segment Anything, 1.2 GB of weights; needs a GPU"),
    ("sam_vit_h", "SAM ViT-H", "Learns from Segment Anything, 2.6 GB of weights; needs a GPU"),
)
LICENCE = "Apache-2.0"  # of the weights
WEIGHTS = {"sam_vit_b": "375 MB", "sam_vit_l": "1.2 GB", "sam_vit_h": "2.6 GB"}  # what a teacher has to fetch
PRESETS = (
    ("draft", "Draft", "Trains fastest, for a first look"),
    ("standard", "Standard", "The right one for most meshes"),
    ("paper", "Paper", "The settings of the published method; takes many times longer"),
)
DEVICES = (
    ("auto", "Automatic", "The GPU where there is one that works, else the processor"),
    ("cuda", "NVIDIA GPU", "CUDA"),
    ("cpu", "Processor", "Always works"),
)


def refresh(self: Any, context: bpy.types.Context) -> None:
    """A setting has changed that the region depends on."""
    from . import live

    live.changed()


def renamed(self: Any, context: bpy.types.Context) -> None:
    """A part has another name: one that no other part has, for it is that of its vertex group."""
    if not _restoring:
        others = [part.name for part in self.id_data.iseg.parts if part != self]
        name = unique(self.name or "Part", others)
        if name != self.name:
            self.name = name  # comes here again
            return
    changed(self, context)


def changed(self: Any, context: bpy.types.Context) -> None:
    """As `refresh`, and undo in edit mode is to know it."""
    from . import history

    history.note(self.id_data)
    refresh(self, context)


class Click(bpy.types.PropertyGroup):
    vertex: IntProperty(name="Vertex", min=0)
    positive: BoolProperty(
        name="Include", description="Include this place, or exclude it", default=True, update=refresh
    )


class Part(bpy.types.PropertyGroup):
    name: StringProperty(
        name="Name", description="Also the name of its vertex group", default="Part", maxlen=63, update=renamed
    )
    group: StringProperty(options={"HIDDEN"})  # the vertex group that was written from it last
    clicks: CollectionProperty(type=Click)
    click_index: IntProperty(name="Active click", min=0, update=refresh)
    granularity: EnumProperty(
        name="Granularity",
        description="How large a part the first click means",
        items=GRANULARITIES,
        default="part",
        update=changed,
    )
    automatic: BoolProperty(
        name="Automatic",
        description="Find the threshold that separates the part best (Otsu's)",
        default=True,
        update=changed,
    )
    threshold: FloatProperty(
        name="Threshold",
        description="Vertices of at least this probability are the part",
        min=0.01,
        max=0.99,
        default=0.5,
        update=changed,
    )
    connected: BoolProperty(
        name="Connected to Clicks",
        description="Leave out what is not connected to an including click",
        default=False,
        update=changed,
    )
    mirror: BoolVectorProperty(
        name="Mirror",
        description="Each click counts also at the place mirrored in these axes of the object",
        size=3,
        subtype="XYZ",
        update=changed,
    )


class ObjectState(bpy.types.PropertyGroup):
    parts: CollectionProperty(type=Part)
    part_index: IntProperty(name="Active part", min=0, update=changed)
    topology: StringProperty(options={"HIDDEN"})  # of the mesh whose vertices the clicks name
    trained: StringProperty(options={"HIDDEN"})  # the engine's name of the geometry that was trained last
    trained_topology: StringProperty(options={"HIDDEN"})
    trained_model: StringProperty(options={"HIDDEN"})  # teacher, preset and seed of that training


class SceneSettings(bpy.types.PropertyGroup):
    teacher: EnumProperty(name="Teacher", description="Who knows what parts are", items=TEACHERS, default="geometric")
    preset: EnumProperty(name="Quality", description="How thorough the training is", items=PRESETS, default="standard")
    device: EnumProperty(name="Device", description="What computes", items=DEVICES, default="auto")
    show: BoolProperty(
        name="Show Part", description="Draw the part and its clicks over the mesh", default=True, update=refresh
    )
    live: BoolProperty(
        name="Live Vertex Group",
        description="Write the vertex group of the part again after each click",
        default=False,
        update=refresh,
    )


CLASSES = (Click, Part, ObjectState, SceneSettings)


class Clicks(NamedTuple):
    """The clicks of a part that can be used, in the order in which they were made."""

    made: tuple[tuple[int, bool], ...]
    dropped: int  # those that name no vertex, or contradict an earlier one


def part_of(thing: bpy.types.Object) -> Part | None:
    """The active part of an object."""
    state = thing.iseg
    if not len(state.parts):
        return None
    return state.parts[chosen(state.part_index, len(state.parts))]


def chosen(index: int, count: int) -> int:
    """Which one of a list an index means, whatever a file holds; 0 where the list is empty."""
    return max(min(index, count - 1), 0)


def unique(name: str, others: Sequence[str]) -> str:
    """This name, or the next one that no other has, as Blender makes it: Ear.001 after Ear."""
    base, found, number = re.sub(r"\.\d+$", "", name), name, 0
    while found in others:
        number += 1
        end = f".{number:03}"
        found = base.encode()[: NAME_LIMIT - len(end)].decode(errors="ignore") + end
    return found


def title(part: Part) -> str:
    """What is made from a part is called so."""
    return part.name or "Part"


def add_part(thing: bpy.types.Object, name: str = "") -> Part:
    """A new part, made the active one; its name is one that no other part has."""
    state = thing.iseg
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


def clicks_of(part: Part, vertex_count: int) -> Clicks:
    """The clicks of a part, less those that cannot be used; a vertex clicked twice the same way counts once."""
    made: dict[int, bool] = {}
    total = len(part.clicks)
    for click in part.clicks[:CLICKS_LIMIT]:
        if 0 <= click.vertex < vertex_count:
            made.setdefault(click.vertex, click.positive)
    return Clicks(tuple(made.items()), total - len(made))


def set_clicks(part: Part, made: Sequence[tuple[int, bool]]) -> None:
    """Give a part these clicks and no others."""
    part.clicks.clear()
    for vertex, positive in made:
        click = part.clicks.add()
        click.vertex, click.positive = vertex, positive
    part.click_index = max(len(part.clicks) - 1, 0)


class SavedPart(NamedTuple):
    """A part, as plain values."""

    settings: tuple[tuple[str, Any], ...]  # (property, value)
    clicks: tuple[tuple[int, bool], ...]


class Saved(NamedTuple):
    """What undo brings back: the parts of an object with their clicks."""

    topology: str
    part_index: int
    parts: tuple[SavedPart, ...]


SETTINGS = ("name", "granularity", "automatic", "threshold", "connected", "mirror")


def saved(thing: bpy.types.Object) -> Saved:
    """The parts of an object as they are now."""
    stored, parts = thing.iseg, []
    for part in stored.parts:
        values = ((name, getattr(part, name)) for name in SETTINGS)
        settings = tuple((name, tuple(value) if name == "mirror" else value) for name, value in values)
        parts.append(SavedPart(settings, tuple((click.vertex, click.positive) for click in part.clicks)))
    return Saved(stored.topology, stored.part_index, tuple(parts))


def restore(thing: bpy.types.Object, wanted: Saved) -> None:
    """Give an object these parts and no others."""
    global _restoring
    _restoring = True
    try:
        _restore(thing.iseg, wanted)
    finally:
        _restoring = False


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


def trained_name(thing: bpy.types.Object) -> str:
    """The engine's name of the geometry that an object was trained with; empty where there is none."""
    name = thing.iseg.trained
    return name if re.fullmatch("[0-9a-f]{64}", name) else ""


def trained_model(thing: bpy.types.Object) -> tuple[str, str, int] | None:
    """Teacher, preset and seed of the model that an object was trained with last."""
    found = re.fullmatch(r"(\w+) (\w+) (\d{1,9})", thing.iseg.trained_model)
    return (found[1], found[2], int(found[3])) if found is not None and trained_name(thing) else None


def mend() -> None:
    """Empty the strings that are none: Python cannot read bytes that are not UTF-8, and a file can hold such."""
    for thing in bpy.data.objects:
        stored = thing.iseg
        for owner, kept in (
            (stored, ("topology", "trained", "trained_topology", "trained_model")),
            *((p, ("name", "group")) for p in stored.parts),
        ):
            for name in kept:
                try:
                    getattr(owner, name)
                except UnicodeDecodeError:
                    owner.property_unset(name)


def add_properties() -> None:
    setattr(bpy.types.Object, names.PROPERTY, PointerProperty(type=ObjectState))
    setattr(bpy.types.Scene, names.PROPERTY, PointerProperty(type=SceneSettings))


def remove_properties() -> None:
    delattr(bpy.types.Object, names.PROPERTY)
    delattr(bpy.types.Scene, names.PROPERTY)
