"""Reading of a mesh on a thread."""

import bpy

from .. import signals
from ..mesh import cache
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept
from ..tasks import Task
from . import running
from .pump import keep_pumping


class Readings(Kept):
    """Meshes that are being read."""

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}  # by session uid of the mesh


def snapshot_of(obj: bpy.types.Object) -> MeshSnapshot | None:
    """Return a snapshot of an object's mesh as it is now; None while a large one is being read, which this starts.

    Raises the error of a failed reading, once.
    """
    reading, uid, waited = Readings.current().tasks, obj.data.session_uid, False

    def ended(task: Task) -> None:
        if waited:
            signals.changed()

    task = reading.pop(uid, None) or running.engine().start(cache.taking(obj), ended)
    if not task.ended:
        waited = True
        reading[uid] = task
        keep_pumping()
        return None
    if task.error is not None:
        raise task.error
    return cache.known_snapshot(obj) if uid not in cache.MeshCache.current().stale else None
