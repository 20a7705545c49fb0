"""Clicking in the 3D viewport: the modal operator that the sidebar's button starts."""

import bpy

from .. import names
from ..core import IsegError
from ..document import parts_snapshot, undo
from ..live import answers
from ..mesh import cache
from ..session import Kept
from ..viewport import preview
from ..viewport.aiming import aimed, surface_known
from . import pointer
from .pointer import Stroke, mouse_of

KEYS = (
    "iSeg   Click: {first}   Ctrl-click: {second}   Ctrl-wheel: size of the part   T: swap   "
    "X: remove the click under the cursor   "
    "Ctrl-Z, Ctrl-Shift-Z: step back, forward   Enter: keep   Esc: restore"
)
WHEEL = ("WHEELUPMOUSE", "WHEELDOWNMOUSE")  # with Ctrl: the next larger and the next smaller part
UNDER_WAY = "Clicking is under way: Enter keeps, Esc restores."
NAVIGATION = {
    "MIDDLEMOUSE",
    "TRACKPADPAN",
    "TRACKPADZOOM",
    "MOUSEROTATE",
    "MOUSESMARTZOOM",
    "HOME",
    "ACCENT_GRAVE",
    "SLASH",
    "WINDOW_DEACTIVATE",
    *(f"NUMPAD_{key}" for key in ("0 1 2 3 4 5 6 7 8 9 PERIOD PLUS MINUS SLASH ASTERIX".split())),
}
NAVIGATING = ("WHEEL", "NDOF_", "TIMER")  # prefixes of more such events; a view turns smoothly by timer events


class ClickMode(Kept):
    """Record of where the operator shows its help texts while it runs."""

    def __init__(self) -> None:
        self.told: tuple[str, int] | None = None  # name of the workspace, address of the area; None: not shown

    def close(self) -> None:
        """Remove the help texts and the preview."""
        stop()


