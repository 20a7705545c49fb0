"""Clicking in the 3D viewport: the modal operator behind the button."""

import bpy

from .. import history, live, mesh_io, names, state, view
from ..core import IsegError
from . import pointer
from .aiming import over_view, surface_known, window_region
from .pointer import Stroke

KEYS = (
    "iSeg   Click: {first}   Ctrl-click: {second}   T: swap   X: remove the click under the cursor   "
    "Ctrl-Z, Ctrl-Shift-Z: step back, forward   Enter: keep   Esc: restore"
)
NAVIGATION = {
    "MIDDLEMOUSE",
    "WHEELUPMOUSE",
    "WHEELDOWNMOUSE",
    "WHEELINMOUSE",
    "WHEELOUTMOUSE",
    "TRACKPADPAN",
    "TRACKPADZOOM",
    "MOUSEROTATE",
    "MOUSESMARTZOOM",
    "NDOF_MOTION",
    "HOME",
    "TIMER",
    "WINDOW_DEACTIVATE",
    *(f"NUMPAD_{key}" for key in ("0 1 2 3 4 5 6 7 8 9 PERIOD PLUS MINUS".split())),
}


class ISEG_OT_click(pointer.PointerOperator):
    """Click on the mesh: the part that you mean grows and shrinks with every click"""

    bl_idname = names.CLICK
    bl_label = "Click"
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    def invoke(self, context, event):
        self._name, self._region = context.object.name, window_region(context.area)
        self._stroke: Stroke | None = None
        self._read = True
        pointer.reset()
        history.keep(context.object)
        self._before = state.saved(context.object)
        self._undone, self._done = [], [self._before]
        context.window_manager.modal_handler_add(self)
        self._tell(context)
        live.retry()
        self._ready(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        thing = context.object
        if thing is None or thing.name != self._name or mesh_io.refusal(thing):
            return self._end(context, {"FINISHED"})  # another object or mode: what was clicked stays
        if event.type in {"RET", "NUMPAD_ENTER"} and event.value == "PRESS":
            return self._end(context, {"FINISHED"})
        if event.type == "ESC" and event.value == "PRESS":
            history.restore(thing, self._before)
            return self._end(context, {"CANCELLED"})
        if event.type in NAVIGATION or (event.alt and self._stroke is None):  # Alt: where a mouse has two buttons
            return {"PASS_THROUGH"}
        cursor = (event.mouse_x - self._region.x, event.mouse_y - self._region.y)
        if not over_view(context.area, self._region, event):
            pointer.hover(context, self._region, None, True)
            return {"PASS_THROUGH"}
        return self._in_view(context, thing, event, cursor) if self._ready(context) else {"RUNNING_MODAL"}

    def cancel(self, context):
        """Blender closes the file or the area: nothing more is to be done than to tidy up."""
        self._end(context, set())

    def _in_view(self, context, thing, event, cursor):
        press = event.value == "PRESS"
        if event.type == "MOUSEMOVE":
            if self._stroke is not None:
                self._stroke.to(cursor)
            else:
                pointer.hover(context, self._region, cursor, pointer.includes(event.ctrl))
        elif event.type == "LEFTMOUSE" and press:
            self._stroke = Stroke(self, context, self._region, pointer.includes(event.ctrl))
            self._stroke.to(cursor)
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._stroke = None
            self._remember(thing)
        elif event.type == "T" and press:
            pointer.swap()
            self._tell(context)
        elif event.type == "X" and press:
            pointer.remove(context, self._region, cursor)
            self._remember(thing)
        elif event.type == "Z" and press and (event.ctrl or event.oskey):
            self._step(thing, forward=event.shift)
        return {"RUNNING_MODAL"}

    def _ready(self, context):
        """Whether the mesh is known as it is now; a large one is being read for a moment."""
        try:
            ready = surface_known(context.object)
        except IsegError as error:
            self.report({"ERROR"}, str(error))
            return False
        if ready != self._read:
            self._read = ready
            self._tell(context)
        return ready

    # steps back and forward

    def _remember(self, thing):
        now = state.saved(thing)
        if now != self._done[-1]:
            self._done.append(now)
            self._undone.clear()

    def _step(self, thing, forward):
        if forward and self._undone:
            self._done.append(self._undone.pop())
        elif not forward and len(self._done) > 1:
            self._undone.append(self._done.pop())
        history.restore(thing, self._done[-1])
        view.preview = None
        live.retry()

    # what is seen

    def _tell(self, context):
        first, second = ("include", "exclude") if pointer.includes(ctrl=False) else ("exclude", "include")
        text = KEYS.format(first=first, second=second) if self._read else "iSeg reads the mesh"
        context.workspace.status_text_set(text)
        context.area.header_text_set(text)
        context.window.cursor_modal_set("CROSSHAIR")

    def _end(self, context, outcome):
        view.preview = view.imagining = None
        pointer.reset()
        context.workspace.status_text_set(None)
        if context.area is not None:
            context.area.header_text_set(None)
        context.window.cursor_modal_restore()
        if self._name in bpy.data.objects:
            history.note(bpy.data.objects[self._name])
        live.changed()
        return outcome


CLASSES = (ISEG_OT_click,)
