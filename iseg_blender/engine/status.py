"""Status of an object in the words of the sidebar; only from what is known already, so nothing is read or blocks."""

from enum import Enum
from typing import NamedTuple

import bpy

from ..document import parts, properties
from ..mesh import cache, usable
from . import models
from .models import ModelLists
from .running import Running

OTHER_FACES = "The mesh's faces have changed since these clicks were made: clear them, or undo the change."


class Kind(Enum):
    """Status of an object."""

    REFUSED = "refused"
    INSTANT = "instant"  # not trained: the geometric teacher answers
    TRAINING = "training"
    READY = "ready"
    MOVED = "moved"  # trained in another pose
    CHANGED = "changed"  # its topology has changed since it was trained


class Status(NamedTuple):
    kind: Kind
    sentence: str


def of(obj: bpy.types.Object | None) -> Status:
    """Return the status of an object, with a sentence for the user."""
    why = usable.face_refusal(obj)
    if why:
        return Status(Kind.REFUSED, why)
    assert obj is not None
    snapshot = cache.known_snapshot(obj)
    if cache.waits(obj):
        return Status(Kind.INSTANT, "A large mesh in Edit Mode: it is looked at when you click or train")
    if snapshot is None:
        return Status(Kind.INSTANT, "Not looked at yet: click or train")
    if snapshot.hash in Running.current().trainings:
        return Status(Kind.TRAINING, "Training")
    name, model = models.model_for(obj, snapshot)
    if model is not None and name == snapshot.hash:
        created = models.report_of(name).created[:16].replace("T", " ")
        return Status(Kind.READY, f"Ready: {model.teacher}, {model.preset}, {created}")
    if model is not None:
        return Status(Kind.MOVED, "Ready, but vertices or marks changed since the training: train again to be exact")
    if parts.trained_hash(obj) and obj.iseg.trained_topology != snapshot.topology:
        return Status(Kind.CHANGED, "The mesh has changed since its training: train it again")
    if snapshot.hash not in ModelLists.current().reports:
        return Status(Kind.INSTANT, "Not trained in this session: a click finds what was trained before")
    return Status(Kind.INSTANT, "Not trained: its geometry answers")


def sharing(obj: bpy.types.Object | None) -> str:
    """Return a note on a mesh that several objects share; empty where only this object uses it."""
    if usable.refusal(obj) or obj is None or obj.data.users < 2:
        return ""
    count = len(usable.users(obj.data))
    return f"{count} objects share this mesh: vertex groups and edits are of them all" if count > 1 else ""


def clicks_problem(obj: bpy.types.Object, part: properties.Part | None) -> str:
    """Return the reason why the clicks give no region, and the remedy; empty where the clicks can be used."""
    if part is None or not len(part.clicks):
        return "There are no clicks: add one with the click tool."
    snapshot = cache.known_snapshot(obj) if obj.data.session_uid not in cache.MeshCache.current().stale else None
    if snapshot is not None and obj.iseg.topology != snapshot.topology:
        return OTHER_FACES
    if snapshot is not None and not any(include for _, include in parts.clicks_of(part, snapshot.geometry).made):
        return "No click includes anything: add one that does."
    return ""
