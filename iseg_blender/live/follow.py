"""Following of edits: hashes and clicks are carried over to the mesh after an edit."""

import bpy
import numpy as np

from ..document import parts
from ..document import properties as document_properties
from ..engine import pump, queries
from ..engine.running import engine
from ..mesh import arrays, cache, editing, usable
from ..mesh.geometry import Geometry, topology
from ..mesh.snapshot import MeshSnapshot
from ..tasks import Task


def changed(
    obj: bpy.types.Object,
    moved: editing.Moved | None,
    part: document_properties.Part | None = None,
    answer: queries.Answer | None = None,
) -> None:
    """Carry over what is known of a mesh after a change of its shape.

    moved: where vertices and faces have gone; None where all keep their index. part, answer: the edited part, which is
    to stay the same region, and its answer, `carried` to the mesh as it is now.
    """
    geometry, uid = arrays.read(obj), obj.data.session_uid
    snapshot = cache.known_snapshot(obj)  # of the mesh before the change
    if moved is not None and snapshot is not None:
        for user in usable.users(obj.data):
            follow(user, moved, snapshot, geometry)
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


def follow(obj: bpy.types.Object, moved: editing.Moved, before: MeshSnapshot, now: Geometry) -> None:
    """Move the clicks to where their vertices and faces have gone, from the mesh before to the one that is now.

    A point whose face is gone becomes a click on the nearest of its triangle's corners that is still there, and a click
    whose vertex is gone is removed.
    """
    for part in obj.iseg.parts:
        for index in reversed(range(len(part.clicks))):
            found = _followed(part.clicks[index], moved, before, now)
            if found is not None:
                parts.put(part.clicks[index], found)
            else:
                part.clicks.remove(index)
        part.click_index = parts.clamped(part.click_index, len(part.clicks))


def _followed(
    click: document_properties.Click, moved: editing.Moved, before: MeshSnapshot, now: Geometry
) -> parts.SavedClick | None:
    """Values of a click after the change; None where nothing of what was clicked is left."""
    vertices = [click.vertex]
    face, weights = click.face, tuple(click.weights)
    is_point = 0 <= face < len(before.faces)
    if is_point:
        vertices = before.faces[face][np.argsort(weights)[::-1]].tolist()  # the nearest first
    after = moved.vertices  # [V]
    left = [int(after[vertex]) for vertex in vertices if 0 <= vertex < len(after) and after[vertex] >= 0]
    if not left:
        return None
    if is_point:
        first = before.geometry.first_triangles()  # [P]
        polygon = int(np.searchsorted(first, face, side="right")) - 1
        kept = np.flatnonzero(moved.faces == polygon)  # [0] or [1]
        if len(kept):
            place = int(now.first_triangles()[kept[0]] + face - first[polygon])
            return parts.SavedClick(left[0], click.positive, place, weights)
    return parts.SavedClick(left[0], click.positive)
