"""What mouse and keys do to the clicks of the active part: the same behind the button and with the toolbar's tool."""

import time
from collections.abc import Callable
from typing import Any

import bpy

from .. import live, mesh_io, meshes, queries, region, session, state, view
from ..core import State
from ..engine import Conversation, Work
from ..look import Look
from .aiming import Place, aimed, click_at, click_refusal, vertex_at
from .clicks import add_click, check_topology
from .common import ReasonedOperator, Refusal

SCRIBBLE = 24.0  # pixels between two clicks of a stroke
QUICK = 50.0  # milliseconds: only then a preview is worth having

swapped = False  # whether a click excludes, and a Ctrl-click includes
_hovered: tuple[int | None, bool] | None = None  # what the mouse is over, and whether a click would include it
_pick_took = _preview_took = 0.0  # milliseconds, the last time


class PointerOperator(ReasonedOperator):
    """Works where the mouse is."""

    @classmethod
    def refusal(cls, context):
        return click_refusal(context)

    def execute(self, context):
        self.report({"ERROR"}, "Clicking needs a mouse: scripts use bpy.ops.iseg.click_add(vertex=, positive=).")
        return {"CANCELLED"}

    def begin(self, context: bpy.types.Context) -> None:
        """Remember what it works on, and where; neither the object nor the area is there for ever."""
        self._uid, self._area = context.object.session_uid, context.area.as_pointer()

    def lost(self, context: bpy.types.Context) -> bool:
        """Whether that is another object, mode or editor now."""
        thing, area = context.object, context.area
        if area is None or area.as_pointer() != self._area or area.type != "VIEW_3D":
            return True
        return bool(mesh_io.refusal(thing)) or thing.session_uid != self._uid

    def thing(self) -> bpy.types.Object | None:
        """What it works on, where that is still there."""
        return next((thing for thing in bpy.data.objects if thing.session_uid == self._uid), None)


def mouse_of(event: bpy.types.Event) -> Place:
    """Where the mouse is, in pixels of the window."""
    return event.mouse_x, event.mouse_y


def includes(ctrl: bool) -> bool:
    """Whether a click includes what it is made on."""
    return ctrl == swapped


def swap() -> None:
    global swapped
    swapped = not swapped


def reset() -> None:
    """As if nothing had been done yet."""
    global swapped, _hovered, _pick_took, _preview_took
    swapped, _hovered, _pick_took, _preview_took = False, None, 0.0, 0.0


class Stroke:
    """The clicks that are made while a button is held down."""

    def __init__(self, operator: bpy.types.Operator, positive: bool):
        self._operator, self._positive = operator, positive
        self._last: Place | None = None
        self.met = False  # whether the mouse was over the mesh

    def to(self, context: bpy.types.Context, mouse: Place) -> None:
        """Click here, where it is far enough from the last click."""
        if self._last is not None:
            x, y = mouse[0] - self._last[0], mouse[1] - self._last[1]
            if x * x + y * y < SCRIBBLE**2:
                return
        self._last = mouse
        vertex = pick(context, mouse)
        if vertex is None:
            return
        self.met = True
        try:
            add_click(context.object, vertex, self._positive, fresh=False)
        except Refusal as refusal:
            self._operator.report({"WARNING"}, str(refusal))
        view.preview = None
        live.retry()


def remove(context: bpy.types.Context, mouse: Place) -> bool:
    """Remove the click that is seen under the mouse; whether there was one."""
    aim, part = aimed(context.area, mouse), state.part_of(context.object)
    index = click_at(context, *aim) if aim is not None else None
    if index is None or part is None:
        return False
    part.clicks.remove(index)
    part.click_index = state.chosen(part.click_index, len(part.clicks))
    view.preview = None
    live.retry()
    return True


def pick(context: bpy.types.Context, mouse: Place) -> int | None:
    """The vertex under the mouse."""
    global _pick_took
    aim = aimed(context.area, mouse)
    if aim is None:
        return None
    began = time.perf_counter()
    vertex = vertex_at(context, *aim)
    _pick_took = (time.perf_counter() - began) * 1e3
    return vertex


def hover(context: bpy.types.Context, mouse: Place | None, positive: bool) -> None:
    """Show what a click here would give, where the engine is quick enough; mouse None: over no mesh."""
    global _hovered
    vertex = None
    if mouse is not None and _pick_took <= QUICK:  # measured again with every click
        vertex = pick(context, mouse)
    if (vertex, positive) == _hovered:
        return
    _hovered, view.imagining = (vertex, positive), None
    if view.preview is not None:
        view.preview = None
        live.redraw()
    if vertex is not None:
        _imagine(context, vertex, positive)


def _imagine(context: bpy.types.Context, vertex: int, positive: bool) -> None:
    thing = context.object
    part, look = state.part_of(thing) or queries.NEW_PART, meshes.look_at(thing, fresh=False)
    if not _worth(thing, part, look):
        return
    view.imagining = wanted = (look.hash, vertex, positive)  # the operator may be gone when the answer comes

    def arrived(task):
        if task.error is None and view.imagining == wanted:
            view.preview = view.Preview(look.hash, task.result)
            live.redraw()

    session.engine.start(imagining(thing, part, look, (vertex, positive), context.scene.iseg.device), arrived)
    live.keep_pumping()


def _worth(thing: bpy.types.Object, part: Any, look: Look) -> bool:
    """Whether a preview will be there before the mouse has gone on. No engine is started for one."""
    if session.engine.busy or session.engine.state is not State.READY or look.hash not in queries.models:
        return False
    try:
        check_topology(thing, look)
    except Refusal:
        return False
    if not len(part.clicks):
        return _preview_took <= QUICK
    answer = queries.answer_of(thing, part)
    return answer is not None and answer.milliseconds <= QUICK


def imagining(thing: bpy.types.Object, part: Any, look: Look, click: tuple[int, bool], device: str) -> Conversation:
    """Which vertices would be in a part with one click more, on whatever there was on that vertex. [V] bool"""
    global _preview_took
    clicks = (*(made for made in state.clicks_of(part, len(look.vertices)).made if made[0] != click[0]), click)
    name, model = queries.model_for(thing, look)  # thing and part are not to be touched after the first yield
    axes, granularity = tuple(part.mirror), part.granularity
    choose = queries.choosing(look, part, clicks)
    asked = yield from _worked(lambda: region.mirrored(clicks, look.vertices, axes, look.images), look)
    query = queries.Query(name, model, granularity, asked)
    answer = yield from queries.asking(query, look, device, queries.PREVIEW)
    _preview_took = answer.milliseconds
    return (yield from _worked(lambda: choose(answer), look))


def _worked(compute: Callable[[], Any], look: Look) -> Conversation:
    """Something computed now, of a large mesh on a thread."""
    return compute() if len(look.faces) <= meshes.SMALL else (yield Work(compute))
