"""Training of meshes: at most one at a time for each geometry."""

from collections.abc import Callable

import bpy

from ..core import Cancelled, messages
from ..document import properties
from ..mesh import cache, usable
from ..mesh.snapshot import MeshSnapshot
from ..tasks import Ask, Conversation, Task
from . import models, queries
from .models import ModelLists
from .running import Running


def train(
    obj: bpy.types.Object,
    settings: properties.SceneSettings,
    then: Callable[[], None] = lambda: None,
    fresh: bool = True,
) -> Task:
    """Start the training of an object's mesh; returns the running one, if any. then: called after its end."""
    snapshot, uid = cache.snapshot_of(obj, fresh), obj.session_uid
    name = snapshot.hash
    running = Running.current()
    if name in running.trainings:
        return running.trainings[name]
    running.problems.pop(name, None)

    def ended(task: Task) -> None:
        running.trainings.pop(name, None)
        if isinstance(task.error, Cancelled):
            pass  # the user cancelled it: no error to show
        elif task.error is not None:
            running.problems[name] = str(task.error)
        else:
            if task.result.unsaved:
                running.problems[name] = task.result.unsaved
            record(uid, snapshot)
        then()

    task = running.engine.start(learning(snapshot, settings.teacher, settings.preset, settings.device), ended)
    task.title = usable.name_of(obj)
    if not task.ended:
        running.trainings[name] = task
    return task


def training_of(obj: bpy.types.Object | None) -> Task | None:
    """Return the running training of an object's mesh; None where there is none."""
    snapshot = cache.known_snapshot(obj) if obj is not None and obj.type == "MESH" else None
    return Running.current().trainings.get(snapshot.hash) if snapshot is not None else None


def learning(snapshot: MeshSnapshot, teacher: str, preset: str, device: str) -> Conversation:
    """Have the engine train a mesh, or return the model from its cache where it has been trained already."""
    yield from queries.opening(snapshot)
    reply = yield Ask(messages.TrainRequest(mesh=snapshot.hash, teacher=teacher, preset=preset, device=device))
    result = messages.TrainResult.from_fields(reply.fields)
    made, known = result.model, ModelLists.current()
    others = [report for report in known.reports[snapshot.hash] if report.name != made.name]
    known.reports[snapshot.hash], known.chosen[snapshot.hash] = [made, *others], made.name
    known.poses[snapshot.topology] = snapshot.hash
    return result


def record(uid: int, snapshot: MeshSnapshot) -> None:
    """Save in the object which geometry and model were trained, so that another pose or session finds the model."""
    obj = next((obj for obj in bpy.data.objects if obj.session_uid == uid), None)
    if obj is not None and obj.library is None:
        made = models.report_of(snapshot.hash)
        obj.iseg.trained, obj.iseg.trained_topology = snapshot.hash, snapshot.topology
        obj.iseg.trained_model = f"{made.teacher} {made.preset} {made.seed}"
