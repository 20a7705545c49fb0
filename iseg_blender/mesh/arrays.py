"""Conversion of Blender's mesh to arrays, and of weights back into it: in bulk, in object and in edit mode.

This is the base mesh, to which vertex groups belong; viewport/evaluated.py reads the mesh after its modifiers.
"""

import bmesh
import bpy
import numpy as np

from ..core import colour_labels
from .geometry import Geometry

EDGE_MARKS = ("sharp_edge", "uv_seam", ".uv_seam")  # the last one: its name in Blender 4.2


def vertex_count(obj: bpy.types.Object) -> int:
    """Number of vertices that the mesh has now, also in edit mode."""
    return len(bmesh.from_edit_mesh(obj.data).verts if obj.data.is_editmode else obj.data.vertices)


def flush(obj: bpy.types.Object) -> None:
    """Write the changes of edit mode into the mesh; edit mode goes on."""
    if obj.data.is_editmode:
        obj.update_from_editmode()


def read(obj: bpy.types.Object, before: Geometry | None = None) -> Geometry:
    """Read the arrays of a mesh object, including changes of edit mode that are not written back yet."""
    if not obj.data.is_editmode:
        return arrays(obj.data, before, obj.iseg.marks)
    # Edit mode is written into a temporary mesh: written into its own, Blender would tag that and evaluate it again.
    ours = bpy.data.meshes.new("iSeg")
    try:
        bmesh.from_edit_mesh(obj.data).to_mesh(ours)
        return arrays(ours, before, obj.iseg.marks)
    finally:
        bpy.data.meshes.remove(ours)


def arrays(mesh: bpy.types.Mesh, before: Geometry | None = None, marks: bool = False) -> Geometry:
    """Copy the arrays of a mesh, with its marks if they are to be heard.

    Attributes are copied in bulk. Blender hands out the start of each polygon and its triangulation one at a time, so
    these are taken from `before` where everything else is equal: every click on a mesh makes Blender report a possible
    change of it.
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
    if marks:
        now = now._replace(materials=_materials(mesh), colours=_colours(mesh, corners), marked=_marked(mesh))
    if before is not None and counts[2] == len(before.starts) and now._replace(starts=before.starts).equals(before):
        return now._replace(starts=before.starts, triangles=before.triangles)
    mesh.polygons.foreach_get("loop_start", now.starts)
    if not counts[2] or np.diff(now.starts, append=np.int32(len(corners))).max() <= 4:
        return now
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), np.int32)  # [3 F]
    mesh.loop_triangles.foreach_get("loops", triangles)
    return now._replace(triangles=triangles.reshape(-1, 3))  # [F, 3]


def _materials(mesh: bpy.types.Mesh) -> np.ndarray | None:
    """Material slot of each polygon; None where all have the same. [P] int32"""
    slots = values(mesh, "material_index", "INT", "FACE")  # [P]
    return slots if len(slots) and (slots != slots[0]).any() else None


def _colours(mesh: bpy.types.Mesh, corners: np.ndarray) -> np.ndarray | None:
    """Number the active colours of the corners [C] alike where they are equal; None where all or too many are. [C]"""
    source = mesh.color_attributes.active_color
    if source is None or not len(corners):
        return None
    rgba = np.empty(4 * len(source.data), np.float32)  # [4 N]
    source.data.foreach_get("color", rgba)
    numbers = colour_labels(rgba.reshape(-1, 4)[:, :3])  # [N]
    if numbers is None or not numbers.any():
        return None
    return numbers[corners] if source.domain == "POINT" else numbers


def _marked(mesh: bpy.types.Mesh) -> np.ndarray | None:
    """Mask of the edges that are sharp or a seam, None where none is. [E] bool"""
    marked = np.logical_or.reduce([values(mesh, name, "BOOLEAN", "EDGE") for name in EDGE_MARKS])  # [E]
    return marked if marked.any() else None


def positions(mesh: bpy.types.Mesh) -> np.ndarray:
    """Vertex positions. [V, 3] float32"""
    places = np.empty(3 * len(mesh.vertices), np.float32)  # [3 V]
    if len(places):
        mesh.attributes["position"].data.foreach_get("vector", places)
    return places.reshape(-1, 3)  # [V, 3]


def corner_edges(mesh: bpy.types.Mesh) -> np.ndarray:
    """Edge from each corner to the next one of its polygon. [C] int32"""
    edges = np.empty(len(mesh.loops), np.int32)  # [C]
    if len(edges):
        mesh.attributes[".corner_edge"].data.foreach_get("value", edges)
    return edges


def attribute(mesh: bpy.types.Mesh, name: str, kind: str, domain: str) -> bpy.types.Attribute | None:
    """Find the attribute of this name; None where it has another type or domain than Blender gives it."""
    found = mesh.attributes.get(name)
    return found if found is not None and (found.data_type, found.domain) == (kind, domain) else None


def values(mesh: bpy.types.Mesh, name: str, kind: str, domain: str) -> np.ndarray:
    """Values of an attribute of kind BOOLEAN or INT; 0 where it does not exist. [V], [E] or [P] bool or int32"""
    sizes = {"POINT": len(mesh.vertices), "EDGE": len(mesh.edges), "FACE": len(mesh.polygons)}
    found = np.zeros(sizes[domain], bool if kind == "BOOLEAN" else np.int32)  # [N]
    source = attribute(mesh, name, kind, domain)
    if source is not None and len(found):
        source.data.foreach_get("value", found)
    return found


def set_values(mesh: bpy.types.Mesh, name: str, kind: str, domain: str, wanted: np.ndarray) -> None:
    """Set the values [N] of an attribute, which is made where it does not exist."""
    target = attribute(mesh, name, kind, domain)
    if target is None:
        if not wanted.any():
            return  # a missing attribute means 0
        if name in mesh.attributes:
            mesh.attributes.remove(mesh.attributes[name])  # of another type: a file can hold anything
        target = mesh.attributes.new(name, kind, domain)
    if len(wanted):
        target.data.foreach_set("value", wanted)


def selected(obj: bpy.types.Object) -> np.ndarray:
    """Mask of the selected vertices. [V] bool"""
    if not obj.data.is_editmode:
        return values(obj.data, ".select_vert", "BOOLEAN", "POINT")
    vertices = bmesh.from_edit_mesh(obj.data).verts
    return np.fromiter((vertex.select for vertex in vertices), bool, len(vertices))


def selected_polygons(obj: bpy.types.Object) -> np.ndarray:
    """Mask of the selected polygons. [P] bool"""
    if not obj.data.is_editmode:
        return values(obj.data, ".select_poly", "BOOLEAN", "FACE")
    faces = bmesh.from_edit_mesh(obj.data).faces
    return np.fromiter((face.select for face in faces), bool, len(faces))
