"""The training of meshes; one at a time for each geometry."""

from collections.abc import Callable

import bpy

from ..core import Cancelled, messages
from ..document import properties
from ..mesh import cache, usable
from ..mesh.snapshot import Look
from ..tasks import Ask, Conversation, Task
from . import models, queries
from .models import ModelLists
from .running import Running


def train(
    thing: bpy.types.Object,
    settings: properties.SceneSettings,
    then: Callable[[], None] = lambda: None,
    fresh: bool = True,
) -> Task:
    """Begin the training of an object's mesh; one that is under way already goes on. `then`: when it has ended."""
    look, uid = cache.look_at(thing, fresh), thing.session_uid
    name = look.hash
    running = Running.current()
    if name in running.trainings:
        return running.trainings[name]
    running.problems.pop(name, None)

    def ended(task: Task) -> None:
        running.trainings.pop(name, None)
        if isinstance(task.error, Cancelled):
            pass  # who cancels knows it
        elif task.error is not None:
            running.problems[name] = str(task.error)
        else:
            if task.result.unsaved:
                running.problems[name] = task.result.unsaved
            record(uid, look)
        then()

    task = running.engine.start(learning(look, settings.teacher, settings.preset, settings.device), ended)
    task.title = usable.name_of(thing)
    if not task.ended:
        running.trainings[name] = task
    return task


def training_of(thing: bpy.types.Object | None) -> Task | None:
    """The training of an object's mesh that is under way."""
    look = cache.known_look(thing) if thing is not None and thing.type == "MESH" else None
    return Running.current().trainings.get(look.hash) if look is not None else None


def learning(look: Look, teacher: str, preset: str, device: str) -> Conversation:
    """Train a mesh; where the cache has that model already, it is the answer."""
    yield from queries.opening(look)
    reply = yield Ask(messages.TrainRequest(mesh=look.hash, teacher=teacher, preset=preset, device=device))
    result = messages.TrainResult.from_fields(reply.fields)
    made, known = result.model, ModelLists.current()
    others = [report for report in known.reports[look.hash] if report.name != made.name]
    known.reports[look.hash], known.chosen[look.hash] = [made, *others], made.name
    known.poses[look.topology] = look.hash
    return result


def record(uid: int, look: Look) -> None:
    """Remember with the object what it was trained as, so that a later pose or another session finds the model."""
    thing = next((thing for thing in bpy.data.objects if thing.session_uid == uid), None)
    if thing is not None and thing.library is None:
        made = models.report_of(look.hash)
        thing.iseg.trained, thing.iseg.trained_topology = look.hash, look.topology
        thing.iseg.trained_model = f"{made.teacher} {made.preset} {made.seed}"
