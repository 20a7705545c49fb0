"""Following of edits: hashes and clicks are carried over to the mesh after an edit."""

import bpy
import numpy as np

from ..document import parts
from ..document import properties as document_properties
from ..engine import pump, queries
from ..engine.running import engine
from ..mesh import arrays, cache, usable
from ..mesh.geometry import topology
from ..tasks import Task


def changed(
    obj: bpy.types.Object,
    after: np.ndarray | None,
    part: document_properties.Part | None = None,
    answer: queries.Answer | None = None,
) -> None:
    """Carry over what is known of a mesh after a change of its shape.

    after [V] int: new index of each vertex, -1 for deleted ones; None where all keep theirs. part, answer: the edited
    part, which is to stay the same region, and its answer, `carried` to the mesh as it is now.
    """
    if after is not None:
        for user in usable.users(obj.data):
            follow(user, after)
    geometry, uid = arrays.read(obj), obj.data.session_uid
    name = topology(geometry)
    for user in usable.users(obj.data):
        if user.iseg.topology:
            user.iseg.topology = name  # the clicks have followed their vertices
    conversation = cache.keeping(uid, geometry)
    if part is not None and answer is not None:
        conversation = queries.carrying(obj, part, geometry, name, answer)
    meshes = cache.MeshCache.current()
    meshes.stale.discard(uid)
    task = engine().start(conversation)
    if not task.ended:
        meshes.snapshots.pop(uid, None)  # until the task has ended, the old snapshot must not be used
        pump.keep_pumping()
    settle(task)


def settle(task: Task) -> None:
    """Wait for the task in background mode: a script goes on when everything is done."""
    if bpy.app.background:
        engine().wait(task)


def follow(obj: bpy.types.Object, after: np.ndarray) -> None:
    """Move the clicks to the new indices of their vertices, after [V] int; remove those of deleted vertices.

    A point becomes a click on the nearest of its triangle's corners that is still there.
    """
    snapshot = cache.known_snapshot(obj)  # of the mesh before the change
    for part in obj.iseg.parts:
        for index in reversed(range(len(part.clicks))):
            click = part.clicks[index]
            corners = [click.vertex]
            if snapshot is not None and 0 <= click.face < len(snapshot.faces):
                order = np.argsort(click.weights)[::-1]  # [3] the nearest first
                corners = snapshot.faces[click.face][order].tolist()
            places = [int(after[vertex]) for vertex in corners if 0 <= vertex < len(after) and after[vertex] >= 0]
            if places:
                click.vertex, click.face, click.weights = places[0], -1, (0.0, 0.0, 0.0)
            else:
                part.clicks.remove(index)
        part.click_index = parts.clamped(part.click_index, len(part.clicks))
