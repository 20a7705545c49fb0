"""What happens by itself while a window is open: answers arrive, changes are noticed, the view is drawn again.

In background mode there are no timers: operators wait for what they need.
"""

import traceback

import bpy
import numpy as np
from bpy.app.handlers import persistent

from . import history, mesh_io, meshes, queries, session, state, training
from .core import IsegError, State, Superseded
from .engine import PUMP_INTERVAL, Task
from .look import Look

CALM = 0.25  # seconds without a change before the mesh is read again

_reading: dict[int, Task] = {}  # by session uid of the mesh
_asking: dict[queries.Query | str, Task] = {}  # by the query; without clicks, by the geometry's name
_failed: set[queries.Query | str] = set()  # not asked again by themselves
_noticed: set[int] = set()  # session uids of meshes that the sidebar has shown before anybody had read them
_written: dict[
    tuple[int, str], tuple
] = {}  # by the object's session uid and the group's name: what it was written from


def changed() -> None:
    """Something that the region depends on is another now."""
    redraw()
    if not bpy.app.background and not bpy.app.timers.is_registered(_refresh):
        bpy.app.timers.register(_refresh, first_interval=0.0)


def retry() -> None:
    """The user has done something: what failed may work now."""
    _failed.clear()
    changed()


def notice(thing: bpy.types.Object | None) -> None:
    """The sidebar shows how an object stands. Where nobody has looked at its mesh yet, that is begun."""
    if thing is None or mesh_io.refusal(thing) or meshes.known_look(thing) is not None:
        return
    if thing.data.session_uid not in _noticed:
        _noticed.add(thing.data.session_uid)
        if not bpy.app.background and not bpy.app.timers.is_registered(_refresh):
            bpy.app.timers.register(_refresh, first_interval=0.0)


def redraw(views: bool = True) -> None:
    """Have what shows something of iSeg drawn again. views: also what lies over the mesh."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "PREFERENCES" or (area.type == "VIEW_3D" and views):
                area.tag_redraw()
            elif area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def keep_pumping() -> None:
    """Hand out the engine's answers until none is expected any more."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_pump):
        bpy.app.timers.register(_pump, first_interval=PUMP_INTERVAL, persistent=True)  # a training outlives its file


def _pump() -> float | None:
    try:
        arrived = session.engine.pump()
        if arrived:
            redraw(views=arrived != {"progress"})  # a large mesh takes long to draw, a bar does not
    except Exception:  # a defect of ours; a timer that raises is never called again
        traceback.print_exc()
    return PUMP_INTERVAL if session.engine.busy else None


def look_at(thing: bpy.types.Object) -> Look | None:
    """The mesh of an object as it is now; None while a large one is being read, which this begins.

    Raises the error, once, where that has failed.
    """
    uid, waited = thing.data.session_uid, False

    def ended(task: Task) -> None:
        if waited:
            changed()

    task = _reading.pop(uid, None) or session.engine.start(meshes.looking(thing), ended)
    if not task.ended:
        waited = True
        _reading[uid] = task
        keep_pumping()
        return None
    if task.error is not None:
        raise task.error
    return meshes.known_look(thing) if uid not in meshes.stale else None


def actives() -> list[tuple[bpy.types.Scene, bpy.types.Object]]:
    """The active object of every window, each once, with the scene whose settings are its."""
    manager = bpy.context.window_manager
    shown = [(window.scene, window.view_layer.objects.active) for window in (manager.windows if manager else ())]
    active = getattr(bpy.context, "object", None)  # there is none while an area is being maximised
    shown.append((bpy.context.scene, active))  # in background mode there are no windows
    return list({thing.session_uid: (scene, thing) for scene, thing in shown if thing is not None}.values())


def _refresh() -> None:
    for scene, thing in actives():
        _refresh_one(scene, thing)


def _refresh_one(scene: bpy.types.Scene, thing: bpy.types.Object) -> None:
    """Ask for what the active part's clicks mean now, or which models there are, where it is not known. Never waits."""
    if mesh_io.refusal(thing):
        return
    part, trained = state.part_of(thing), bool(state.trained_name(thing))
    known, unread = meshes.known_look(thing), f"mesh {thing.data.session_uid}"
    running = session.engine.state is State.READY
    if part is None or not any(click.positive for click in part.clicks):
        _empty_live(scene, thing, part)
    if not trained and (part is None or not len(part.clicks)):
        models = queries.models.get(known.hash) if known is not None else None
        if models is None and (thing.data.session_uid not in _noticed or (known is not None and not running)):
            return
        if models == []:
            return
    if meshes.waits(thing):
        return redraw()  # what is shown is out of date
    try:
        look = look_at(thing)
        session.problems.pop(unread, None)
    except IsegError as error:
        session.problems[unread] = str(error)
        return redraw()
    if look is not known:
        redraw()  # the object's state may be another
    if look is None:
        return  # once it has been read, this is called again
    query = queries.query_of(thing, part, look) if part is not None else None
    if query is None and not trained and not running and look.hash not in queries.models:
        return  # no engine is started for a mesh that nobody has clicked
    if look.hash in queries.models and (query is None or query in queries.answers):
        return _settle(scene, thing)
    asked = query or look.hash
    if asked in _asking or asked in _failed:
        return

    def ended(task: Task) -> None:
        _asking.pop(asked, None)
        if isinstance(task.error, Superseded):
            return changed()  # it may be wanted again
        if task.error is not None:
            _failed.add(asked)
            session.problems[look.hash] = str(task.error)
        else:
            session.problems.pop(look.hash, None)
            for scene, thing in actives():
                if thing.session_uid == uid:
                    _settle(scene, thing)
        redraw()

    uid = thing.session_uid
    conversation = queries.finding_models(thing, look)
    if part is not None and query is not None:
        conversation = queries.answering(thing, part, look, scene.iseg.device, f"shown {uid}")
    task = session.engine.start(conversation, ended)
    if not task.ended:
        _asking[asked] = task
        keep_pumping()


