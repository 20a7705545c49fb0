"""Clicking in the 3D viewport: a modal operator behind the button, and single clicks for the toolbar's tool."""

import time
from typing import Any

import bpy
import numpy as np
from bpy.props import BoolProperty
from bpy_extras import view3d_utils
from mathutils import Vector

from .. import history, live, mesh_io, meshes, names, picking, prefs, queries, seen, session, state, view
from ..core import IsegError
from ..overlay import Surface
from .clicks import add_click
from .common import ReasonedOperator, Refusal, WaitingOperator

SCRIBBLE = 24.0  # pixels between two clicks of a stroke
NEAR_CLICK = 15.0  # pixels around a click in which X removes it
QUICK = 50.0  # milliseconds: only then a preview is worth having
RAY_LIMIT = 100_000  # polygons; Blender's ray through the scene makes a search tree of every mesh that it meets
NO_MOUSE = "Clicking needs a mouse: scripts use bpy.ops.iseg.click_add(vertex=, positive=)."
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


def screen_of(surface: Surface, thing: bpy.types.Object, region: Any, rv3d: Any) -> picking.Screen:
    """A surface as it is seen; the last one is kept, for the mouse moves more often than the view."""
    global _screen
    matrix = np.array(rv3d.perspective_matrix) @ np.array(thing.matrix_world)  # [4, 4]
    key = (matrix.tobytes(), region.width, region.height)
    if _screen is None or _screen[0] is not surface or _screen[1] != key:
        _screen = surface, key, picking.project(surface.points, matrix, region.width, region.height)
    return _screen[2]


_screen: tuple[Surface, Any, picking.Screen] | None = None


def vertex_at(context: bpy.types.Context, region: Any, cursor: tuple[float, float]) -> int | None:
    """The active object's vertex that a cursor (pixels in the region) means; None where it is not over the mesh."""
    thing, space = context.object, context.space_data
    look, through = meshes.look_at(thing, fresh=False), space.shading.show_xray
    surface = seen.surface_of(thing, look)
    triangles = look.visible() if thing.mode == "EDIT" else surface.triangles  # [F, 3]
    meant = picking.meant(screen_of(surface, thing, region, space.region_3d), triangles, cursor, through)
    if meant is None or (not through and blocked(context, region, space.region_3d, cursor, thing, meant.depth)):
        return None
    return surface.base_vertex(meant.point)


def blocked(
    context: bpy.types.Context,
    region: Any,
    rv3d: Any,
    cursor: tuple[float, float],
    thing: bpy.types.Object,
    depth: float,
) -> bool:
    """Whether another object lies before what was picked at this depth."""
    origin = view3d_utils.region_2d_to_origin_3d(region, rv3d, cursor)
    direction = view3d_utils.region_2d_to_vector_3d(region, rv3d, cursor)
    if len(thing.data.polygons) <= RAY_LIMIT:
        hit, place, _, _, other, _ = context.scene.ray_cast(context.evaluated_depsgraph_get(), origin, direction)
        places = [place] if hit and other.original != thing else []
    else:
        places = hits_on_others(context.evaluated_depsgraph_get(), thing, origin, direction)
    matrix = np.array(rv3d.perspective_matrix)  # [4, 4]
    depths = picking.project(np.array(places).reshape(-1, 3), matrix, region.width, region.height).depth  # [N]
    return bool((depths < depth - 1e-6).any())


def hits_on_others(depsgraph: Any, thing: bpy.types.Object, origin: Vector, direction: Vector) -> list[Vector]:
    """Where a ray of the world meets other objects first."""
    places = []
    for instance in depsgraph.object_instances:
        other = instance.object
        if other.type != "MESH" or other.original == thing or not instance.show_self:
            continue
        matrix = instance.matrix_world.copy()
        inverse = matrix.inverted_safe()
        hit, place, _, _ = other.ray_cast(inverse @ origin, inverse.to_3x3() @ direction)
        if hit:
            places.append(matrix @ place)
    return places


def surface_known(thing: bpy.types.Object) -> bool:
    """Whether it is known what can be clicked; begins to find out. Raises IsegError where the mesh cannot be read."""
    look = live.look_at(thing)
    return look is not None and seen.known(thing, look)


