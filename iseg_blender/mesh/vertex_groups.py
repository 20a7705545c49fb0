"""Vertex groups: writing the weights of an object and reading them."""

import bmesh
import bpy
import numpy as np

from .usable import name_of


def write_group(obj: bpy.types.Object, name: str, weights: np.ndarray) -> str:
    """Write weights [V] to the vertex group `name`; an existing one is replaced and keeps its index.

    Vertices of weight 0 stay outside the group. Returns the group's name. Works in object and edit mode.
    """
    weights = np.ascontiguousarray(weights, np.float32)  # [V]
    if obj.data.is_editmode:
        return _write_in_edit_mode(obj, name, weights)
    groups, old, active = obj.vertex_groups, obj.vertex_groups.get(name), obj.data.attributes.active
    active_name = name_of(active) if active is not None else None
    place = old.index if old is not None else len(groups)
    by_number = _users_by_number(obj, name)
    if old is not None:
        groups.remove(old)
    _convert(obj, weights).name = name
    for _ in range(len(groups) - 1 - place):
        with bpy.context.temp_override(object=obj, active_object=obj):
            bpy.ops.object.vertex_group_move(direction="UP")
    groups.active_index = place
    for user, property_name in by_number:
        setattr(user, property_name, name)
    if active_name is not None and active_name in obj.data.attributes:
        obj.data.attributes.active = obj.data.attributes[active_name]
    obj.data.update()
    return groups[place].name


def _users_by_number(obj: bpy.types.Object, name: str) -> list[tuple[bpy.types.bpy_struct, str]]:
    """List what refers to a vertex group by its index: cloth, soft body, particles, explosions.

    Blender clears these references when the group is removed. Those by name need no care.
    """
    users: list[bpy.types.bpy_struct] = list(obj.particle_systems)
    for modifier in obj.modifiers:
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


def group_refusal(obj: bpy.types.Object, name: str) -> str:
    """Say why the vertex group of this name cannot be written; empty where it can."""
    group = obj.vertex_groups.get(name)
    if group is not None and group.lock_weight:
        return f"The vertex group {name} is locked: unlock it, or choose another name."
    return ""


def _convert(obj: bpy.types.Object, weights: np.ndarray) -> bpy.types.VertexGroup:
    """Make a new vertex group under a temporary name; it is the last one, and active.

    Blender sets the weights of a group one vertex at a time, but an attribute in bulk, and converts that to a group.
    """
    attribute = obj.data.attributes.new(".iseg weights", "FLOAT", "POINT")
    attribute.data.foreach_set("value", weights)
    obj.data.attributes.active = attribute
    with bpy.context.temp_override(object=obj, active_object=obj):
        bpy.ops.geometry.attribute_convert(mode="VERTEX_GROUP")
    obj.vertex_groups.active_index = len(obj.vertex_groups) - 1
    return obj.vertex_groups[-1]


def _write_in_edit_mode(obj: bpy.types.Object, name: str, weights: np.ndarray) -> str:
    """Write to the deform layer of the edit-mode BMesh: weights written elsewhere are lost on leaving edit mode."""
    group = obj.vertex_groups.get(name) or obj.vertex_groups.new(name=name)
    work = bmesh.from_edit_mesh(obj.data)
    layer, index = work.verts.layers.deform.verify(), group.index
    for vertex, weight in zip(work.verts, weights.tolist(), strict=True):
        if weight > 0:
            vertex[layer][index] = weight
        elif index in vertex[layer]:
            del vertex[layer][index]
    bmesh.update_edit_mesh(obj.data, loop_triangles=False, destructive=False)
    obj.vertex_groups.active_index = index
    return group.name


def read_group(obj: bpy.types.Object, index: int) -> np.ndarray:
    """Weights of a vertex group, 0 outside it. [V] float32

    A BMesh reads them several times as fast as the vertices of the mesh do; Blender has no bulk access to them.
    """
    editing = obj.data.is_editmode
    work = bmesh.from_edit_mesh(obj.data) if editing else bmesh.new()
    if not editing:
        work.from_mesh(obj.data, face_normals=False, vertex_normals=False)
    layer = work.verts.layers.deform.active
    weights = [vertex[layer].get(index, 0.0) if layer is not None else 0.0 for vertex in work.verts]
    if not editing:
        work.free()
    return np.array(weights, np.float32)  # [V]
