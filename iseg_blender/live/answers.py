"""Live answers while a window is open: changes are noticed, queries are asked, the view is redrawn.

In background mode there are no timers: operators wait for what they need.
"""

import bpy

from ..core import EngineState, IsegError, Superseded
from ..document import parts
from ..engine import queries, training
from ..engine.models import ModelLists
from ..engine.pump import keep_pumping
from ..engine.queries import AnswerCache
from ..engine.reading import snapshot_of
from ..engine.running import Running
from ..mesh import cache, usable
from ..redraw import redraw
from ..session import Kept
from ..tasks import Task
from ..timers import Timers
from .groups import empty_live, write_live


class LiveAnswers(Kept):
    """Queries that are being asked without the user's request."""

    def __init__(self) -> None:
        self.asking: dict[queries.Query | str, Task] = {}  # by the query; without clicks, by the geometry's hash
        self.failed: set[queries.Query | str] = set()  # not asked again before the user does something
        self.noticed: set[int] = set()  # session uids of meshes that the sidebar showed before they were read


def changed() -> None:
    """Respond to a change of something that the region depends on."""
    redraw()
    Timers.current().begin(refresh)


def retry() -> None:
    """Allow failed queries to be asked again after an action of the user: they may work now."""
    LiveAnswers.current().failed.clear()
    changed()


def notice(obj: bpy.types.Object | None) -> None:
    """Begin to read the mesh of an object whose status the sidebar shows, where it has not been read yet."""
    if obj is None or usable.refusal(obj) or cache.known_snapshot(obj) is not None:
        return
    noticed = LiveAnswers.current().noticed
    if obj.data.session_uid not in noticed:
        noticed.add(obj.data.session_uid)
        Timers.current().begin(refresh)


def actives() -> list[tuple[bpy.types.Scene, bpy.types.Object]]:
    """Active objects of all windows, each once, with the scene whose settings apply to it."""
    manager = bpy.context.window_manager
    shown = [(window.scene, window.view_layer.objects.active) for window in (manager.windows if manager else ())]
    active = getattr(bpy.context, "object", None)  # missing while an area is being maximised
    shown.append((bpy.context.scene, active))  # in background mode there are no windows
    return list({obj.session_uid: (scene, obj) for scene, obj in shown if obj is not None}.values())


def refresh() -> None:
    for scene, obj in actives():
        _refresh_one(scene, obj)


def _refresh_one(scene: bpy.types.Scene, obj: bpy.types.Object) -> None:
    """Ask for the answer to the active part's clicks, or for the list of models, where it is unknown. Never blocks."""
    if usable.refusal(obj):
        return
    live, running, reports = LiveAnswers.current(), Running.current(), ModelLists.current().reports
    part, trained = parts.part_of(obj), bool(parts.trained_hash(obj))
    known, unread = cache.known_snapshot(obj), f"mesh {obj.data.session_uid}"
    ready = running.engine.state is EngineState.READY
    if part is None or not any(click.positive for click in part.clicks):
        empty_live(scene, obj, part)
    if not trained and (part is None or not len(part.clicks)):
        models = reports.get(known.hash) if known is not None else None
        if models is None and (obj.data.session_uid not in live.noticed or (known is not None and not ready)):
            return
        if models == []:
            return
    if cache.waits(obj):
        return redraw()  # the status that is shown is out of date
    try:
        snapshot = snapshot_of(obj)
        running.problems.pop(unread, None)
    except IsegError as error:
        running.problems[unread] = str(error)
        return redraw()
    if snapshot is not known:
        redraw()  # the object's status may have changed
    if snapshot is None:
        return  # called again once the mesh has been read
    query = queries.query_of(obj, part, snapshot) if part is not None else None
    if query is None and not trained and not ready and snapshot.hash not in reports:
        return  # no engine is started for a mesh without clicks
    if snapshot.hash in reports and (query is None or query in AnswerCache.current().answers):
        return _settle(scene, obj)
    asked = query or snapshot.hash
    if asked in live.asking or asked in live.failed:
        return

    def ended(task: Task) -> None:
        live.asking.pop(asked, None)
        if isinstance(task.error, Superseded):
            return changed()  # it may be needed again
        if task.error is not None:
            live.failed.add(asked)
            running.problems[snapshot.hash] = str(task.error)
        else:
            running.problems.pop(snapshot.hash, None)
            for scene, obj in actives():
                if obj.session_uid == uid:
                    _settle(scene, obj)
        redraw()

    uid = obj.session_uid
    conversation = queries.finding_models(obj, snapshot)
    if part is not None and query is not None:
        conversation = queries.answering(obj, part, snapshot, scene.iseg.device, f"shown {uid}")
    task = running.engine.start(conversation, ended)
    if not task.ended:
        live.asking[asked] = task
        keep_pumping()


def _settle(scene: bpy.types.Scene, obj: bpy.types.Object) -> None:
    """Update the properties of an object with what is known of it now."""
    snapshot = cache.known_snapshot(obj)
    if snapshot is None or usable.refusal(obj):
        return
    if ModelLists.current().reports.get(snapshot.hash) and parts.trained_hash(obj) != snapshot.hash:
        training.record(obj.session_uid, snapshot)  # undo took the record back, but a training is no undo step
    part = parts.part_of(obj)
    if part is not None and scene.iseg.live:
        write_live(obj, part, snapshot)