def click_refusal(context: bpy.types.Context) -> str:
    """Why there can be no clicking; empty where there can."""
    why = mesh_io.refusal(context.object) or prefs.chosen()
    if not why and (context.area is None or context.area.type != "VIEW_3D"):
        why = "Clicking needs a 3D viewport: scripts use bpy.ops.iseg.click_add(vertex=, positive=)."
    return why


class ISEG_OT_click(ReasonedOperator):
    """Click on the mesh: the part that you mean grows and shrinks with every click"""

    bl_idname = names.CLICK
    bl_label = "Click"
    bl_options = {"REGISTER", "UNDO", "BLOCKING"}

    @classmethod
    def refusal(cls, context):
        return click_refusal(context)

    def execute(self, context):
        self.report({"ERROR"}, NO_MOUSE)
        return {"CANCELLED"}

    def invoke(self, context, event):
        self._name, self._region = context.object.name, window_region(context.area)
        self._include, self._stroke, self._hovered, self._read = True, None, None, True
        self._pick_took = 0.0  # milliseconds
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
            self._hover(context, None)
            return {"PASS_THROUGH"}
        return self._in_view(context, thing, event, cursor) if self._ready(context) else {"RUNNING_MODAL"}

    def cancel(self, context):
        """Blender closes the file or the area: nothing more is to be done than to tidy up."""
        self._end(context, set())

    def _in_view(self, context, thing, event, cursor):
        press = event.value == "PRESS"
        if event.type == "MOUSEMOVE":
            if self._stroke is not None:
                self._scribble(context, thing, cursor, *self._stroke)
            else:
                self._hover(context, cursor, self._include != event.ctrl)
        elif event.type == "LEFTMOUSE" and press:
            self._stroke = (cursor, self._include != event.ctrl)
            self._add(context, thing, cursor, self._include != event.ctrl)
        elif event.type == "LEFTMOUSE" and event.value == "RELEASE":
            self._stroke = None
            self._remember(thing)
        elif event.type == "T" and press:
            self._include = not self._include
            self._tell(context)
        elif event.type == "X" and press:
            self._remove(thing, cursor, context)
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

    # clicks

    def _pick(self, context, cursor):
        began = time.perf_counter()
        vertex = vertex_at(context, self._region, cursor)
        self._pick_took = (time.perf_counter() - began) * 1e3
        return vertex

    def _add(self, context, thing, cursor, positive):
        vertex = self._pick(context, cursor)
        if vertex is None:
            return
        try:
            add_click(thing, vertex, positive, fresh=False)
        except Refusal as refusal:
            self.report({"WARNING"}, str(refusal))
        view.preview = None
        live.retry()

    def _scribble(self, context, thing, cursor, last, positive):
        if (cursor[0] - last[0]) ** 2 + (cursor[1] - last[1]) ** 2 >= SCRIBBLE**2:
            self._stroke = (cursor, positive)
            self._add(context, thing, cursor, positive)

    def _remove(self, thing, cursor, context):
        part = state.part_of(thing)
        if part is None or not len(part.clicks):
            return
        look = meshes.look_at(thing, fresh=False)
        surface, rv3d = seen.surface_of(thing, look), context.space_data.region_3d
        usable = [index for index, click in enumerate(part.clicks) if click.vertex < len(look.vertices)]
        places = [surface.place(part.clicks[index].vertex, look.vertices) for index in usable]
        matrix = np.array(rv3d.perspective_matrix) @ np.array(thing.matrix_world)  # [4, 4]
        points = np.array(places).reshape(-1, 3)  # [N, 3]
        screen = picking.project(points, matrix, self._region.width, self._region.height)
        squares = picking.squares(screen, cursor)  # [N]
        near = [(squares[k], index) for k, index in enumerate(usable) if screen.seen[k]]
        if near and min(near)[0] <= NEAR_CLICK**2:
            part.clicks.remove(min(near)[1])
            part.click_index = max(min(part.click_index, len(part.clicks) - 1), 0)
            live.retry()

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

    def _hover(self, context, cursor, positive=True):
        """Show what a click here would give, where the engine is quick enough."""
        thing, vertex = context.object, None
        if cursor is not None and self._pick_took <= QUICK:  # measured again with every click
            vertex = self._pick(context, cursor)
        if (vertex, positive) == self._hovered:
            return
        self._hovered, view.imagining = (vertex, positive), None
        if view.preview is not None:
            view.preview = None
            live.redraw()
        if vertex is not None:
            self._imagine(context, thing, meshes.look_at(thing, fresh=False), vertex, positive)

    def _imagine(self, context, thing, look, vertex, positive):
        part = state.part_of(thing)
        query = queries.query_of(thing, part, look) if part is not None else None
        answer = queries.answers.get(query) if query is not None else None
        if part is None or query is None or answer is None or answer.milliseconds > QUICK or session.engine.busy:
            return
        query = query._replace(clicks=(*(click for click in query.clicks if click[0] != vertex), (vertex, positive)))
        threshold = None if part.automatic else part.threshold

        view.imagining = wanted = (query.mesh, vertex, positive)  # this operator may be gone when the answer comes

        def arrived(task):
            if task.error is None and view.imagining == wanted:
                limit = task.result.threshold if threshold is None else threshold
                view.preview = (look.hash, task.result.probability >= limit)
                live.redraw()

        session.engine.start(queries.asking(query, look, context.scene.iseg.device), arrived)
        live.keep_pumping()

    def _tell(self, context):
        first, second = ("include", "exclude") if self._include else ("exclude", "include")
        text = KEYS.format(first=first, second=second) if self._read else "iSeg reads the mesh"
        context.workspace.status_text_set(text)
        context.area.header_text_set(text)
        context.window.cursor_modal_set("CROSSHAIR")

    def _end(self, context, outcome):
        view.preview = view.imagining = None
        context.workspace.status_text_set(None)
        if context.area is not None:
            context.area.header_text_set(None)
        context.window.cursor_modal_restore()
        if self._name in bpy.data.objects:
            history.note(bpy.data.objects[self._name])
        live.changed()
        return outcome


