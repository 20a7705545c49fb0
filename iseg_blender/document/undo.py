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
from . import parts_snapshot

LAYER = ".sculpt_iseg_"  # before the state's name. Of what starts with a dot, Blender lists all but a few of its own
LIMIT = 16384  # states kept: Blender keeps at most 256 steps of undo, but a slider makes a state at every tick

PartsState = dict[int, parts_snapshot.Saved]  # by the object's session uid
Clicks = tuple[tuple[int, bool], ...]


class UndoStates(Kept):
    """The states that undo may come back to."""

    def __init__(self) -> None:
        self.states: Recent[tuple[int, str], PartsState] = Recent(
            LIMIT
        )  # by the mesh's session uid and the state's name
        self.followed: set[int] = set()  # session uids of meshes that carry names; in object mode only then
        self.busy = False  # while parts are being changed: one step, whatever it consists of
        self.clicks: Recent[Clicks, Clicks] = Recent(256)  # those of states that have them in common


@contextmanager
def step(obj: bpy.types.Object) -> Iterator[None]:
    """A change of an object's parts or clicks, which undo takes back as one."""
    undo = UndoStates.current()
    if undo.busy or not _follows(obj):
        yield
        return
    keep(obj)
    before = _saved(obj)
    undo.busy = True
    try:
        yield
    finally:
        undo.busy = False
        if _saved(obj) != before:
            note(obj)


def keep(obj: bpy.types.Object) -> None:
    """Before a change: remember the state that a script or a file may have made."""
    if _follows(obj):
        UndoStates.current().states.put((obj.data.session_uid, carried(obj)), _saved(obj))


def begin(obj: bpy.types.Object) -> None:
    """In edit mode, before the first change: remember the state that undo is to bring back."""
    if not carried(obj):
        keep(obj)


def note(obj: bpy.types.Object) -> None:
    """After a change: let the mesh carry the name of the state that its objects are in now."""
    undo = UndoStates.current()
    if not undo.busy and _follows(obj):
        now = _saved(obj)
        name = hashlib.sha256(repr(sorted(now.items())).encode()).hexdigest()[:16]
        undo.states.put((obj.data.session_uid, name), now)
        if name != carried(obj):
            _carry(obj, name)


def restore(obj: bpy.types.Object, wanted: parts_snapshot.Saved) -> None:
    """Give an object these parts and no others; what comes of it is for the caller to note."""
    undo = UndoStates.current()
    undo.busy = True
    try:
        parts_snapshot.restore(obj, wanted)
    finally:
        undo.busy = False


def recall() -> None:
    """After undo and redo in edit mode: give every object the state whose name its mesh carries."""
    undo = UndoStates.current()
    for obj in bpy.data.objects:
        if not usable.refusal(obj) and obj.data.is_editmode and obj.data.session_uid in undo.followed:
            wanted = undo.states.get((obj.data.session_uid, carried(obj)), {}).get(obj.session_uid)
            if wanted is not None and wanted != parts_snapshot.saved(obj):
                restore(obj, wanted)


def carried(obj: bpy.types.Object) -> str:
    """The name that the mesh carries; empty where it carries none."""
    return next((layer.name.removeprefix(LAYER) for layer in _ours(obj)), "")


def _follows(obj: bpy.types.Object) -> bool:
    """Whether undo needs the name: in edit mode, and ever after."""
    if usable.refusal(obj):
        return False
    followed = UndoStates.current().followed
    if obj.data.is_editmode or carried(obj):
        followed.add(obj.data.session_uid)
    return obj.data.session_uid in followed


def _saved(obj: bpy.types.Object) -> PartsState:
    """The parts of all objects that have this one's mesh."""
    sharing = usable.users(obj.data) if obj.data.users > 1 else [obj]
    return {user.session_uid: _slim(parts_snapshot.saved(user)) for user in sharing}


def _slim(saved: parts_snapshot.Saved) -> parts_snapshot.Saved:
    """The same; states that differ in a setting alone have their clicks in common."""
    return saved._replace(parts=tuple(part._replace(clicks=_common(part.clicks)) for part in saved.parts))


def _common(clicks: Clicks) -> Clicks:
    """The same clicks, as another state holds them already."""
    known = UndoStates.current().clicks
    if clicks not in known:
        known.put(clicks, clicks)
    return known.take(clicks) or clicks


def _layers(obj: bpy.types.Object):
    """What can carry a name: in edit mode the attributes are empty, and the layers of the BMesh count."""
    if obj.data.is_editmode:
        return bmesh.from_edit_mesh(obj.data).verts.layers.int
    return obj.data.attributes


def _ours(obj: bpy.types.Object) -> list:
    """The layers that carry a name of ours. A file can hold names that are not UTF-8, which Python cannot read."""
    found = []
    for layer in _layers(obj).values():
        try:
            found += [layer] if layer.name.startswith(LAYER) else []
        except UnicodeDecodeError:
            pass
    return found


def _carry(obj: bpy.types.Object, name: str) -> None:
    layers = _layers(obj)
    for old in [layer.name for layer in _ours(obj)]:
        layers.remove(layers[old])
    if obj.data.is_editmode:
        layers.new(LAYER + name)
    else:
        layers.new(LAYER + name, "INT", "POINT")
