"""Marks on the elements of a mesh that leave its shape unchanged: selection, hiding, material, face set.

In object mode a mark is an attribute, set in bulk. In edit mode the marks are in a BMesh, one element at a time: they
are set on the part's faces, and Blender derives those of the other elements.
"""

import bmesh
import bpy
import numpy as np
from bmesh.types import BMesh

from . import arrays
from .geometry import Geometry, counts

FACE_SETS = ".sculpt_face_set"
DOMAINS = {"POINT": "vert", "EDGE": "edge", "FACE": "poly"}  # domain: suffix of the names of marks
UV_SELECTION = (".uv_select_vert", ".uv_select_edge", ".uv_select_face")  # follows the mesh's selection where missing


def select(obj: bpy.types.Object, geometry: Geometry, faces: np.ndarray) -> None:
    """Select faces [P] bool with their edges and vertices, and nothing else; hidden ones stay hidden.

    geometry: the object's mesh. Where the vertices alone would select more faces, faces become what is selected.
    """
    mesh, chosen = obj.data, faces & ~geometry.hidden  # [P]
    if (geometry.within(geometry.touched(chosen)) & ~geometry.hidden).sum() > chosen.sum():
        bpy.context.scene.tool_settings.mesh_select_mode = (False, False, True)
    if obj.data.is_editmode:
        work = bmesh.from_edit_mesh(mesh)
        for vertex in work.verts:
            vertex.select = False
        work.select_flush(False)
        for face, wanted in zip(work.faces, chosen.tolist(), strict=True):
            if wanted:
                face.select = True
        work.select_history.clear()
        _end_selection(work, mesh)
        return
    for domain, selected in _elements(mesh, geometry, chosen).items():
        _set_flags(mesh, "select", domain, selected)
    _end_object_mode(mesh)


def hide(obj: bpy.types.Object, geometry: Geometry, faces: np.ndarray) -> None:
    """Hide faces [P] bool, and the edges and vertices that no other visible face or edge has, and deselect them; Alt-H
    in edit mode shows them.
    """
    mesh = obj.data
    if obj.data.is_editmode:
        work = bmesh.from_edit_mesh(mesh)
        work.faces.ensure_lookup_table()
        for index in np.flatnonzero(faces).tolist():
            work.faces[index].hide_set(True)
        _end_selection(work, mesh)
        return
    own = _elements(mesh, geometry, faces)
    hidden = {domain: _flags(mesh, "hide", domain) for domain in own}
    hidden["FACE"] |= faces
    hidden["EDGE"] |= own["EDGE"] & ~_elements(mesh, geometry, ~hidden["FACE"])["EDGE"]
    seen = np.zeros_like(hidden["POINT"])  # [V] has a visible edge
    seen[geometry.edges[~hidden["EDGE"]]] = True
    hidden["POINT"] |= own["POINT"] & ~seen
    selected = _flags(mesh, "select", "FACE") & ~faces  # [P]
    for domain, still in _elements(mesh, geometry, selected).items():
        _set_flags(mesh, "hide", domain, hidden[domain])
        _set_flags(mesh, "select", domain, _flags(mesh, "select", domain) & (still | ~own[domain]))
    _end_object_mode(mesh)


def _elements(mesh: bpy.types.Mesh, geometry: Geometry, faces: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of faces [P] bool, their edges [E] bool and vertices [V] bool, by domain."""
    edges = np.zeros(len(geometry.edges), bool)  # [E]
    edges[arrays.corner_edges(mesh)[np.repeat(faces, counts(geometry))]] = True
    return {"POINT": geometry.touched(faces), "EDGE": edges, "FACE": faces}


def assign_material(obj: bpy.types.Object, faces: np.ndarray, slot: int) -> None:
    """Give faces [N] int a material slot."""
    if obj.data.is_editmode:
        work = bmesh.from_edit_mesh(obj.data)
        work.faces.ensure_lookup_table()
        for index in faces.tolist():
            work.faces[index].material_index = slot
        bmesh.update_edit_mesh(obj.data, loop_triangles=False, destructive=False)
        return
    slots = arrays.values(obj.data, "material_index", "INT", "FACE")  # [P]
    slots[faces] = slot
    arrays.set_values(obj.data, "material_index", "INT", "FACE", slots)
    obj.data.update()


def assign_face_set(obj: bpy.types.Object, faces: np.ndarray) -> int:
    """Give faces [N] int a face set of their own, as sculpt mode shows them; returns its number."""
    mesh = obj.data
    if obj.data.is_editmode:
        work = bmesh.from_edit_mesh(mesh)
        layer = work.faces.layers.int.get(FACE_SETS)
        if layer is None:
            layer = work.faces.layers.int.new(FACE_SETS)
            for face in work.faces:
                face[layer] = 1
        number = max((face[layer] for face in work.faces), default=0) + 1
        work.faces.ensure_lookup_table()
        for index in faces.tolist():
            work.faces[index][layer] = number
        bmesh.update_edit_mesh(mesh, loop_triangles=False, destructive=False)
        return number
    new = arrays.attribute(mesh, FACE_SETS, "INT", "FACE") is None
    sets = arrays.values(mesh, FACE_SETS, "INT", "FACE")  # [P]
    if new:
        sets[:] = 1
    number = int(sets.max(initial=0)) + 1
    sets[faces] = number
    arrays.set_values(mesh, FACE_SETS, "INT", "FACE", sets)
    mesh.update()
    return number


def _flags(mesh: bpy.types.Mesh, mark: str, domain: str) -> np.ndarray:
    """Mask of the elements that have a mark. [V], [E] or [P] bool"""
    return arrays.values(mesh, f".{mark}_{DOMAINS[domain]}", "BOOLEAN", domain)


def _set_flags(mesh: bpy.types.Mesh, mark: str, domain: str, flags: np.ndarray) -> None:
    arrays.set_values(mesh, f".{mark}_{DOMAINS[domain]}", "BOOLEAN", domain, flags)


def _end_selection(work: BMesh, mesh: bpy.types.Mesh) -> None:
    """Bring what depends on the selection up to date after a change of it in edit mode."""
    work.select_flush_mode()
    if hasattr(work, "uv_select_sync_valid"):  # from Blender 5.0 on
        work.uv_select_sync_valid = False
    bmesh.update_edit_mesh(mesh, loop_triangles=False, destructive=False)


def _end_object_mode(mesh: bpy.types.Mesh) -> None:
    """Bring what depends on the selection up to date after a change of it in object mode."""
    for name in UV_SELECTION:
        if name in mesh.attributes:
            mesh.attributes.remove(mesh.attributes[name])
    mesh.update()
