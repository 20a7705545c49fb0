"""Clicks and parts, one at a time: from scripts, and from the lists of the sidebar."""

import bpy
from bpy.props import BoolProperty, IntProperty, StringProperty

from .. import live, mesh_io, meshes, names, state
from ..look import Look
from .common import MeshOperator, Refusal

UNDO = {"REGISTER", "UNDO"}


def add_click(thing: bpy.types.Object, vertex: int, positive: bool, fresh: bool = True) -> None:
    """Add a click to the active part, making one where there is none. Raises Refusal."""
    look = meshes.look_at(thing, fresh)
    stored = thing.iseg
    if not 0 <= vertex < len(look.vertices):
        raise Refusal(
            f"There is no vertex {vertex}: {mesh_io.name_of(thing)} has the vertices 0 to {len(look.vertices) - 1}."
        )
    check_topology(thing, look)
    stored.topology = look.topology
    part = state.part_of(thing)
    if part is None:
        part = state.add_part(thing)
    if len(part.clicks) >= state.CLICKS_LIMIT:
        raise Refusal(f"A part can have {state.CLICKS_LIMIT} clicks: remove some.")
    for index, click in enumerate(part.clicks):
        if click.vertex == vertex:  # the newest click on a vertex is the one that counts
            part.clicks.remove(index)
            break
    click = part.clicks.add()
    click.vertex, click.positive = vertex, positive
    part.click_index = len(part.clicks) - 1


def check_topology(thing: bpy.types.Object, look: Look) -> None:
    """Raises Refusal where there are clicks on other vertices than the mesh has now."""
    if thing.iseg.topology != look.topology and any(len(part.clicks) for part in thing.iseg.parts):
        raise Refusal(
            "The mesh's faces have changed since the clicks were made: clear the clicks of all parts, or undo the "
            "change."
        )


def active_part(context: bpy.types.Context) -> state.Part:
    part = state.part_of(context.object)
    assert part is not None  # else the operator's poll has refused
    return part


class ClickOperator(MeshOperator):
    """Needs a part with clicks."""

    @classmethod
    def refusal(cls, context):
        why = mesh_io.refusal(context.object)
        if why:
            return why
        part = state.part_of(context.object)
        return "" if part is not None and len(part.clicks) else "There are no clicks: add one with the click tool."


class ISEG_OT_click_add(MeshOperator):
    """Add a click on a vertex to the active part"""

    bl_idname = names.CLICK_ADD
    bl_label = "Add Click"
    bl_options = UNDO

    vertex: IntProperty(name="Vertex", min=0)
    positive: BoolProperty(name="Include", default=True)

    def run(self, context):
        add_click(context.object, self.vertex, self.positive)


def click_place(part, index: int) -> int:
    """The click that an operator's index means; -1 is the last one. Raises Refusal where there is none."""
    index = index if index >= 0 else len(part.clicks) - 1
    if index >= len(part.clicks):
        raise Refusal(f"There is no click {index}: {part.name} has the clicks 0 to {len(part.clicks) - 1}.")
    return index


class ISEG_OT_click_remove(ClickOperator):
    """Remove a click"""

    bl_idname = names.CLICK_REMOVE
    bl_label = "Remove Click"
    bl_options = UNDO

    index: IntProperty(name="Index", description="-1: the last one", default=-1, min=-1)

    def run(self, context):
        part = active_part(context)
        index = click_place(part, self.index)
        part.clicks.remove(index)
        part.click_index = state.chosen(part.click_index, len(part.clicks))


class ISEG_OT_click_flip(ClickOperator):
    """Turn a click from including to excluding, or back"""

    bl_idname = names.CLICK_FLIP
    bl_label = "Flip Click"
    bl_options = UNDO

    index: IntProperty(name="Index", description="-1: the last one", default=-1, min=-1)

    def run(self, context):
        part = active_part(context)
        index = click_place(part, self.index)
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
        why = mesh_io.refusal(context.object)
        if not why and not any(len(part.clicks) for part in context.object.iseg.parts):
            why = "No part has clicks: add one with the click tool."
        return why

    def run(self, context):
        clear(context.object.iseg, list(context.object.iseg.parts))


def clear(stored: state.ObjectState, parts: list[state.Part]) -> None:
    """Remove the clicks of these parts of an object."""
    for part in parts:
        part.clicks.clear()
        part.click_index = 0
    if not any(len(part.clicks) for part in stored.parts):
        stored.topology = ""


class ISEG_OT_part_add(MeshOperator):
    """Add a part to the active object"""

    bl_idname = names.PART_ADD
    bl_label = "Add Part"
    bl_options = UNDO

    name: StringProperty(name="Name", default="Part", maxlen=63)

    @classmethod
    def refusal(cls, context):
        why = mesh_io.refusal(context.object)
        if not why and len(context.object.iseg.parts) >= state.PARTS_LIMIT:
            why = f"An object can have {state.PARTS_LIMIT} parts: remove some."
        return why

    def run(self, context):
        state.add_part(context.object, self.name)


class ISEG_OT_part_remove(MeshOperator):
    """Remove the active part and its clicks; its vertex group stays"""

    bl_idname = names.PART_REMOVE
    bl_label = "Remove Part"
    bl_options = UNDO

    @classmethod
    def refusal(cls, context):
        why = mesh_io.refusal(context.object)
        return why or ("" if state.part_of(context.object) is not None else "There are no parts: add one, or click.")

    def run(self, context):
        stored = context.object.iseg
        index = state.chosen(stored.part_index, len(stored.parts))
        live.leave(context.object, state.title(stored.parts[index]))
        stored.parts.remove(index)
        stored.part_index = state.chosen(index, len(stored.parts))
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
