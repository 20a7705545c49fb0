"""Tab of iSeg in the sidebar: panels and lists."""

from typing import Any

import bpy

from .. import names
from ..core import weights_files
from ..document import parts
from ..document import properties as document_properties
from ..engine import choice, queries, selftest, status, training
from ..engine.running import Running, problem_of
from ..engine.status import Kind
from ..live import answers
from ..operators.edit import ACTIONS
from .widgets import draw_progress, wrapped

ICONS = {
    Kind.REFUSED: "INFO",
    Kind.INSTANT: "OUTLINER_OB_LIGHT",
    Kind.TRAINING: "SORTTIME",
    Kind.READY: "CHECKMARK",
    Kind.MOVED: "ERROR",
    Kind.CHANGED: "ERROR",
}


class Sidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = names.CATEGORY


class ISEG_PT_main(Sidebar, bpy.types.Panel):
    bl_idname = names.PANEL
    bl_label = "iSeg"

    def draw(self, context):
        layout, obj, settings = self.layout, context.object, context.scene.iseg
        stands = status.of(obj)
        wrapped(layout, context, stands.sentence, ICONS[stands.kind])
        shared = status.sharing(obj)
        if shared:
            wrapped(layout, context, shared, "INFO")
        answers.notice(obj)

        task = training.training_of(obj)
        column = layout.column(align=True)
        column.use_property_split = True
        column.use_property_decorate = False
        column.enabled = task is None
        column.prop(settings, "teacher")
        column.prop(settings, "preset")
        column.prop(settings, "device")
        if obj is not None and obj.type == "MESH":
            column.prop(obj.iseg, "marks")

        if settings.teacher in weights_files():  # a file may hold a value that the menu does not have
            draw_weights(layout, context, settings.teacher)
        if task is not None:
            draw_progress(layout, task, names.CANCEL)
        else:
            row = layout.row()
            row.scale_y = 1.4
            row.operator(names.TRAIN, icon="PLAY")
        for name, other in Running.current().trainings.items():
            if other is not task:  # of another object, or of this one before a change
                draw_progress(layout, other, names.CANCEL, other.title, name=name)
        problem = problem_of(obj) or choice.problem()
        if problem:
            box = layout.box()
            box.alert = True
            wrapped(box, context, problem, "ERROR")
            if choice.problem():
                layout.operator("preferences.addon_show", text="Preferences", icon="PREFERENCES").module = names.PACKAGE


def draw_weights(layout: Any, context: bpy.types.Context, name: str) -> None:
    """Draw the weights of a teacher: size, licence and the button that downloads them."""
    if name in Running.current().fetches:
        draw_progress(layout, Running.current().fetches[name], names.CANCEL_FETCH)
        return
    if selftest.has_weights(Running.current().checkup, name):
        return layout.label(text="Its weights are on this machine", icon="CHECKMARK")
    row, weights = layout.row(), weights_files()[name]
    row.operator(names.FETCH_WEIGHTS, text=f"Fetch Weights ({weights.size}, {weights.licence})", icon="IMPORT")
    if name in Running.current().problems:
        wrapped(layout, context, Running.current().problems[name], "ERROR")


class ISEG_PT_parts(Sidebar, bpy.types.Panel):
    bl_idname = names.PANEL_PARTS
    bl_parent_id = names.PANEL
    bl_label = "Parts"

    def draw(self, context):
        layout, obj = self.layout, context.object
        part = None
        if obj is not None and obj.type == "MESH":
            part = parts.part_of(obj)
            draw_parts(layout, obj.iseg)
        row = layout.row()
        row.scale_y = 1.4
        row.operator(names.CLICK, icon="RESTRICT_SELECT_OFF")
        row.prop(context.scene.iseg, "show", text="", icon="HIDE_OFF" if context.scene.iseg.show else "HIDE_ON")
        row = layout.row(align=True)
        row.operator(names.CLICKS_FROM_SELECTION, text="From Selection", icon="FACESEL")
        row.operator(names.CLICKS_FROM_GROUP, text="From Group", icon="GROUP_VERTEX")
        if part is not None:
            draw_clicks(layout, context, part)
            draw_region(layout, context, part)


