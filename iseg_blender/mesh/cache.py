"""Cache of the meshes that were read in this Blender session, each as it was when it was read last.

Nothing here blocks: long computations are yielded as work for a thread (tasks.py). References to objects do not survive
undo, so the key is the mesh's session uid.
"""

from collections import Counter
from functools import partial
from typing import Any

import bpy

from ..core import Recent
from ..session import Kept
from ..tasks import Conversation, ThreadWork
from . import arrays
from .geometry import Geometry
from .snapshot import MeshSnapshot

SNAPSHOTS_LIMIT = 8
SMALL = 200_000  # corners of polygons, or triangles: up to so many are processed at once, more on a thread
EDIT_LIMIT = 100_000  # vertices; for a million, Blender takes a third of a second to hand over the edit-mode mesh


class MeshCache(Kept):
    """Snapshots of the meshes that were read, by session uid."""

    def __init__(self) -> None:
        self.snapshots: Recent[int, MeshSnapshot] = Recent(SNAPSHOTS_LIMIT)
        # Snapshots from before the last change of a mesh: undo and each redo come back to them.
        self.earlier: Recent[int, MeshSnapshot] = Recent(2)
        self.stale: set[int] = set()  # meshes that Blender reported as changed
        self.versions: Counter[int] = Counter()  # number of such reports, of the mesh or of its evaluated surface


def taking(obj: bpy.types.Object, fresh: bool = False) -> Conversation:
    """Take a snapshot of an object's mesh as it is now; a large mesh is processed on a thread.

    fresh=False relies on Blender's reports of changes: not for scripts, which can change a mesh without Blender
    noticing.
    """
    meshes, uid, snapshot = MeshCache.current(), obj.data.session_uid, known_snapshot(obj)
    if snapshot is not None and not fresh and uid not in meshes.stale:
        meshes.snapshots.put(uid, snapshot)
        return snapshot
    geometry = arrays.read(obj, snapshot.geometry if snapshot is not None and not fresh else None)
    meshes.stale.discard(uid)
    return (yield from keeping(uid, geometry))


def keeping(uid: int, geometry: Geometry) -> Conversation:
    """Keep the snapshot of a mesh that has been read; a new one is made where the mesh has changed."""
    meshes = MeshCache.current()
    known = [snapshot for snapshot in (meshes.snapshots.get(uid), meshes.earlier.get(uid)) if snapshot is not None]
    snapshot = next((snapshot for snapshot in known if snapshot.geometry.equals(geometry)), None)
    if snapshot is None:
        make = partial(MeshSnapshot, geometry)
        snapshot = make() if len(geometry.corners) <= SMALL else (yield ThreadWork(make))
    snapshot.geometry = geometry  # hidden polygons may have changed
    if known and known[0] is not snapshot:
        meshes.earlier.put(uid, known[0])
    meshes.snapshots.put(uid, snapshot)
    return snapshot


def snapshot_of(obj: bpy.types.Object, fresh: bool = True) -> MeshSnapshot:
    """Take a snapshot as `taking` does, but at once, for scripts."""
    return at_once(taking(obj, fresh))


def at_once(conversation: Conversation) -> Any:
    """Run a conversation that needs no engine to its end, its thread work on this thread; return its result."""
    done = None
    try:
        while True:
            work = conversation.send(done)
            assert isinstance(work, ThreadWork)
            done = work.compute()
    except StopIteration as end:
        return end.value


def waits(obj: bpy.types.Object) -> bool:
    """Tell whether a changed mesh in edit mode is too large to be read by itself: that would hold Blender up."""
    large = obj.data.is_editmode and len(obj.data.vertices) > EDIT_LIMIT
    return large and (known_snapshot(obj) is None or obj.data.session_uid in MeshCache.current().stale)


def known_snapshot(obj: bpy.types.Object) -> MeshSnapshot | None:
    """Snapshot of an object's mesh from when it was read last; None where it never was."""
    return MeshCache.current().snapshots.get(obj.data.session_uid)
