"""Preview of the part with one more click, under the cursor."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import bpy
import numpy as np

from .. import redraw
from ..core import Click, EngineState, Prompt
from ..document import parts
from ..document.editing_clicks import check_topology
from ..document.properties import size_meant
from ..engine import models, pump, queries, running
from ..mesh import cache, region
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept
from ..tasks import Conversation, Refusal, ThreadWork
from .aiming import Place, aimed, prompt_at

QUICK = 50.0  # milliseconds: a slower preview is not worth having


class Preview(NamedTuple):
    """Region of a part with one more click."""

    mesh: str  # hash of its geometry
    inside: np.ndarray  # [P] bool


class Hover(Kept):
    """State of the hovering mouse: its target, and the preview of a click there."""

    def __init__(self) -> None:
        self.preview: Preview | None = None
        self.asked: Any = None  # the preview that is being computed
        self.swapped = False  # True: a click excludes, and a Ctrl-click includes
        self.over: tuple[Prompt | None, bool] | None = None  # what is under the mouse, and True where a click includes
        self.pick_took = self.preview_took = 0.0  # milliseconds that the last one took

    def reset(self) -> None:
        """Reset everything but the shown preview."""
        self.swapped, self.over, self.pick_took, self.preview_took = False, None, 0.0, 0.0

    def forget(self) -> None:
        """Remove the preview, and drop one that is being computed."""
        self.preview = self.asked = None


def includes(ctrl: bool) -> bool:
    """Tell whether a click includes the place that it is made on, rather than excludes it."""
    return ctrl == Hover.current().swapped


def swap() -> None:
    hover = Hover.current()
    hover.swapped = not hover.swapped


def pick(context: bpy.types.Context, mouse: Place) -> Prompt | None:
    """Pick the point or vertex under the mouse, and time it."""
    aim = aimed(context.area, mouse)
    if aim is None:
        return None
    began = time.perf_counter()
    prompt = prompt_at(context, *aim)
    Hover.current().pick_took = (time.perf_counter() - began) * 1e3
    return prompt


def hover(context: bpy.types.Context, mouse: Place | None, include: bool) -> None:
    """Show the preview of a click here, where the engine is quick enough. mouse None: over no mesh.

    The last preview is shown until the next is there; while that is computed, no other is asked for.
    """
    hover, prompt = Hover.current(), None
    if mouse is not None and hover.pick_took <= QUICK:  # measured again with every click
        prompt = pick(context, mouse)
    if (prompt, include) == hover.over:
        return
    if prompt is not None and hover.asked is not None and hover.asked[2] == include:
        hover.over = None  # the next movement of the mouse asks
        return
    hover.over, hover.asked = (prompt, include), None
    if (prompt is None or not _imagine(context, prompt, include)) and hover.preview is not None:
        hover.preview = None
        redraw.redraw()


def _imagine(context: bpy.types.Context, prompt: Prompt, include: bool) -> bool:
    """Ask for a preview; returns False where it is not worth it."""
    hover, obj = Hover.current(), context.object
    part, snapshot = parts.part_of(obj) or queries.NEW_PART, cache.snapshot_of(obj, fresh=False)
    if not _worth(obj, part, snapshot):
        return False
    hover.asked = wanted = (snapshot.hash, prompt, include)  # the operator may have ended when the answer comes

    def arrived(task):
        if hover.asked == wanted:
            hover.asked = None
            hover.preview = Preview(snapshot.hash, task.result) if task.error is None else None
            redraw.redraw()

    running.engine().start(imagining(obj, part, snapshot, Click(prompt, include), context.scene.iseg.device), arrived)
    pump.keep_pumping()
    return True


def _worth(obj: bpy.types.Object, part: Any, snapshot: MeshSnapshot) -> bool:
    """Tell whether a preview is likely to be ready before the mouse moves on. No engine is started for one."""
    engine, reports = running.engine(), models.ModelLists.current().reports
    if engine.busy or engine.state is not EngineState.READY or snapshot.hash not in reports:
        return False
    try:
        check_topology(obj, snapshot)
    except Refusal:
        return False
    if not len(part.clicks):
        return Hover.current().preview_took <= QUICK
    answer = queries.answer_of(obj, part)
    return answer is not None and answer.milliseconds <= QUICK


def imagining(obj: bpy.types.Object, part: Any, snapshot: MeshSnapshot, click: Click, device: str) -> Conversation:
    """Compute the region of a part with one more click, which replaces any other at its place. [P] bool"""
    clicks = (
        *(made for made in parts.clicks_of(part, snapshot.geometry).made if made.prompt != click.prompt),
        click,
    )
    name, model = models.model_for(obj, snapshot)  # after the first yield, obj and part must not be used
    axes, size, plain = tuple(part.mirror), size_meant(part), queries.is_plain(obj, snapshot)
    choose = queries.choosing(snapshot, part, clicks)
    asked = yield from _worked(lambda: region.mirrored(clicks, axes, snapshot.image), snapshot)
    query = queries.Query(name, model, size, asked, plain)
    answer = yield from queries.asking(query, snapshot, device, queries.PREVIEW)
    Hover.current().preview_took = answer.milliseconds
    return (yield from _worked(lambda: choose(answer), snapshot))


def _worked(compute: Callable[[], Any], snapshot: MeshSnapshot) -> Conversation:
    """Compute something, for a large mesh on a thread."""
    return compute() if len(snapshot.faces) <= cache.SMALL else (yield ThreadWork(compute))