def draw_parts(layout: Any, stored: document_properties.ObjectState) -> None:
    """Draw the list of an object's parts."""
    row = layout.row()
    row.template_list(names.PARTS_LIST, "", stored, "parts", stored, "part_index", rows=2)
    column = row.column(align=True)
    column.operator(names.PART_ADD, text="", icon="ADD")
    column.operator(names.PART_REMOVE, text="", icon="REMOVE")


def draw_clicks(layout: Any, context: bpy.types.Context, part: document_properties.Part) -> None:
    """Draw the list of a part's clicks, and the reason why they cannot be used, if any."""
    row = layout.row()
    row.template_list(names.CLICKS_LIST, "", part, "clicks", part, "click_index", rows=3)
    column = row.column(align=True)
    index = parts.clamped(part.click_index, len(part.clicks))
    column.operator(names.CLICK_FLIP, text="", icon="ARROW_LEFTRIGHT").index = index
    column.operator(names.CLICK_REMOVE, text="", icon="REMOVE").index = index
    column.operator(names.CLICK_CLEAR, text="", icon="X")
    why = status.clicks_problem(context.object, part)
    if why and len(part.clicks):
        wrapped(layout, context, why, "ERROR")
        if why == status.OTHER_FACES and len(context.object.iseg.parts) > 1:
            layout.operator(names.CLICK_CLEAR_ALL, icon="X")


def draw_region(layout: Any, context: bpy.types.Context, part: document_properties.Part) -> None:
    """Draw the settings that turn an answer into a region, and the vertex group."""
    column = layout.column(align=True)
    column.row(align=True).prop(part, "granularity", expand=True)
    column.prop(part, "size", slider=True)
    row = layout.row()
    row.prop(part, "automatic", text="Automatic")
    value = row.row()
    value.enabled = not part.automatic
    answer = queries.answer_of(context.object, part)
    if part.automatic and answer is not None:
        value.label(text=f"Threshold {answer.threshold:.2f}")
    elif not part.automatic:
        value.prop(part, "threshold", text="", slider=True)
    layout.prop(part, "connected")
    row = layout.row(heading="Mirror Clicks", align=True)
    row.prop(part, "mirror", text="", toggle=True)
    row = layout.row(align=True)
    row.operator(names.TO_VERTEX_GROUP, icon="GROUP_VERTEX")
    row.prop(context.scene.iseg, "live", text="", icon="FILE_REFRESH")


class ISEG_PT_advanced(Sidebar, bpy.types.Panel):
    bl_idname = names.PANEL_ADVANCED
    bl_parent_id = names.PANEL
    bl_label = "Advanced"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return context.object is not None and context.object.type == "MESH"

    def draw(self, context):
        trained = status.of(context.object).kind in (Kind.READY, Kind.MOVED)
        row = self.layout.row()
        row.enabled = trained
        row.prop(context.object.iseg, "plain")
        if not trained:
            wrapped(self.layout, context, "The plain decoder answers once the mesh is trained.", "INFO")


class ISEG_PT_edit(Sidebar, bpy.types.Panel):
    bl_idname = names.PANEL_EDIT
    bl_parent_id = names.PANEL
    bl_label = "Edit"

    def draw(self, context):
        grid = self.layout.grid_flow(columns=2, even_columns=True, align=True)
        for action, label, _, icon in ACTIONS:
            grid.operator(names.EDIT, text=label, icon=icon).action = action


class ISEG_UL_parts(bpy.types.UIList):
    bl_idname = names.PARTS_LIST

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flags=0):
        layout.prop(item, "name", text="", emboss=False, icon="MESH_DATA")
        layout.label(text=str(len(item.clicks)))


class ISEG_UL_clicks(bpy.types.UIList):
    bl_idname = names.CLICKS_LIST

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flags=0):
        kind, colour = ("Include", "COLORSET_03_VEC") if item.positive else ("Exclude", "COLORSET_01_VEC")
        layout.label(text=kind, icon=colour)
        layout.label(text=f"Vertex {item.vertex}" if item.face < 0 else f"Near vertex {item.vertex}")


CLASSES = (ISEG_PT_main, ISEG_PT_parts, ISEG_PT_edit, ISEG_PT_advanced, ISEG_UL_parts, ISEG_UL_clicks)
