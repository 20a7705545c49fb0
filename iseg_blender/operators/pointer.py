"""Mouse and keyboard actions on the clicks of the active part, shared by the modal operator and the toolbar's tool."""

import bpy

from ..document import parts
from ..document.editing_clicks import add_click
from ..document.properties import size_meant
from ..engine import queries
from ..live import answers
from ..mesh import usable
from ..tasks import Refusal
from ..viewport import preview
from ..viewport.aiming import Place, aimed, click_at, click_refusal
from ..viewport.preview import pick
from .base import ReasonedOperator

SCRIBBLE = 24.0  # pixels between two clicks of a stroke


class PointerOperator(ReasonedOperator):
    """Works where the mouse is."""

    @classmethod
    def refusal(cls, context):
        return click_refusal(context)

    def execute(self, context):
        self.report({"ERROR"}, "Clicking needs a mouse: scripts use bpy.ops.iseg.click_add(vertex=, positive=).")
        return {"CANCELLED"}

    def begin(self, context: bpy.types.Context) -> None:
        """Remember the ids of the object and the area: references to them could outlive them."""
        self._uid, self._area = context.object.session_uid, context.area.as_pointer()

    def lost(self, context: bpy.types.Context) -> bool:
        """Return True where the object, its mode or the editor is no longer the one that the operator began with."""
        obj, area = context.object, context.area
        if area is None or area.as_pointer() != self._area or area.type != "VIEW_3D":
            return True
        return bool(usable.refusal(obj)) or obj.session_uid != self._uid

    def obj(self) -> bpy.types.Object | None:
        """Return the object that the operator began with; None where it no longer exists."""
        return next((obj for obj in bpy.data.objects if obj.session_uid == self._uid), None)


def mouse_of(event: bpy.types.Event) -> Place:
    """Return the position of the mouse in pixels of the window."""
    return event.mouse_x, event.mouse_y


class Stroke:
    """Clicks that are made while a button is held down."""

    def __init__(self, operator: bpy.types.Operator, include: bool):
        self._operator, self._include = operator, include
        self._last: Place | None = None
        self.met = False  # True once the mouse was over the mesh

    def to(self, context: bpy.types.Context, mouse: Place) -> None:
        """Click at the mouse if it is at least SCRIBBLE pixels from the last click."""
        if self._last is not None:
            x, y = mouse[0] - self._last[0], mouse[1] - self._last[1]
            if x * x + y * y < SCRIBBLE**2:
                return
        self._last = mouse
        prompt = pick(context, mouse)
        if prompt is None:
            return
        self.met = True
        try:
            add_click(context.object, prompt, self._include, fresh=False)
        except Refusal as refusal:
            self._operator.report({"WARNING"}, str(refusal))
        preview.Hover.current().preview = None
        answers.retry()


def resize(context: bpy.types.Context, larger: bool) -> bool:
    """Let the first click mean the next larger or smaller part; returns True where there is one."""
    part = parts.part_of(context.object)
    answer = queries.answer_of(context.object, part) if part is not None else None
    if part is None or answer is None or not answer.sizes:
        return False
    sizes, now = answer.sizes, size_meant(part)
    nearest = min(range(len(sizes)), key=lambda k: abs(sizes[k] - now))
    chosen = parts.clamped(nearest + (1 if larger else -1), len(sizes))
    if chosen == nearest:
        return False
    part.size = sizes[chosen]
    hover = preview.Hover.current()
    hover.preview = hover.over = None  # the next movement of the mouse asks anew, also at the same place
    answers.retry()
    return True


def remove(context: bpy.types.Context, mouse: Place) -> bool:
    """Remove the click that is visible under the mouse; returns True where there was one."""
    aim, part = aimed(context.area, mouse), parts.part_of(context.object)
    index = click_at(context, *aim) if aim is not None else None
    if index is None or part is None:
        return False
    part.clicks.remove(index)
    part.click_index = parts.clamped(part.click_index, len(part.clicks))
    preview.Hover.current().preview = None
    answers.retry()
    return True
