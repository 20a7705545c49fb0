"""The meshes that were read in this Blender session, as they are now or were when they were read last.

Nothing here waits: what takes long is yielded as work for a thread (tasks.py). Objects do not survive undo, so
everything is kept by the mesh's session uid.
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
SMALL = 200_000  # corners of polygons, or triangles: what is done at once; more of them on a thread
EDIT_LIMIT = 100_000  # vertices; of a million, Blender's own hand-over of edit mode takes a third of a second


class MeshCache(Kept):
    """The meshes that were read, by their session uid."""

    def __init__(self) -> None:
        self.snapshots: Recent[int, MeshSnapshot] = Recent(SNAPSHOTS_LIMIT)
        self.earlier: Recent[int, MeshSnapshot] = Recent(
            2
        )  # of those that have changed: undo and each redo come back to them
        self.stale: set[int] = set()  # those that Blender said have changed
        self.versions: Counter[int] = Counter()  # how often Blender said so, of a mesh or of what modifiers make of it


def taking(obj: bpy.types.Object, fresh: bool = False) -> Conversation:
    """The mesh of an object as it is now; large ones are worked on by a thread. fresh=False trusts what Blender says
    of changes: not for scripts, which can change a mesh without Blender noticing.
    """
    meshes, uid, snapshot = MeshCache.current(), obj.data.session_uid, known_snapshot(obj)
    if snapshot is not None and not fresh and uid not in meshes.stale:
        meshes.snapshots.put(uid, snapshot)
        return snapshot
    geometry = arrays.read(obj, snapshot.geometry if snapshot is not None and not fresh else None)
    meshes.stale.discard(uid)
    return (yield from keeping(uid, geometry))


def keeping(uid: int, geometry: Geometry) -> Conversation:
    """Of a mesh that has been read: what follows from it, made where it is another one than before."""
    meshes = MeshCache.current()
    known = [snapshot for snapshot in (meshes.snapshots.get(uid), meshes.earlier.get(uid)) if snapshot is not None]
    snapshot = next((snapshot for snapshot in known if snapshot.geometry.equals(geometry)), None)
    if snapshot is None:
        make = partial(MeshSnapshot, geometry)
        snapshot = make() if len(geometry.corners) <= SMALL else (yield ThreadWork(make))
    snapshot.geometry = geometry  # what is hidden may have changed
    if known and known[0] is not snapshot:
        meshes.earlier.put(uid, known[0])
    meshes.snapshots.put(uid, snapshot)
    return snapshot


def snapshot_of(obj: bpy.types.Object, fresh: bool = True) -> MeshSnapshot:
    """The same at once, for scripts."""
    return at_once(taking(obj, fresh))


def at_once(conversation: Conversation) -> Any:
    """The result of a conversation that needs no engine, its work done here and now."""
    done = None
    try:
        while True:
            work = conversation.send(done)
            assert isinstance(work, ThreadWork)
            done = work.compute()
    except StopIteration as end:
        return end.value


def waits(obj: bpy.types.Object) -> bool:
    """Whether what edit mode has changed is not looked at by itself, for that would hold Blender up."""
    large = obj.data.is_editmode and len(obj.data.vertices) > EDIT_LIMIT
    return large and (known_snapshot(obj) is None or obj.data.session_uid in MeshCache.current().stale)


def known_snapshot(obj: bpy.types.Object) -> MeshSnapshot | None:
    """The mesh of an object as it was when it was read last."""
    return MeshCache.current().snapshots.get(obj.data.session_uid)
