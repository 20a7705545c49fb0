"""What the toolbar's tool calls: each stroke of the mouse, and each click removed, an undo step of its own."""

import bpy
from bpy.props import BoolProperty

from .. import history, live, mesh_io, names, state, tool, view
from ..core import IsegError
from . import pointer
from .aiming import over_view, surface_known, window_region
from .common import TIMER_INTERVAL


class ToolOperator(pointer.PointerOperator):
    """Is called by a key or button of the tool."""

    bl_options = {"INTERNAL"}

    def cursor(self, event):
        """Where the mouse is in the view, in pixels."""
        return event.mouse_x - self._region.x, event.mouse_y - self._region.y

    def known(self, context) -> bool:
        """Whether the mesh is known as it is now; a large one is being read for a moment. Reports why it cannot be."""
        try:
            return surface_known(context.object)
        except IsegError as error:
            self.report({"ERROR"}, str(error))
            return False


class ISEG_OT_click_at(ToolOperator):
    """Include the place under the cursor; with Ctrl, exclude it. Drag for several clicks"""

    bl_idname = names.CLICK_AT
    bl_label = "Click Here"
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    positive: BoolProperty(name="Include", default=True)

    def invoke(self, context, event):
        thing = context.object
        self._name, self._region = thing.name, window_region(context.area)
        self._path = [self.cursor(event)]  # where the mouse has been since the last click; until the mesh is known
        self._stroke = pointer.Stroke(self, context, self._region, pointer.includes(ctrl=not self.positive))
        history.keep(thing)
        self._before, self._released = state.saved(thing), False
        self._timer = context.window_manager.event_timer_add(TIMER_INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        self._draw(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        thing = context.object
        if thing is None or thing.name != self._name or mesh_io.refusal(thing):
            return self._end(context)  # another object or mode: what was clicked stays
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            history.restore(thing, self._before)
            return self._end(context)
        if event.type == "MOUSEMOVE" and not self._released and over_view(context.area, self._region, event):
            self._path.append(self.cursor(event))
        if event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._released = True
        self._draw(context)
        return self._end(context) if self._released and not self._path else {"RUNNING_MODAL"}

    def cancel(self, context):
        """Blender closes the file or the area: nothing more is to be done than to tidy up."""
        self._end(context)

    def _draw(self, context):
        """Click along the way of the mouse, as soon as the mesh is known."""
        if self._path and self.known(context):
            for cursor in self._path:
                self._stroke.to(cursor)
            self._path.clear()

    def _end(self, context):
        context.window_manager.event_timer_remove(self._timer)
        thing = bpy.data.objects.get(self._name)
        live.changed()
        if thing is None or state.saved(thing) == self._before:
            if self._released and not self._stroke.met:
                self.report({"INFO"}, f"There is nothing of {self._name} under the cursor.")
            return {"CANCELLED"}
        history.note(thing)
        return {"FINISHED"}


class ISEG_OT_click_remove_at(ToolOperator):
    """Remove the click under the cursor"""

    bl_idname = names.CLICK_REMOVE_AT
    bl_label = "Remove Click Here"
    bl_options = {"REGISTER", "UNDO"}

    def invoke(self, context, event):
        self._region = window_region(context.area)
        if not self.known(context):
            return {"CANCELLED"}
        with history.step(context.object):
            removed = pointer.remove(context, self._region, self.cursor(event))
        if not removed:
            self.report({"INFO"}, "There is no click under the cursor.")
        return {"FINISHED"} if removed else {"CANCELLED"}


class ISEG_OT_click_swap(ToolOperator):
    """Swap what a click and a Ctrl-click do: include and exclude"""

    bl_idname = names.CLICK_SWAP
    bl_label = "Swap Include and Exclude"

    def execute(self, context):
        pointer.swap()
        view.preview = None
        live.redraw()
        return {"FINISHED"}


class ISEG_OT_click_hover(ToolOperator):
    """Show what a click under the cursor would give"""

    bl_idname = names.CLICK_HOVER
    bl_label = "Preview"

    def invoke(self, context, event):
        self._region = window_region(context.area)
        over = over_view(context.area, self._region, event) and self.known(context)
        cursor = self.cursor(event) if over else None
        pointer.hover(context, self._region, cursor, pointer.includes(event.ctrl))
        tool.watch(context.window)
        return {"PASS_THROUGH"}


class ISEG_OT_click_unhover(bpy.types.Operator):
    """Hide that again, where the mouse is over no 3D view or works with another tool"""

    bl_idname = names.CLICK_UNHOVER
    bl_label = "No Preview"
    bl_options = {"INTERNAL"}

    def invoke(self, context, event):
        areas = [area for area in context.screen.areas if area.type == "VIEW_3D"]
        if not tool.is_active(context) or not any(over_view(area, window_region(area), event) for area in areas):
            pointer.hover(context, None, None, True)
        return {"FINISHED"}


CLASSES = (ISEG_OT_click_at, ISEG_OT_click_remove_at, ISEG_OT_click_swap, ISEG_OT_click_hover, ISEG_OT_click_unhover)
