"""What mouse and keys do to the clicks of the active part: the same behind the button and with the toolbar's tool."""

import time
from typing import Any

import bpy

from .. import live, meshes, queries, session, state, view
from .aiming import click_at, click_refusal, vertex_at
from .clicks import add_click
from .common import ReasonedOperator, Refusal

SCRIBBLE = 24.0  # pixels between two clicks of a stroke
QUICK = 50.0  # milliseconds: only then a preview is worth having

Cursor = tuple[float, float]  # pixels in the region

swapped = False  # whether a click excludes, and a Ctrl-click includes
_hovered: tuple[int | None, bool] | None = None  # what the mouse is over, and whether a click would include it
_pick_took = 0.0  # milliseconds, the last time


class PointerOperator(ReasonedOperator):
    """Works where the mouse is."""

    @classmethod
    def refusal(cls, context):
        return click_refusal(context)

    def execute(self, context):
        self.report({"ERROR"}, "Clicking needs a mouse: scripts use bpy.ops.iseg.click_add(vertex=, positive=).")
        return {"CANCELLED"}


def includes(ctrl: bool) -> bool:
    """Whether a click includes what it is made on."""
    return ctrl == swapped


def swap() -> None:
    global swapped
    swapped = not swapped


def reset() -> None:
    """As if nothing had been done yet."""
    global swapped, _hovered, _pick_took
    swapped, _hovered, _pick_took = False, None, 0.0


class Stroke:
    """The clicks that are made while a button is held down."""

    def __init__(self, operator: bpy.types.Operator, context: bpy.types.Context, region: Any, positive: bool):
        self._operator, self._context, self._region, self._positive = operator, context, region, positive
        self._last: Cursor | None = None
        self.met = False  # whether the mouse was over the mesh

    def to(self, cursor: Cursor) -> None:
        """Click here, where it is far enough from the last click."""
        if self._last is not None:
            x, y = cursor[0] - self._last[0], cursor[1] - self._last[1]
            if x * x + y * y < SCRIBBLE**2:
                return
        self._last = cursor
        vertex = pick(self._context, self._region, cursor)
        if vertex is None:
            return
        self.met = True
        try:
            add_click(self._context.object, vertex, self._positive, fresh=False)
        except Refusal as refusal:
            self._operator.report({"WARNING"}, str(refusal))
        view.preview = None
        live.retry()


def remove(context: bpy.types.Context, region: Any, cursor: Cursor) -> bool:
    """Remove the click that is seen under the cursor; whether there was one."""
    index, part = click_at(context, region, cursor), state.part_of(context.object)
    if index is None or part is None:
        return False
    part.clicks.remove(index)
    part.click_index = state.chosen(part.click_index, len(part.clicks))
    view.preview = None
    live.retry()
    return True


def pick(context: bpy.types.Context, region: Any, cursor: Cursor) -> int | None:
    """The vertex under the cursor."""
    global _pick_took
    began = time.perf_counter()
    vertex = vertex_at(context, region, cursor)
    _pick_took = (time.perf_counter() - began) * 1e3
    return vertex


def hover(context: bpy.types.Context, region: Any, cursor: Cursor | None, positive: bool) -> None:
    """Show what a click here would give, where the engine is quick enough; cursor None: over no mesh."""
    global _hovered
    vertex = None
    if cursor is not None and _pick_took <= QUICK:  # measured again with every click
        vertex = pick(context, region, cursor)
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
    part, look = state.part_of(thing), meshes.look_at(thing, fresh=False)
    query = queries.query_of(thing, part, look) if part is not None else None
    answer = queries.answers.get(query) if query is not None else None
    if part is None or query is None or answer is None or answer.milliseconds > QUICK or session.engine.busy:
        return
    query = query._replace(clicks=(*(click for click in query.clicks if click[0] != vertex), (vertex, positive)))
    threshold = None if part.automatic else part.threshold

    view.imagining = wanted = (query.mesh, vertex, positive)  # the operator may be gone when the answer comes

    def arrived(task):
        if task.error is None and view.imagining == wanted:
            limit = task.result.threshold if threshold is None else threshold
            view.preview = view.Preview(look.hash, task.result.probability >= limit)
            live.redraw()

    session.engine.start(queries.asking(query, look, context.scene.iseg.device), arrived)
    live.keep_pumping()
