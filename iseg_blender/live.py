"""What happens by itself while a window is open: answers arrive, changes are noticed, the view is drawn again.

In background mode there are no timers: operators wait for what they need.
"""

import traceback

import bpy
from bpy.app.handlers import persistent

from . import history, mesh_io, meshes, queries, session, state
from .core import IsegError, State, Superseded
from .engine import PUMP_INTERVAL, Task
from .look import Look

CALM = 0.25  # seconds without a change before the mesh is read again

_reading: dict[int, Task] = {}  # by session uid of the mesh
_asking: dict[queries.Query | str, Task] = {}  # by the query; without clicks, by the geometry's name
_failed: set[queries.Query | str] = set()  # not asked again by themselves
_noticed: int | None = None  # session uid of the mesh that the sidebar has shown last before anybody had read it
_written: dict[int, tuple] = {}  # by session uid of the object: what its vertex group was written from last


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
    global _noticed
    if thing is None or mesh_io.refusal(thing) or meshes.known_look(thing) is not None:
        return
    if thing.data.session_uid != _noticed:
        _noticed = thing.data.session_uid
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


def _refresh() -> None:
    """Ask for what the active part's clicks mean now, or which models there are, where it is not known. Never waits."""
    thing = bpy.context.object
    if thing is None or mesh_io.refusal(thing):
        return
    part, trained = state.part_of(thing), bool(state.trained_name(thing))
    known, unread = meshes.known_look(thing), f"mesh {thing.data.session_uid}"
    running = session.engine.state is State.READY
    if not trained and (part is None or not len(part.clicks)):
        if thing.data.session_uid != _noticed:
            return
        if known is not None and (known.hash in queries.models or not running):
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
    if query is None and not trained and not running:
        return  # no engine is started for a mesh that nobody has clicked
    if look.hash in queries.models and (query is None or query in queries.answers):
        return _write_live(thing.session_uid)
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
            _write_live(thing_uid)
        redraw()

    thing_uid = thing.session_uid
    conversation = queries.finding_models(thing, look)
    if part is not None and query is not None:
        conversation = queries.answering(thing, part, look, bpy.context.scene.iseg.device, queries.SHOWN)
    task = session.engine.start(conversation, ended)
    if not task.ended:
        _asking[asked] = task
        keep_pumping()


def _write_live(thing_uid: int) -> None:
    """Write the vertex group of the active part again, where that is wished and it is another one now."""
    thing = bpy.context.object
    if thing is None or thing.session_uid != thing_uid or mesh_io.refusal(thing) or not bpy.context.scene.iseg.live:
        return
    part, look = state.part_of(thing), meshes.known_look(thing)
    query = queries.query_of(thing, part, look) if part is not None and look is not None else None
    if part is None or look is None or query is None or query not in queries.answers:
        return
    name = state.title(part)
    wanted = (name, query, part.connected and (part.automatic, part.threshold))
    if _written.get(thing_uid) == wanted:  # writing it changes the mesh, and what changes a mesh leads here
        return
    why = mesh_io.group_refusal(thing, name)
    if why:
        session.problems[look.hash] = why
        return redraw()
    session.problems.pop(look.hash, None)
    _written[thing_uid] = wanted
    mesh_io.write_group(thing, name, queries.weights_of(thing, part, queries.answers[query]))


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
    thing = bpy.context.object
    if thing is not None and not mesh_io.refusal(thing) and thing.data.is_editmode:
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
    for memory in (_reading, _asking, _failed, _written):
        memory.clear()
    global _noticed
    _noticed = None
