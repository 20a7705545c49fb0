"""How an object stands, in the words of the sidebar; from what is known already: nothing is read, nothing waits."""

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
    """How an object stands."""

    REFUSED = "refused"
    INSTANT = "instant"  # not trained: the geometric teacher answers
    TRAINING = "training"
    READY = "ready"
    MOVED = "moved"  # trained in another pose
    CHANGED = "changed"  # its topology has changed since it was trained


class Status(NamedTuple):
    kind: Kind
    sentence: str


def of(thing: bpy.types.Object | None) -> Status:
    """How an object stands, in a sentence."""
    why = usable.face_refusal(thing)
    if why:
        return Status(Kind.REFUSED, why)
    assert thing is not None
    look = cache.known_look(thing)
    if cache.waits(thing):
        return Status(Kind.INSTANT, "A large mesh in Edit Mode: it is looked at when you click or train")
    if look is None:
        return Status(Kind.INSTANT, "Not looked at yet: click or train")
    if look.hash in Running.current().trainings:
        return Status(Kind.TRAINING, "Training")
    name, model = models.model_for(thing, look)
    if model is not None and name == look.hash:
        created = models.report_of(name).created[:16].replace("T", " ")
        return Status(Kind.READY, f"Ready: {model.teacher}, {model.preset}, {created}")
    if model is not None:
        return Status(Kind.MOVED, "Ready, but vertices moved since the training: train again to be exact")
    if parts.trained_name(thing) and thing.iseg.trained_topology != look.topology:
        return Status(Kind.CHANGED, "The mesh has changed since its training: train it again")
    if look.hash not in ModelLists.current().reports:
        return Status(Kind.INSTANT, "Not trained in this session: a click finds what was trained before")
    return Status(Kind.INSTANT, "Not trained: its geometry answers")


def sharing(thing: bpy.types.Object | None) -> str:
    """What is to be known of a mesh that several objects have; empty where it is this one's alone."""
    if usable.refusal(thing) or thing is None or thing.data.users < 2:
        return ""
    count = len(usable.users(thing.data))
    return f"{count} objects share this mesh: vertex groups and edits are of them all" if count > 1 else ""


def clicks_problem(thing: bpy.types.Object, part: properties.Part | None) -> str:
    """Why there is no region, and what to do; empty where the clicks can be used."""
    if part is None or not len(part.clicks):
        return "There are no clicks: add one with the click tool."
    look = cache.known_look(thing) if thing.data.session_uid not in cache.MeshCache.current().stale else None
    if look is not None and thing.iseg.topology != look.topology:
        return OTHER_FACES
    if look is not None and not any(include for _, include in parts.clicks_of(part, len(look.vertices)).made):
        return "No click includes anything: add one that does."
    return ""