class ISEG_OT_click(pointer.PointerOperator):
    """Click on the mesh: the part that you mean grows and shrinks with every click"""

    bl_idname = names.CLICK
    bl_label = "Click"
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    @classmethod
    def refusal(cls, context):
        return UNDER_WAY if under_way() else super().refusal(context)

    def invoke(self, context, event):
        self.begin(context)
        self._workspace = context.workspace.name
        self._stroke: Stroke | None = None
        self._topology = ""
        preview.Hover.current().reset()
        answers.retry()
        try:
            self._read = surface_known(context.object)
        except IsegError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        undo.keep(context.object)
        self._set_out(context.object)
        context.window_manager.modal_handler_add(self)
        self._tell(context)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if self.lost(context):
            return self._end(context, {"FINISHED"})  # the clicks so far stay
        obj, mouse = context.object, mouse_of(event)
        self._follow(obj)
        if event.type in {"RET", "NUMPAD_ENTER"} and event.value == "PRESS":
            return self._end(context, {"FINISHED"})
        if event.type == "ESC" and event.value == "PRESS":
            undo.restore(obj, self._before)
            return self._end(context, {"CANCELLED"})
        let_go = event.type == "WINDOW_DEACTIVATE" or (event.type, event.value) == ("LEFTMOUSE", "RELEASE")
        if let_go and self._stroke is not None:  # also outside the viewport
            self._stroke = None
            self._remember(obj)
            return {"RUNNING_MODAL"}
        if event.type in WHEEL and event.ctrl:
            if event.value == "PRESS" and pointer.resize(context, larger=event.type == WHEEL[0]):
                self._remember(obj)
            return {"RUNNING_MODAL"}
        if event.type in NAVIGATION or event.type.startswith(NAVIGATING):
            return {"PASS_THROUGH"}
        if event.alt and self._stroke is None:  # navigation with Alt, for a mouse of two buttons
            return {"PASS_THROUGH"}
        if aimed(context.area, mouse) is None:
            preview.hover(context, None, True)
            return {"PASS_THROUGH"}
        try:
            ready = surface_known(obj)  # False while a large mesh is being read
        except IsegError as error:
            self.report({"ERROR"}, str(error))
            return self._end(context, {"FINISHED"})
        if ready != self._read:
            self._read = ready
            self._tell(context)
        if ready:
            self._in_view(context, obj, event, mouse)
        return {"RUNNING_MODAL"}

    def cancel(self, context):
        """Clean up when Blender closes the file or the area; the clicks stay as they are."""
        self._end(context, set())

    def _in_view(self, context, obj, event, mouse):
        """Handle an event of the mouse or keyboard over the viewport."""
        press = event.value == "PRESS"
        if event.type == "MOUSEMOVE":
            if self._stroke is not None:
                self._stroke.to(context, mouse)
            else:
                preview.hover(context, mouse, preview.includes(event.ctrl))
        elif event.type == "LEFTMOUSE" and press:
            self._stroke = Stroke(self, preview.includes(event.ctrl))
            self._stroke.to(context, mouse)
        elif event.type == "T" and press:
            preview.swap()
            self._tell(context)
        elif event.type == "X" and press:
            pointer.remove(context, mouse)
            self._remember(obj)
        elif event.type == "Z" and press and (event.ctrl or event.oskey):
            self._step(obj, forward=event.shift)

    # ---- Undo and redo ----

    def _set_out(self, obj):
        """Begin the undo history anew with the current clicks."""
        self._before = parts_snapshot.saved(obj)
        self._undone, self._done = [], [self._before]

    def _follow(self, obj):
        """Begin the history anew where an edit has changed the topology, which earlier clicks no longer fit."""
        snapshot = cache.known_snapshot(obj)
        if snapshot is None or snapshot.topology == self._topology:
            return
        if self._topology:
            self._set_out(obj)
        self._topology = snapshot.topology

    def _remember(self, obj):
        """Add the current clicks to the undo history where they have changed."""
        now = parts_snapshot.saved(obj)
        if now != self._done[-1]:
            self._done.append(now)
            self._undone.clear()

    def _step(self, obj, forward):
        """Go one step forward or back in the history and restore its clicks."""
        if forward and self._undone:
            self._done.append(self._undone.pop())
        elif not forward and len(self._done) > 1:
            self._undone.append(self._done.pop())
        undo.restore(obj, self._done[-1])
        preview.Hover.current().preview = None
        answers.retry()

    # ---- Display ----

    def _tell(self, context):
        """Show the keys in the status bar and the header, and the crosshair as the cursor."""
        first, second = ("include", "exclude") if preview.includes(ctrl=False) else ("exclude", "include")
        text = KEYS.format(first=first, second=second) if self._read else "iSeg reads the mesh"
        context.workspace.status_text_set(text)
        context.area.header_text_set(text)
        context.window.cursor_modal_set("CROSSHAIR")
        ClickMode.current().told = self._workspace, self._area

    def _end(self, context, outcome):
        """Clean up, record the undo state and return the operator's outcome."""
        stop()
        obj = self.obj()
        if obj is not None:
            undo.note(obj)
        answers.changed()
        return outcome


def under_way() -> bool:
    """Return True while the operator runs in any window."""
    windows = bpy.context.window_manager.windows
    return any(operator.bl_idname == "ISEG_OT_click" for window in windows for operator in window.modal_operators)


def stop() -> None:
    """Remove the help texts and the preview, whatever workspace is active now; the area may be gone.

    It is a function, because Blender ends the operator without calling it when the extension is disabled.
    """
    mode, hover = ClickMode.current(), preview.Hover.current()
    if mode.told is None:
        return
    (workspace, address), mode.told = mode.told, None
    hover.forget()
    hover.reset()
    if workspace in bpy.data.workspaces:
        with bpy.context.temp_override(workspace=bpy.data.workspaces[workspace]):
            bpy.context.workspace.status_text_set(None)
    for area in (area for screen in bpy.data.screens for area in screen.areas):
        if area.as_pointer() == address:
            area.header_text_set(None)
    for window in bpy.context.window_manager.windows:
        window.cursor_modal_restore()


CLASSES = (ISEG_OT_click,)
