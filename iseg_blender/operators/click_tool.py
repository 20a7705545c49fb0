"""Operators of the toolbar's tool; each stroke of the mouse and each removed click is an undo step of its own."""

import bpy
from bpy.props import BoolProperty

from .. import names, redraw
from ..core import IsegError
from ..document import parts_snapshot, undo
from ..live import answers
from ..mesh import cache, usable
from ..viewport import preview, tool
from ..viewport.aiming import aimed, surface_known
from . import pointer
from .base import TIMER_INTERVAL
from .pointer import mouse_of


class ToolOperator(pointer.PointerOperator):
    """Is called by a key or button of the tool."""

    bl_options = {"INTERNAL"}


class ISEG_OT_click_at(ToolOperator):
    """Include the place under the cursor; with Ctrl, exclude it. Drag for several clicks"""

    bl_idname = names.CLICK_AT
    bl_label = "Click Here"
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    positive: BoolProperty(name="Include", default=True)

    def invoke(self, context, event):
        obj = context.object
        self.begin(context)
        self._path = [mouse_of(event)]  # positions of the mouse still to click at, once the mesh has been read
        self._stroke = pointer.Stroke(self, preview.includes(ctrl=not self.positive))
        undo.keep(obj)
        self._before, self._released = parts_snapshot.saved(obj), False
        self._timer = context.window_manager.event_timer_add(TIMER_INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"} if self._draw(context) else self._end(context)

    def modal(self, context, event):
        if self.lost(context):
            return self._end(context)  # the clicks so far stay
        obj, mouse = context.object, mouse_of(event)
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            undo.restore(obj, self._before)
            return self._end(context)
        if event.type == "MOUSEMOVE" and not self._released and aimed(context.area, mouse) is not None:
            self._path.append(mouse)
        if event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._released = True
        going_on = self._draw(context) and (self._path or not self._released)
        return {"RUNNING_MODAL"} if going_on else self._end(context)

    def cancel(self, context):
        """Clean up when Blender closes the file or the area; the clicks stay as they are."""
        self._end(context)

    def _draw(self, context) -> bool:
        """Click along the path of the mouse once the mesh has been read; False where it cannot be read."""
        try:
            known = surface_known(context.object)
        except IsegError as error:
            self.report({"ERROR"}, str(error))
            return False
        if known:
            for mouse in self._path:
                self._stroke.to(context, mouse)
            self._path.clear()
        return True

    def _end(self, context):
        """Clean up, record the undo state and return the operator's outcome."""
        context.window_manager.event_timer_remove(self._timer)
        obj = self.obj()
        answers.changed()
        if obj is None or parts_snapshot.saved(obj) == self._before:
            if obj is not None and self._released and not self._path and not self._stroke.met:
                self.report({"INFO"}, f"There is nothing of {usable.name_of(obj)} under the cursor.")
            return {"CANCELLED"}
        undo.note(obj)
        return {"FINISHED"}


class ISEG_OT_click_remove_at(ToolOperator):
    """Remove the click under the cursor"""

    bl_idname = names.CLICK_REMOVE_AT
    bl_label = "Remove Click Here"
    bl_options = {"REGISTER", "UNDO"}

    def invoke(self, context, event):
        try:
            known = surface_known(context.object)
        except IsegError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not known:
            return {"CANCELLED"}
        with undo.step(context.object):
            removed = pointer.remove(context, mouse_of(event))
        if not removed:
            self.report({"INFO"}, "There is no click under the cursor.")
        return {"FINISHED"} if removed else {"CANCELLED"}


class ISEG_OT_click_resize(ToolOperator):
    """Let the first click mean the next larger or smaller part"""

    bl_idname = names.CLICK_RESIZE
    bl_label = "Part Size"
    bl_options = {"REGISTER", "UNDO"}

    larger: BoolProperty(name="Larger", default=True)

    def invoke(self, context, event):
        with undo.step(context.object):
            changed = pointer.resize(context, self.larger)
        return {"FINISHED"} if changed else {"CANCELLED"}


class ISEG_OT_click_swap(ToolOperator):
    """Swap what a click and a Ctrl-click do: include and exclude"""

    bl_idname = names.CLICK_SWAP
    bl_label = "Swap Include and Exclude"

    def execute(self, context):
        preview.swap()
        preview.Hover.current().preview = None
        redraw.redraw()
        return {"FINISHED"}


class ISEG_OT_click_hover(ToolOperator):
    """Show what a click under the cursor would give"""

    bl_idname = names.CLICK_HOVER
    bl_label = "Preview"

    def invoke(self, context, event):
        mouse = mouse_of(event)
        over = aimed(context.area, mouse) is not None and self._known(context.object)
        preview.hover(context, mouse if over else None, preview.includes(event.ctrl))
        tool.watch(context.window)
        return {"PASS_THROUGH"}

    def _known(self, obj) -> bool:
        """Return True where the current mesh has been read; the sidebar reports a mesh that cannot be read."""
        try:
            return not cache.waits(obj) and surface_known(obj)
        except IsegError:
            return False


class ISEG_OT_click_unhover(bpy.types.Operator):
    """Hide that again, where the mouse is over no 3D view or works with another tool"""

    bl_idname = names.CLICK_UNHOVER
    bl_label = "No Preview"
    bl_options = {"INTERNAL"}

    def invoke(self, context, event):
        areas = [area for area in context.screen.areas if area.type == "VIEW_3D"]
        if not tool.is_active(context) or not any(aimed(area, mouse_of(event)) for area in areas):
            preview.hover(context, None, True)
        return {"FINISHED"}


CLASSES = (
    ISEG_OT_click_at,
    ISEG_OT_click_remove_at,
    ISEG_OT_click_resize,
    ISEG_OT_click_swap,
    ISEG_OT_click_hover,
    ISEG_OT_click_unhover,
)
