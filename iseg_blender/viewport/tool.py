"""Tool in the 3D viewport's toolbar: each mouse stroke makes clicks of iSeg and is an undo step of its own."""

import bpy

from .. import names, redraw
from ..session import Kept
from ..timers import Timers
from . import preview

WATCH = 0.1  # seconds


class MouseWatch(Kept):
    """Window whose mouse is watched while a preview is shown."""

    def __init__(self) -> None:
        self.window = 0  # its address


class Tool:
    bl_space_type = "VIEW_3D"
    bl_idname = names.TOOL
    bl_label = "iSeg Click"
    bl_description = (
        "Click on the mesh to include a place in the part, drag for several. Ctrl-click: exclude it. T: swap these. "
        "Ctrl-wheel: a larger or smaller part. X: remove the click under the cursor"
    )
    bl_icon = "ops.generic.select"
    bl_keymap = (
        (names.CLICK_AT, {"type": "LEFTMOUSE", "value": "PRESS"}, {"properties": [("positive", True)]}),
        (names.CLICK_AT, {"type": "LEFTMOUSE", "value": "PRESS", "ctrl": True}, {"properties": [("positive", False)]}),
        (names.CLICK_REMOVE_AT, {"type": "X", "value": "PRESS"}, None),
        (
            names.CLICK_RESIZE,
            {"type": "WHEELUPMOUSE", "value": "PRESS", "ctrl": True},
            {"properties": [("larger", True)]},
        ),
        (
            names.CLICK_RESIZE,
            {"type": "WHEELDOWNMOUSE", "value": "PRESS", "ctrl": True},
            {"properties": [("larger", False)]},
        ),
        (names.CLICK_SWAP, {"type": "T", "value": "PRESS"}, None),
        (names.CLICK_HOVER, {"type": "MOUSEMOVE", "value": "ANY", "any": True}, None),
    )

    @staticmethod
    def draw_settings(context, layout, tool):
        layout.label(text="Click: include" if preview.includes(ctrl=False) else "Click: exclude")
        layout.prop(context.scene.iseg, "show")


class ObjectTool(Tool, bpy.types.WorkSpaceTool):
    bl_context_mode = "OBJECT"


class EditTool(Tool, bpy.types.WorkSpaceTool):
    bl_context_mode = "EDIT_MESH"


TOOLS = (ObjectTool, EditTool)


def is_active(context: bpy.types.Context) -> bool:
    """Tell whether this tool is the active one."""
    chosen = context.workspace.tools.from_space_view3d_mode(context.mode, create=False)
    return chosen is not None and chosen.idname == names.TOOL


def watch(window: bpy.types.Window) -> None:
    """Remove the preview when the mouse leaves the view: Blender reports the mouse to a tool only over its view."""
    MouseWatch.current().window = window.as_pointer()
    Timers.current().begin(watch_mouse, after=WATCH, persistent=True)


def watch_mouse() -> float | None:
    hover = preview.Hover.current()
    if hover.preview is None and hover.asked is None:
        return None
    for window in bpy.context.window_manager.windows:
        if window.as_pointer() == MouseWatch.current().window:
            with bpy.context.temp_override(window=window):
                bpy.ops.iseg.click_unhover("INVOKE_DEFAULT")  # INVOKE passes the position of the mouse
            return WATCH
    hover.forget()  # the window was closed
    redraw.redraw()
    return None


def start() -> None:
    if not bpy.app.background:
        for tool in TOOLS:
            bpy.utils.register_tool(tool, separator=True)


def stop() -> None:
    if not bpy.app.background:
        for tool in TOOLS:
            bpy.utils.unregister_tool(tool)
        keymaps = bpy.context.window_manager.keyconfigs.user.keymaps  # Blender leaves a copy here
        for keymap in list(keymaps):
            if len(keymap.keymap_items) and all(item.idname.startswith("iseg.") for item in keymap.keymap_items):
                keymaps.remove(keymap)