class ISEG_OT_click_at(WaitingOperator):
    """Include the place under the cursor; with Ctrl, exclude it"""

    bl_idname = names.CLICK_AT
    bl_label = "Click Here"
    bl_options = {"REGISTER", "UNDO"}
    WAITING = "iSeg reads the mesh"
    _cursor: tuple[int, int] | None = None  # pixels in the window

    positive: BoolProperty(name="Include", default=True)

    @classmethod
    def refusal(cls, context):
        return click_refusal(context)

    def ready(self, thing):
        return surface_known(thing)

    def invoke(self, context, event):
        self._cursor = event.mouse_x, event.mouse_y
        return super().invoke(context, event)

    def execute(self, context):
        if self._cursor is None:
            self.report({"ERROR"}, NO_MOUSE)
            return {"CANCELLED"}
        region = window_region(context.area)
        vertex = vertex_at(context, region, (self._cursor[0] - region.x, self._cursor[1] - region.y))
        if vertex is None:
            self.report({"INFO"}, f"There is nothing of {context.object.name} under the cursor.")
            return {"CANCELLED"}
        try:
            with history.step(context.object):
                add_click(context.object, vertex, self.positive, fresh=False)
        except Refusal as refusal:
            self.report({"WARNING"}, str(refusal))
            return {"CANCELLED"}
        live.retry()
        return {"FINISHED"}


def window_region(area: Any) -> Any:
    return next(region for region in area.regions if region.type == "WINDOW")


def over_view(area: Any, view_region: Any, event: Any) -> bool:
    """Whether the mouse is over the view itself, and not over a sidebar that lies upon it."""

    def holds(region: Any) -> bool:
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        return 0 <= x < region.width and 0 <= y < region.height

    if area is None or not holds(view_region):
        return False
    return not any(holds(r) for r in area.regions if r.type != "WINDOW" and r.width > 1 and r.height > 1)


CLASSES = (ISEG_OT_click, ISEG_OT_click_at)