def _settle(scene: bpy.types.Scene, thing: bpy.types.Object) -> None:
    """What an object keeps of what is known of it now."""
    look = meshes.known_look(thing)
    if look is None or mesh_io.refusal(thing):
        return
    if queries.models.get(look.hash) and state.trained_name(thing) != look.hash:
        training.record(thing.session_uid, look)  # a training is no step of undo, and undo has forgotten it
    part = state.part_of(thing)
    if part is not None and scene.iseg.live:
        _write_live(thing, part, look)


def _write_live(thing: bpy.types.Object, part: state.Part, look: Look) -> None:
    """Write the vertex group of the active part again, where it is another one now."""
    query, name = queries.query_of(thing, part, look), state.title(part)
    if query is None or query not in queries.answers:
        return
    key, wanted = (thing.session_uid, name), (query, part.connected and (part.automatic, part.threshold))
    if _written.get(key) == wanted:  # writing it changes the mesh, and what changes a mesh leads here
        return
    why = mesh_io.group_refusal(thing, name)
    if not why and name in thing.vertex_groups and part.group != name and key not in _written:
        why = f"There was a vertex group {name} before: press To Vertex Group to replace it, or rename the part."
    if why:
        session.problems[look.hash] = why
        return redraw()
    session.problems.pop(look.hash, None)
    _written[key] = wanted
    part.group = mesh_io.write_group(thing, name, queries.weights_of(thing, part, queries.answers[query]))


def _empty_live(scene: bpy.types.Scene, thing: bpy.types.Object, part: state.Part | None) -> None:
    """The group of a part that includes nothing any more, or whose clicks were taken back with the part itself."""
    for key in list(_written) if scene.iseg.live else ():
        uid, name = key
        if uid == thing.session_uid and (part is None or name == state.title(part)) and _written[key]:
            _written[key] = ()
            if name in thing.vertex_groups and not mesh_io.group_refusal(thing, name):
                mesh_io.write_group(thing, name, np.zeros(mesh_io.vertex_count(thing), np.float32))


def leave(thing: bpy.types.Object, name: str) -> None:
    """The part of this name is removed, and its vertex group is to stay as it is."""
    _written.pop((thing.session_uid, name), None)


@persistent
def on_update(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Blender says what has changed."""
    geometry = False
    for update in depsgraph.updates:
        if update.is_updated_geometry:
            thing = update.id.original
            mesh = thing.data if isinstance(thing, bpy.types.Object) else thing
            if isinstance(mesh, bpy.types.Mesh):
                meshes.stale.add(mesh.session_uid)
                meshes.versions[mesh.session_uid] += 1
                geometry = True
    for _, thing in actives():
        if not mesh_io.refusal(thing) and thing.data.is_editmode:
            history.begin(thing)
    if geometry and not bpy.app.background:
        if bpy.app.timers.is_registered(_refresh):
            bpy.app.timers.unregister(_refresh)
        bpy.app.timers.register(_refresh, first_interval=CALM)


@persistent
def on_everything(*_: object) -> None:
    """After undo, redo and load every mesh may be another."""
    meshes.stale.update(meshes.looks)
    _written.clear()
    history.recall()
    changed()


@persistent
def on_arrival(*given: object) -> None:
    """After load, and after something was appended from another file."""
    state.mend()
    on_everything()


HANDLERS = (
    (bpy.app.handlers.depsgraph_update_post, on_update),
    (bpy.app.handlers.undo_post, on_everything),
    (bpy.app.handlers.redo_post, on_everything),
    (bpy.app.handlers.load_post, on_arrival),
)
if hasattr(bpy.app.handlers, "blend_import_post"):  # from Blender 4.3 on
    HANDLERS += ((bpy.app.handlers.blend_import_post, on_arrival),)


def start() -> None:
    if hasattr(bpy.data, "objects"):  # not while Blender itself starts
        state.mend()
    for handlers, handler in HANDLERS:
        handlers.append(handler)


def stop() -> None:
    for handlers, handler in HANDLERS:
        if handler in handlers:
            handlers.remove(handler)
    for timer in (_pump, _refresh):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    for memory in (_reading, _asking, _failed, _noticed, _written):
        memory.clear()
