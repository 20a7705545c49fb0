"""Live vertex groups, which follow the clicks."""

import bpy
import numpy as np

from ..document import parts, properties
from ..engine import queries
from ..engine.queries import AnswerCache
from ..engine.running import Running
from ..mesh import arrays, vertex_groups
from ..mesh.snapshot import MeshSnapshot
from ..redraw import redraw
from ..session import Kept


class LiveGroups(Kept):
    """Vertex groups that were written live."""

    def __init__(self) -> None:
        self.written: dict[tuple[int, str], tuple] = {}  # source, by the object's session uid and the group's name


def write_live(obj: bpy.types.Object, part: properties.Part, snapshot: MeshSnapshot) -> None:
    """Write the vertex group of the active part again where the part has changed."""
    answers, written = AnswerCache.current().answers, LiveGroups.current().written
    query, name = queries.query_of(obj, part, snapshot), parts.title(part)
    if query is None or query not in answers:
        return
    key, wanted = (obj.session_uid, name), (query, part.connected and (part.automatic, part.threshold))
    if written.get(key) == wanted:  # else endless: writing changes the mesh, and every change of a mesh leads here
        return
    why = vertex_groups.group_refusal(obj, name)
    if not why and name in obj.vertex_groups and part.group != name and key not in written:
        why = f"There was a vertex group {name} before: press To Vertex Group to replace it, or rename the part."
    problems = Running.current().problems
    if why:
        problems[snapshot.hash] = why
        return redraw()
    problems.pop(snapshot.hash, None)
    written[key] = wanted
    part.group = vertex_groups.write_group(obj, name, queries.weights_of(obj, part, answers[query]))


def empty_live(scene: bpy.types.Scene, obj: bpy.types.Object, part: properties.Part | None) -> None:
    """Empty the group of a part that includes nothing any more, or that was undone together with its clicks."""
    written = LiveGroups.current().written
    for key in list(written) if scene.iseg.live else ():
        uid, name = key
        if uid == obj.session_uid and (part is None or name == parts.title(part)) and written[key]:
            written[key] = ()
            if name in obj.vertex_groups and not vertex_groups.group_refusal(obj, name):
                vertex_groups.write_group(obj, name, np.zeros(arrays.vertex_count(obj), np.float32))


def leave(obj: bpy.types.Object, name: str) -> None:
    """Stop the live updates of a removed part's vertex group, which stays as it is. name: that of the part."""
    LiveGroups.current().written.pop((obj.session_uid, name), None)
