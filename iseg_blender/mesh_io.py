"""Blender's mesh to arrays, and weights back into it: in bulk, in object and in edit mode.

It is the base mesh, the one that vertex groups belong to; seen.py knows what modifiers make of it.
"""

from typing import Any

import bmesh
import bpy
import numpy as np

from .look import Geometry

MODES = ("OBJECT", "EDIT")
CONVERTIBLE = ("CURVE", "SURFACE", "META", "FONT")


def name_of(thing: Any) -> str:
    """What an object, group or attribute is called. Files can hold names that are not UTF-8, unreadable to Python."""
    try:
        return thing.name
    except UnicodeDecodeError:
        return "(a name that cannot be read)"


def refusal(thing: bpy.types.Object | None) -> str:
    """Why iSeg cannot work on an object, and what to do; empty where it can."""
    if thing is None:
        return "There is no active object: select a mesh."
    if thing.type != "MESH":
        remedy = "select one."
        if thing.type in CONVERTIBLE:
            remedy = "select one, or convert it (Object > Convert > Mesh)."
        elif thing.instance_type == "COLLECTION":
            remedy = "select one, or make what it shows real (Object > Apply > Make Instances Real)."
        return f"{name_of(thing)} is not a mesh: {remedy}"
    if thing.library is not None or thing.data.library is not None:
        return f"{name_of(thing)} is linked from another file: make it local first (Object > Relations > Make Local)."
    if thing.override_library is not None or thing.data.override_library is not None:
        menu = "Object > Relations > Make Local > Selected Objects and Data"
        return f"{name_of(thing)} is a library override: make it local first ({menu})."
    if thing.mode not in MODES:
        return "iSeg works in Object Mode and in Edit Mode: change the mode."
    return ""


def face_refusal(thing: bpy.types.Object | None) -> str:
    """The same, where the engine is to work on the mesh."""
    why = refusal(thing)
    if not why and thing is not None:
        mesh = thing.data
        if not len(bmesh.from_edit_mesh(mesh).faces if mesh.is_editmode else mesh.polygons):
            why = f"{name_of(thing)} has no faces: make some, or select another mesh."
    return why


def users(mesh: bpy.types.Mesh) -> list[bpy.types.Object]:
    """The objects of this file that have a mesh."""
    return [thing for thing in bpy.data.objects if thing.data == mesh and thing.library is None]


def vertex_count(thing: bpy.types.Object) -> int:
    """Of the mesh as it is now, also in edit mode."""
    return len(bmesh.from_edit_mesh(thing.data).verts if thing.data.is_editmode else thing.data.vertices)


def flush(thing: bpy.types.Object) -> None:
    """Bring what edit mode has changed into the mesh; edit mode goes on."""
    if thing.data.is_editmode:
        thing.update_from_editmode()


def read(thing: bpy.types.Object, before: Geometry | None = None) -> Geometry:
    """The arrays of a mesh object, including changes of edit mode that are not saved yet."""
    if not thing.data.is_editmode:
        return arrays(thing.data, before)
    # Saved into a mesh of ours: saved into its own, Blender would take the mesh for changed, and evaluate it again.
    ours = bpy.data.meshes.new("iSeg")
    try:
        bmesh.from_edit_mesh(thing.data).to_mesh(ours)
        return arrays(ours, before)
    finally:
        bpy.data.meshes.remove(ours)


