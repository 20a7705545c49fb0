"""The tool in the 3D viewport's toolbar: every click is a click of iSeg, and an undo step of its own."""

import bpy

from . import names


class Tool:
    bl_space_type = "VIEW_3D"
    bl_idname = names.TOOL
    bl_label = "iSeg Click"
    bl_description = "Click on the mesh to include a place in the part. Ctrl-click: exclude it"
    bl_icon = "ops.generic.select"
    bl_keymap = (
        (names.CLICK_AT, {"type": "LEFTMOUSE", "value": "PRESS"}, {"properties": [("positive", True)]}),
        (names.CLICK_AT, {"type": "LEFTMOUSE", "value": "PRESS", "ctrl": True}, {"properties": [("positive", False)]}),
    )

    @staticmethod
    def draw_settings(context, layout, tool):
        layout.prop(context.scene.iseg, "show")


class ObjectTool(Tool, bpy.types.WorkSpaceTool):
    bl_context_mode = "OBJECT"


class EditTool(Tool, bpy.types.WorkSpaceTool):
    bl_context_mode = "EDIT_MESH"


TOOLS = (ObjectTool, EditTool)


def start() -> None:
    if not bpy.app.background:
        for tool in TOOLS:
            bpy.utils.register_tool(tool, separator=True)


def stop() -> None:
    if not bpy.app.background:
        for tool in TOOLS:
            bpy.utils.unregister_tool(tool)
