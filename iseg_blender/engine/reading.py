"""Reading a mesh on a thread."""

import bpy

from .. import signals
from ..mesh import cache
from ..mesh.snapshot import Look
from ..tasks import Task
from . import session
from .pump import keep_pumping

reading: dict[int, Task] = {}  # by session uid of the mesh


def look_at(thing: bpy.types.Object) -> Look | None:
    """The mesh of an object as it is now; None while a large one is being read, which this begins.

    Raises the error, once, where that has failed.
    """
    uid, waited = thing.data.session_uid, False

    def ended(task: Task) -> None:
        if waited:
            signals.changed()

    task = reading.pop(uid, None) or session.engine.start(cache.looking(thing), ended)
    if not task.ended:
        waited = True
        reading[uid] = task
        keep_pumping()
        return None
    if task.error is not None:
        raise task.error
    return cache.known_look(thing) if uid not in cache.stale else None