def arrays(mesh: bpy.types.Mesh, before: Geometry | None = None) -> Geometry:
    """Copies of the arrays of a mesh. Attributes are copied as a whole; Blender hands out the rest one at a time: where
    polygons begin and how they are cut into triangles. These are taken from `before` where everything else there is the
    same: Blender says that a mesh may be another with every click on it.
    """
    counts = len(mesh.vertices), len(mesh.loops), len(mesh.polygons), len(mesh.edges)
    corners, edges = np.zeros(counts[1], np.int32), np.zeros(2 * counts[3], np.int32)  # [C], [2 E]
    for name, array in ((".corner_vert", corners), (".edge_verts", edges)):
        if len(array):
            mesh.attributes[name].data.foreach_get("value", array)
    now = Geometry(
        vertices=positions(mesh),
        corners=corners,
        starts=np.empty(counts[2], np.int32),  # [P]
        edges=edges.reshape(-1, 2),  # [E, 2]
        hidden=values(mesh, ".hide_poly", "BOOLEAN", "FACE"),  # [P]
    )
    if before is not None and counts[2] == len(before.starts) and now._replace(starts=before.starts).equals(before):
        return now._replace(starts=before.starts, triangles=before.triangles)
    mesh.polygons.foreach_get("loop_start", now.starts)
    if not counts[2] or np.diff(now.starts, append=np.int32(len(corners))).max() <= 4:
        return now
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), np.int32)  # [3 F]
    mesh.loop_triangles.foreach_get("loops", triangles)
    return now._replace(triangles=triangles.reshape(-1, 3))  # [F, 3]


def positions(mesh: bpy.types.Mesh) -> np.ndarray:
    """Where the vertices are. [V, 3] float32"""
    places = np.empty(3 * len(mesh.vertices), np.float32)  # [3 V]
    if len(places):
        mesh.attributes["position"].data.foreach_get("vector", places)
    return places.reshape(-1, 3)  # [V, 3]


def attribute(mesh: bpy.types.Mesh, name: str, kind: str, domain: str) -> bpy.types.Attribute | None:
    """The attribute of this name, where it is of the kind that Blender makes it."""
    found = mesh.attributes.get(name)
    return found if found is not None and (found.data_type, found.domain) == (kind, domain) else None


def values(mesh: bpy.types.Mesh, name: str, kind: str, domain: str) -> np.ndarray:
    """Values of an attribute, 0 where there is none of this kind (BOOLEAN or INT). [V], [E] or [P] bool or int32"""
    sizes = {"POINT": len(mesh.vertices), "EDGE": len(mesh.edges), "FACE": len(mesh.polygons)}
    found = np.zeros(sizes[domain], bool if kind == "BOOLEAN" else np.int32)  # [N]
    source = attribute(mesh, name, kind, domain)
    if source is not None and len(found):
        source.data.foreach_get("value", found)
    return found


def set_values(mesh: bpy.types.Mesh, name: str, kind: str, domain: str, wanted: np.ndarray) -> None:
    """Give an attribute these values [N]; made where there is none."""
    target = attribute(mesh, name, kind, domain)
    if target is None:
        if not wanted.any():
            return  # none means 0
        if name in mesh.attributes:
            mesh.attributes.remove(mesh.attributes[name])  # of another kind: a file can hold anything
        target = mesh.attributes.new(name, kind, domain)
    if len(wanted):
        target.data.foreach_set("value", wanted)


def write_group(thing: bpy.types.Object, name: str, weights: np.ndarray) -> str:
    """Make `name` a vertex group with these weights [V]; one of that name is replaced and keeps its place.

    Vertices of weight 0 stay outside the group. Returns the group's name. Works in object and edit mode.
    """
    weights = np.ascontiguousarray(weights, np.float32)  # [V]
    if thing.data.is_editmode:
        return _write_in_edit_mode(thing, name, weights)
    groups, old, active = thing.vertex_groups, thing.vertex_groups.get(name), thing.data.attributes.active
    active_name = name_of(active) if active is not None else None
    place = old.index if old is not None else len(groups)
    by_number = _users_by_number(thing, name)
    if old is not None:
        groups.remove(old)
    _convert(thing, weights).name = name
    for _ in range(len(groups) - 1 - place):
        with bpy.context.temp_override(object=thing, active_object=thing):
            bpy.ops.object.vertex_group_move(direction="UP")
    groups.active_index = place
    for user, property_name in by_number:
        setattr(user, property_name, name)
    if active_name is not None and active_name in thing.data.attributes:
        thing.data.attributes.active = thing.data.attributes[active_name]
    thing.data.update()
    return groups[place].name


