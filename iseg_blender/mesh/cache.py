"""The meshes that were read in this Blender session, as they are now or were when they were read last.

Nothing here waits: what takes long is yielded as work for a thread (engine.py). Objects do not survive undo, so
everything is kept by the mesh's session uid.
"""

from collections import Counter
from functools import partial
from typing import Any

import bpy

from ..core import Recent
from ..session import Kept
from ..tasks import Conversation, Work
from . import arrays
from .geometry import Geometry
from .snapshot import Look

LOOKS_LIMIT = 8
SMALL = 200_000  # corners of polygons, or triangles: what is done at once; more of them on a thread
EDIT_LIMIT = 100_000  # vertices; of a million, Blender's own hand-over of edit mode takes a third of a second


class MeshCache(Kept):
    """The meshes that were read, by their session uid."""

    def __init__(self) -> None:
        self.looks: Recent[int, Look] = Recent(LOOKS_LIMIT)
        self.earlier: Recent[int, Look] = Recent(2)  # of those that have changed: undo and each redo come back to them
        self.stale: set[int] = set()  # those that Blender said have changed
        self.versions: Counter[int] = Counter()  # how often Blender said so, of a mesh or of what modifiers make of it


def looking(thing: bpy.types.Object, fresh: bool = False) -> Conversation:
    """The mesh of an object as it is now; large ones are worked on by a thread. fresh=False trusts what Blender says
    of changes: not for scripts, which can change a mesh without Blender noticing.
    """
    meshes, uid, look = MeshCache.current(), thing.data.session_uid, known_look(thing)
    if look is not None and not fresh and uid not in meshes.stale:
        meshes.looks.put(uid, look)
        return look
    geometry = arrays.read(thing, look.geometry if look is not None and not fresh else None)
    meshes.stale.discard(uid)
    return (yield from keeping(uid, geometry))


def keeping(uid: int, geometry: Geometry) -> Conversation:
    """Of a mesh that has been read: what follows from it, made where it is another one than before."""
    meshes = MeshCache.current()
    known = [look for look in (meshes.looks.get(uid), meshes.earlier.get(uid)) if look is not None]
    look = next((look for look in known if look.geometry.equals(geometry)), None)
    if look is None:
        make = partial(Look, geometry)
        look = make() if len(geometry.corners) <= SMALL else (yield Work(make))
    look.geometry = geometry  # what is hidden may have changed
    if known and known[0] is not look:
        meshes.earlier.put(uid, known[0])
    meshes.looks.put(uid, look)
    return look


def look_at(thing: bpy.types.Object, fresh: bool = True) -> Look:
    """The same at once, for scripts."""
    return at_once(looking(thing, fresh))


def at_once(conversation: Conversation) -> Any:
    """The result of a conversation that needs no engine, its work done here and now."""
    done = None
    try:
        while True:
            work = conversation.send(done)
            assert isinstance(work, Work)
            done = work.compute()
    except StopIteration as end:
        return end.value


def waits(thing: bpy.types.Object) -> bool:
    """Whether what edit mode has changed is not looked at by itself, for that would hold Blender up."""
    large = thing.data.is_editmode and len(thing.data.vertices) > EDIT_LIMIT
    return large and (known_look(thing) is None or thing.data.session_uid in MeshCache.current().stale)


def known_look(thing: bpy.types.Object) -> Look | None:
    """The mesh of an object as it was when it was read last."""
    return MeshCache.current().looks.get(thing.data.session_uid)
