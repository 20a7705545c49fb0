"""Undo in edit mode: Blender's own brings back the mesh with all its layers there, but not what an object keeps.

So the mesh carries the name of the state that its objects' parts are in, as the name of a layer of its vertices, and
undo and redo bring the state back by that name. It is the state of all objects that have this mesh, for their clicks
are steps of one order. A name is made from what the state holds, so equal states share it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import bmesh
import bpy

from ..core import Recent
from ..mesh import usable
from ..session import Kept
from . import snapshot

LAYER = ".sculpt_iseg_"  # before the state's name. Of what starts with a dot, Blender lists all but a few of its own
LIMIT = 16384  # states kept: Blender keeps at most 256 steps of undo, but a slider makes a state at every tick

State = dict[int, snapshot.Saved]  # by the object's session uid
Clicks = tuple[tuple[int, bool], ...]


class UndoStates(Kept):
    """The states that undo may come back to."""

    def __init__(self) -> None:
        self.states: Recent[tuple[int, str], State] = Recent(LIMIT)  # by the mesh's session uid and the state's name
        self.followed: set[int] = set()  # session uids of meshes that carry names; in object mode only then
        self.busy = False  # while parts are being changed: one step, whatever it consists of
        self.clicks: Recent[Clicks, Clicks] = Recent(256)  # those of states that have them in common


@contextmanager
def step(thing: bpy.types.Object) -> Iterator[None]:
    """A change of an object's parts or clicks, which undo takes back as one."""
    undo = UndoStates.current()
    if undo.busy or not _follows(thing):
        yield
        return
    keep(thing)
    before = _saved(thing)
    undo.busy = True
    try:
        yield
    finally:
        undo.busy = False
        if _saved(thing) != before:
            note(thing)


def keep(thing: bpy.types.Object) -> None:
    """Before a change: remember the state that a script or a file may have made."""
    if _follows(thing):
        UndoStates.current().states.put((thing.data.session_uid, carried(thing)), _saved(thing))


def begin(thing: bpy.types.Object) -> None:
    """In edit mode, before the first change: remember the state that undo is to bring back."""
    if not carried(thing):
        keep(thing)


def note(thing: bpy.types.Object) -> None:
    """After a change: let the mesh carry the name of the state that its objects are in now."""
    undo = UndoStates.current()
    if not undo.busy and _follows(thing):
        now = _saved(thing)
        name = hashlib.sha256(repr(sorted(now.items())).encode()).hexdigest()[:16]
        undo.states.put((thing.data.session_uid, name), now)
        if name != carried(thing):
            _carry(thing, name)


def restore(thing: bpy.types.Object, wanted: snapshot.Saved) -> None:
    """Give an object these parts and no others; what comes of it is for the caller to note."""
    undo = UndoStates.current()
    undo.busy = True
    try:
        snapshot.restore(thing, wanted)
    finally:
        undo.busy = False


def recall() -> None:
    """After undo and redo in edit mode: give every object the state whose name its mesh carries."""
    undo = UndoStates.current()
    for thing in bpy.data.objects:
        if not usable.refusal(thing) and thing.data.is_editmode and thing.data.session_uid in undo.followed:
            wanted = undo.states.get((thing.data.session_uid, carried(thing)), {}).get(thing.session_uid)
            if wanted is not None and wanted != snapshot.saved(thing):
                restore(thing, wanted)


def carried(thing: bpy.types.Object) -> str:
    """The name that the mesh carries; empty where it carries none."""
    return next((layer.name.removeprefix(LAYER) for layer in _ours(thing)), "")


def _follows(thing: bpy.types.Object) -> bool:
    """Whether undo needs the name: in edit mode, and ever after."""
    if usable.refusal(thing):
        return False
    followed = UndoStates.current().followed
    if thing.data.is_editmode or carried(thing):
        followed.add(thing.data.session_uid)
    return thing.data.session_uid in followed


def _saved(thing: bpy.types.Object) -> State:
    """The parts of all objects that have this one's mesh."""
    sharing = usable.users(thing.data) if thing.data.users > 1 else [thing]
    return {user.session_uid: _slim(snapshot.saved(user)) for user in sharing}


def _slim(saved: snapshot.Saved) -> snapshot.Saved:
    """The same; states that differ in a setting alone have their clicks in common."""
    return saved._replace(parts=tuple(part._replace(clicks=_common(part.clicks)) for part in saved.parts))


def _common(clicks: Clicks) -> Clicks:
    """The same clicks, as another state holds them already."""
    known = UndoStates.current().clicks
    if clicks not in known:
        known.put(clicks, clicks)
    return known.take(clicks) or clicks


def _layers(thing: bpy.types.Object):
    """What can carry a name: in edit mode the attributes are empty, and the layers of the BMesh count."""
    if thing.data.is_editmode:
        return bmesh.from_edit_mesh(thing.data).verts.layers.int
    return thing.data.attributes


def _ours(thing: bpy.types.Object) -> list:
    """The layers that carry a name of ours. A file can hold names that are not UTF-8, which Python cannot read."""
    found = []
    for layer in _layers(thing).values():
        try:
            found += [layer] if layer.name.startswith(LAYER) else []
        except UnicodeDecodeError:
            pass
    return found


def _carry(thing: bpy.types.Object, name: str) -> None:
    layers = _layers(thing)
    for old in [layer.name for layer in _ours(thing)]:
        layers.remove(layers[old])
    if thing.data.is_editmode:
        layers.new(LAYER + name)
    else:
        layers.new(LAYER + name, "INT", "POINT")