def _users_by_number(thing: bpy.types.Object, name: str) -> list[tuple[bpy.types.bpy_struct, str]]:
    """What refers to a vertex group by its number, which Blender sets to none when the group is removed: cloth, soft
    body, particles, explosions. What refers to it by its name needs no care.
    """
    users: list[bpy.types.bpy_struct] = list(thing.particle_systems)
    for modifier in thing.modifiers:
        users += [getattr(modifier, part) for part in ("settings", "collision_settings") if hasattr(modifier, part)]
        users.append(modifier)
    return [
        (user, kind.identifier)
        for user in users
        for kind in user.bl_rna.properties
        if kind.type == "STRING"
        and kind.identifier.startswith("vertex_group")
        and getattr(user, kind.identifier) == name
    ]


def group_refusal(thing: bpy.types.Object, name: str) -> str:
    """Why the vertex group of this name cannot be written; empty where it can."""
    group = thing.vertex_groups.get(name)
    if group is not None and group.lock_weight:
        return f"The vertex group {name} is locked: unlock it, or choose another name."
    return ""


def _convert(thing: bpy.types.Object, weights: np.ndarray) -> bpy.types.VertexGroup:
    """A new vertex group, the last one and active, under a name that will not stay.

    Blender sets the weights of a group one vertex at a time, but an attribute as a whole, and makes one the other.
    """
    attribute = thing.data.attributes.new(".iseg weights", "FLOAT", "POINT")
    attribute.data.foreach_set("value", weights)
    thing.data.attributes.active = attribute
    with bpy.context.temp_override(object=thing, active_object=thing):
        bpy.ops.geometry.attribute_convert(mode="VERTEX_GROUP")
    thing.vertex_groups.active_index = len(thing.vertex_groups) - 1
    return thing.vertex_groups[-1]


def _write_in_edit_mode(thing: bpy.types.Object, name: str, weights: np.ndarray) -> str:
    """The deform layer of the mesh that is being edited; only there, or leaving edit mode would undo it."""
    group = thing.vertex_groups.get(name) or thing.vertex_groups.new(name=name)
    work = bmesh.from_edit_mesh(thing.data)
    layer, index = work.verts.layers.deform.verify(), group.index
    for vertex, weight in zip(work.verts, weights.tolist(), strict=True):
        if weight > 0:
            vertex[layer][index] = weight
        elif index in vertex[layer]:
            del vertex[layer][index]
    bmesh.update_edit_mesh(thing.data, loop_triangles=False, destructive=False)
    thing.vertex_groups.active_index = index
    return group.name


def read_group(thing: bpy.types.Object, index: int) -> np.ndarray:
    """Weights of a vertex group, 0 outside it. [V] float32

    A BMesh gives them several times as fast as the vertices of the mesh do; there is no way that gives all at once.
    """
    editing = thing.data.is_editmode
    work = bmesh.from_edit_mesh(thing.data) if editing else bmesh.new()
    if not editing:
        work.from_mesh(thing.data, face_normals=False, vertex_normals=False)
    layer = work.verts.layers.deform.active
    weights = [vertex[layer].get(index, 0.0) if layer is not None else 0.0 for vertex in work.verts]
    if not editing:
        work.free()
    return np.array(weights, np.float32)  # [V]


def selected(thing: bpy.types.Object) -> np.ndarray:
    """Which vertices are selected. [V] bool"""
    if not thing.data.is_editmode:
        return values(thing.data, ".select_vert", "BOOLEAN", "POINT")
    vertices = bmesh.from_edit_mesh(thing.data).verts
    return np.fromiter((vertex.select for vertex in vertices), bool, len(vertices))
