"""Operators on single clicks and parts, for scripts and for the lists of the sidebar."""

import bpy
from bpy.props import BoolProperty, FloatVectorProperty, IntProperty, StringProperty

from .. import names
from ..core import SurfacePoint
from ..document import choices, properties
from ..document import parts as document_parts
from ..document.editing_clicks import add_click, checked_index, clear
from ..live import groups
from ..mesh import usable
from .base import MeshOperator

UNDO = {"REGISTER", "UNDO"}


def active_part(context: bpy.types.Context) -> properties.Part:
    """Return the active part of the active object."""
    part = document_parts.part_of(context.object)
    assert part is not None  # else the operator's poll has refused
    return part


class ClickOperator(MeshOperator):
    """Needs a part with clicks."""

    @classmethod
    def refusal(cls, context):
        why = usable.refusal(context.object)
        if why:
            return why
        part = document_parts.part_of(context.object)
        return "" if part is not None and len(part.clicks) else "There are no clicks: add one with the click tool."


class ISEG_OT_click_add(MeshOperator):
    """Add a click on a vertex, or on a point of a triangle, to the active part"""

    bl_idname = names.CLICK_ADD
    bl_label = "Add Click"
    bl_options = UNDO

    vertex: IntProperty(name="Vertex", min=0)
    positive: BoolProperty(name="Include", default=True)
    face: IntProperty(name="Triangle", description="As Blender draws them; -1: the vertex", default=-1, min=-1)
    weights: FloatVectorProperty(
        name="Weights", description="Of the triangle's corners", default=(1 / 3, 1 / 3, 1 / 3), size=3
    )

    def run(self, context):
        prompt = self.vertex if self.face < 0 else SurfacePoint(self.face, tuple(self.weights))
        add_click(context.object, prompt, self.positive)


class ISEG_OT_click_remove(ClickOperator):
    """Remove a click"""

    bl_idname = names.CLICK_REMOVE
    bl_label = "Remove Click"
    bl_options = UNDO

    index: IntProperty(name="Index", description="-1: the last one", default=-1, min=-1)

    def run(self, context):
        part = active_part(context)
        index = checked_index(part, self.index)
        part.clicks.remove(index)
        part.click_index = document_parts.clamped(part.click_index, len(part.clicks))


class ISEG_OT_click_flip(ClickOperator):
    """Turn a click from including to excluding, or back"""

    bl_idname = names.CLICK_FLIP
    bl_label = "Flip Click"
    bl_options = UNDO

    index: IntProperty(name="Index", description="-1: the last one", default=-1, min=-1)

    def run(self, context):
        part = active_part(context)
        index = checked_index(part, self.index)
        part.clicks[index].positive = not part.clicks[index].positive


class ISEG_OT_click_clear(ClickOperator):
    """Remove all clicks of the active part"""

    bl_idname = names.CLICK_CLEAR
    bl_label = "Clear Clicks"
    bl_options = UNDO

    def run(self, context):
        clear(context.object.iseg, [active_part(context)])


class ISEG_OT_click_clear_all(MeshOperator):
    """Remove all clicks of all parts of the object; the parts stay, with their settings"""

    bl_idname = names.CLICK_CLEAR_ALL
    bl_label = "Clear Clicks of All Parts"
    bl_options = UNDO

    @classmethod
    def refusal(cls, context):
        why = usable.refusal(context.object)
        if not why and not any(len(part.clicks) for part in context.object.iseg.parts):
            why = "No part has clicks: add one with the click tool."
        return why

    def run(self, context):
        clear(context.object.iseg, list(context.object.iseg.parts))


class ISEG_OT_part_add(MeshOperator):
    """Add a part to the active object"""

    bl_idname = names.PART_ADD
    bl_label = "Add Part"
    bl_options = UNDO

    name: StringProperty(name="Name", default="Part", maxlen=63)

    @classmethod
    def refusal(cls, context):
        why = usable.refusal(context.object)
        if not why and len(context.object.iseg.parts) >= choices.PARTS_LIMIT:
            why = f"An object can have {choices.PARTS_LIMIT} parts: remove some."
        return why

    def run(self, context):
        document_parts.add_part(context.object, self.name)


class ISEG_OT_part_remove(MeshOperator):
    """Remove the active part and its clicks; its vertex group stays"""

    bl_idname = names.PART_REMOVE
    bl_label = "Remove Part"
    bl_options = UNDO

    @classmethod
    def refusal(cls, context):
        why = usable.refusal(context.object)
        return why or (
            "" if document_parts.part_of(context.object) is not None else "There are no parts: add one, or click."
        )

    def run(self, context):
        stored = context.object.iseg
        index = document_parts.clamped(stored.part_index, len(stored.parts))
        groups.leave(context.object, document_parts.title(stored.parts[index]))
        stored.parts.remove(index)
        stored.part_index = document_parts.clamped(index, len(stored.parts))
        if not any(len(part.clicks) for part in stored.parts):
            stored.topology = ""


CLASSES = (
    ISEG_OT_click_add,
    ISEG_OT_click_remove,
    ISEG_OT_click_flip,
    ISEG_OT_click_clear,
    ISEG_OT_click_clear_all,
    ISEG_OT_part_add,
    ISEG_OT_part_remove,
)
