"""Undo in edit mode, where Blender's own undo restores the mesh with all its layers, but not an object's properties.

So the mesh carries the hash of its objects' parts in the name of a vertex layer, and undo and redo look the state up by
that hash. A state covers all objects that share the mesh, for their clicks are steps of one history. Equal states have
the same hash.
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
from .parts import SavedClick

LAYER = ".sculpt_iseg_"  # prefix of the state's hash; Blender's lists hide few dotted names, .sculpt_ among them
LIMIT = 16384  # states kept: Blender keeps at most 256 undo steps, but a slider makes a state at every tick

PartsState = dict[int, parts_snapshot.Saved]  # by the object's session uid
Clicks = tuple[SavedClick, ...]


class UndoStates(Kept):
    """States that undo may come back to."""

    def __init__(self) -> None:
        # By the mesh's session uid and the state's hash.
        self.states: Recent[tuple[int, str], PartsState] = Recent(LIMIT)
        self.followed: set[int] = set()  # session uids of meshes that carry a hash; object mode follows no others
        self.busy = False  # set while parts are being changed: all of it is one step
        self.clicks: Recent[Clicks, Clicks] = Recent(256)  # clicks shared by several states


@contextmanager
def step(obj: bpy.types.Object) -> Iterator[None]:
    """Group changes of an object's parts or clicks into one undo step."""
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
    """Remember the state before a change, as a script or a file may have made it."""
    if _follows(obj):
        UndoStates.current().states.put((obj.data.session_uid, carried(obj)), _saved(obj))


def begin(obj: bpy.types.Object) -> None:
    """Remember the state before the first change in edit mode, for undo to bring back."""
    if not carried(obj):
        keep(obj)


def note(obj: bpy.types.Object) -> None:
    """Let the mesh carry the hash of the state after a change."""
    undo = UndoStates.current()
    if not undo.busy and _follows(obj):
        now = _saved(obj)
        name = hashlib.sha256(repr(sorted(now.items())).encode()).hexdigest()[:16]
        undo.states.put((obj.data.session_uid, name), now)
        if name != carried(obj):
            _carry(obj, name)


def restore(obj: bpy.types.Object, wanted: parts_snapshot.Saved) -> None:
    """Replace the parts of an object with these; the caller is to `note` the change."""
    undo = UndoStates.current()
    undo.busy = True
    try:
        parts_snapshot.restore(obj, wanted)
    finally:
        undo.busy = False


def recall() -> None:
    """Restore every object's state by the hash that its mesh carries, after undo and redo in edit mode."""
    undo = UndoStates.current()
    for obj in bpy.data.objects:
        if not usable.refusal(obj) and obj.data.is_editmode and obj.data.session_uid in undo.followed:
            wanted = undo.states.get((obj.data.session_uid, carried(obj)), {}).get(obj.session_uid)
            if wanted is not None and wanted != parts_snapshot.saved(obj):
                restore(obj, wanted)


def carried(obj: bpy.types.Object) -> str:
    """Hash that the mesh carries; empty where it carries none."""
    return next((layer.name.removeprefix(LAYER) for layer in _ours(obj)), "")


def _follows(obj: bpy.types.Object) -> bool:
    """Tell whether undo needs the hash: in edit mode, and for the rest of the session once a mesh carries one."""
    if usable.refusal(obj):
        return False
    followed = UndoStates.current().followed
    if obj.data.is_editmode or carried(obj):
        followed.add(obj.data.session_uid)
    return obj.data.session_uid in followed


def _saved(obj: bpy.types.Object) -> PartsState:
    """Snapshots of the parts of all objects that share this one's mesh."""
    sharing = usable.users(obj.data) if obj.data.users > 1 else [obj]
    return {user.session_uid: _slim(parts_snapshot.saved(user)) for user in sharing}


def _slim(saved: parts_snapshot.Saved) -> parts_snapshot.Saved:
    """Replace the clicks with equal ones of other states, so that states that differ in a setting alone share them."""
    return saved._replace(parts=tuple(part._replace(clicks=_common(part.clicks)) for part in saved.parts))


def _common(clicks: Clicks) -> Clicks:
    """Return the equal clicks that another state holds already, or these."""
    known = UndoStates.current().clicks
    if clicks not in known:
        known.put(clicks, clicks)
    return known.take(clicks) or clicks


def _layers(obj: bpy.types.Object):
    """Layers that can carry a hash: the attributes; in edit mode, where these are empty, those of the BMesh."""
    if obj.data.is_editmode:
        return bmesh.from_edit_mesh(obj.data).verts.layers.int
    return obj.data.attributes


def _ours(obj: bpy.types.Object) -> list:
    """Layers that carry a hash of iSeg. A file can hold names that are not UTF-8, which Python cannot read."""
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
