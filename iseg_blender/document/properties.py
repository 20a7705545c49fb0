"""Properties saved in the .blend: the parts of an object with their clicks, and the settings of a scene.

A .blend can come from anywhere and hold anything: what is read here is bounded and checked where it is used
(`clicks_of`, `trained_hash`, `clamped`), or mended when it arrives (`mend`).
"""

import re
from collections.abc import Sequence
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    BoolVectorProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .. import names, signals
from ..core import DEFAULT_PRESET, DEFAULT_TEACHER, granularity_of, size_of
from ..mesh.cache import MeshCache
from ..session import Kept
from .choices import DEVICES, GRANULARITIES, NAME_LIMIT, presets, teachers


class Restoring(Kept):
    """Flag that is set while several parts get their names, which are unique only at the end."""

    def __init__(self) -> None:
        self.now = False


def refresh(self: Any, context: bpy.types.Context) -> None:
    """Announce a change of a setting that the region depends on."""
    signals.changed()


def renamed(self: Any, context: bpy.types.Context) -> None:
    """Make the new name of a part unique among the parts, for its vertex group gets the same name."""
    if not Restoring.current().now:
        others = [part.name for part in self.id_data.iseg.parts if part != self]
        name = unique(self.name or "Part", others)
        if name != self.name:
            self.name = name  # calls this function again
            return
    changed(self, context)


def changed(self: Any, context: bpy.types.Context) -> None:
    """Announce the change as `refresh` does, and also to undo in edit mode."""
    signals.edited(self.id_data)
    refresh(self, context)


class Naming(Kept):
    """Flag that is set while a size names its granularity, or a granularity its size."""

    def __init__(self) -> None:
        self.now = False


def named_size(self: Any, context: bpy.types.Context) -> None:
    """Take the size that a granularity stands for."""
    _together(self, context, "size", size_of(self.granularity))


def sized(self: Any, context: bpy.types.Context) -> None:
    """Show the granularity that is closest to a size."""
    _together(self, context, "granularity", granularity_of(self.size).value)


def _together(part: Any, context: bpy.types.Context, other: str, value: Any) -> None:
    naming = Naming.current()
    if naming.now:
        return
    if not Restoring.current().now and getattr(part, other) != value:
        naming.now = True
        try:
            setattr(part, other, value)
        finally:
            naming.now = False
    changed(part, context)


def size_meant(part: Any) -> float:
    """Size of a part, also of a file that knew granularities only."""
    if part.is_property_set("size"):
        return part.size if 0 <= part.size <= 1 else size_of("part")  # a file may hold anything
    return size_of(part.granularity or "part")


def mend_size(part: Any) -> None:
    """Let a part show the size that is meant, as a number and by name; a file may hold neither. Announces nothing."""
    meant, naming = size_meant(part), Naming.current()
    if part.size == meant:
        return
    naming.now = True
    try:
        part.size, part.granularity = meant, granularity_of(meant).value
    finally:
        naming.now = False


class Click(bpy.types.PropertyGroup):
    vertex: IntProperty(name="Vertex", description="The clicked one, or the nearest to the clicked point", min=0)
    face: IntProperty(name="Triangle", description="With the clicked point; -1: a vertex", default=-1, min=-1)
    weights: FloatVectorProperty(name="Weights", description="Of the triangle's corners at the clicked point", size=3)
    positive: BoolProperty(
        name="Include", description="Include this place, or exclude it", default=True, update=refresh
    )


class Part(bpy.types.PropertyGroup):
    name: StringProperty(
        name="Name", description="Also the name of its vertex group", default="Part", maxlen=63, update=renamed
    )
    group: StringProperty(options={"HIDDEN"})  # the vertex group last written from this part
    clicks: CollectionProperty(type=Click)
    click_index: IntProperty(name="Active click", min=0, update=refresh)
    granularity: EnumProperty(
        name="Granularity",
        description="How large a part the first click means: fixed points of the size",
        items=GRANULARITIES,
        default="part",
        update=named_size,
    )
    size: FloatProperty(
        name="Size",
        description="How large a part the first click means, from the smallest to the largest that there is. "
        "While clicking: Ctrl-wheel",
        min=0.0,
        max=1.0,
        default=0.5,
        update=sized,
    )
    automatic: BoolProperty(
        name="Automatic",
        description="Find the threshold that separates the part best (Otsu's)",
        default=True,
        update=changed,
    )
    threshold: FloatProperty(
        name="Threshold",
        description="Faces of at least this probability are the part",
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


def heard(self: Any, context: bpy.types.Context) -> None:
    """Have the mesh read again, with or without its marks."""
    mesh = self.id_data.data
    if mesh is not None:
        MeshCache.current().stale.add(mesh.session_uid)
    refresh(self, context)


class ObjectState(bpy.types.PropertyGroup):
    plain: BoolProperty(
        name="Plain Decoder",
        description="Show the trained decoder's own answer, as in the paper: geometry does not correct it, and clicks "
        "need not hold",
        default=False,
        update=changed,
    )
    marks: BoolProperty(
        name="Use Marks",
        description="Parts are likely to end where materials or colours change, or seams and sharp edges enclose faces",
        default=True,
        update=heard,
    )
    parts: CollectionProperty(type=Part)
    part_index: IntProperty(name="Active part", min=0, update=changed)
    topology: StringProperty(options={"HIDDEN"})  # hash of the topology that the clicks were made on
    trained: StringProperty(options={"HIDDEN"})  # hash of the geometry that was trained last
    trained_topology: StringProperty(options={"HIDDEN"})
    trained_model: StringProperty(options={"HIDDEN"})  # teacher, preset and seed of that training


class SceneSettings(bpy.types.PropertyGroup):
    teacher: EnumProperty(
        name="Teacher", description="Who knows what parts are", items=teachers(), default=DEFAULT_TEACHER
    )
    preset: EnumProperty(
        name="Quality", description="How thorough the training is", items=presets(), default=DEFAULT_PRESET
    )
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


def unique(name: str, others: Sequence[str]) -> str:
    """Make a name unique among others, as Blender does: Ear.001 after Ear."""
    base, found, number = re.sub(r"\.\d+$", "", name), name, 0
    while found in others:
        number += 1
        end = f".{number:03}"
        found = base.encode()[: NAME_LIMIT - len(end)].decode(errors="ignore") + end
    return found


def add_properties() -> None:
    setattr(bpy.types.Object, names.PROPERTY, PointerProperty(type=ObjectState))
    setattr(bpy.types.Scene, names.PROPERTY, PointerProperty(type=SceneSettings))


def remove_properties() -> None:
    delattr(bpy.types.Object, names.PROPERTY)
    delattr(bpy.types.Scene, names.PROPERTY)
