"""What can be done to the shape of a part of a mesh: the same in object and in edit mode.

Vertices and faces are numbered as in `look.Geometry`. Faces are made and removed by a BMesh, Blender's own way to do
it, which keeps every layer of the mesh.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import bmesh
import bpy
import numpy as np
from bmesh.types import BMesh, BMFace, BMVert
from mathutils import Vector

from . import arrays

SOURCE = "iseg source"  # layer: the index of the vertex that one was copied from, plus 1


@contextmanager
def editing(obj: bpy.types.Object) -> Iterator[BMesh]:
    """The mesh of an object for editing; written back unless an exception ends it."""
    mesh = obj.data
    if obj.data.is_editmode:
        work = bmesh.from_edit_mesh(mesh)
        ensure_lookup(work)
        yield work
        work.normal_update()
        work.select_flush_mode()  # counts what is selected, which Blender's own tools rely on: else they crash
        bmesh.update_edit_mesh(mesh, loop_triangles=True, destructive=True)
        return
    work = bmesh.new()
    try:
        work.from_mesh(mesh, face_normals=False, vertex_normals=False)
        ensure_lookup(work)
        yield work
        work.to_mesh(mesh)
        mesh.update()
    finally:
        work.free()


def ensure_lookup(work: BMesh) -> None:
    work.verts.ensure_lookup_table()
    work.faces.ensure_lookup_table()


def delete(obj: bpy.types.Object, faces: np.ndarray) -> np.ndarray:
    """Delete faces [N] int, and the edges and vertices that only they use. Returns where each vertex is now, -1 for
    those that have gone. [V] int32
    """
    with editing(obj) as work:
        before = list(work.verts)
        bmesh.ops.delete(work, geom=references(work, faces), context="FACES")
        return places_of(work, before)


def extrude(obj: bpy.types.Object, faces: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Extrude faces [N] int as one region and move it. steps [V, 3]: how far, for each vertex before.

    Returns where each vertex is now, -1 for those that have gone; of the two that one has become, the moved one counts.
    [V] int32
    """
    with editing(obj) as work:
        layer = work.verts.layers.int.new(SOURCE)  # copies carry it along
        part = references(work, faces)
        edges = {edge for face in part for edge in face.edges}
        vertices = {vertex for face in part for vertex in face.verts}
        for vertex in vertices:
            vertex[layer] = vertex.index + 1
        before = list(work.verts)
        made = bmesh.ops.extrude_face_region(work, geom=[*vertices, *edges, *part])["geom"]
        moved = [element for element in made if isinstance(element, BMVert)]
        sources = np.array([vertex[layer] - 1 for vertex in moved])  # [M]
        for vertex, step in zip(moved, steps[sources].tolist(), strict=True):
            vertex.co += Vector(step)
        after = places_of(work, before)  # [V]
        after[sources] = [vertex.index for vertex in moved]
        work.verts.layers.int.remove(layer)
        return after


def move(obj: bpy.types.Object, vertices: np.ndarray, places: np.ndarray) -> None:
    """Move vertices [N] int to places [N, 3]."""
    mesh = obj.data
    if not mesh.is_editmode and mesh.shape_keys is None:  # else Blender lets the other shapes follow
        points = arrays.positions(mesh)  # [V, 3]
        points[vertices] = places
        mesh.attributes["position"].data.foreach_set("vector", points.ravel())
        mesh.update()
        return
    with editing(obj) as work:
        for index, place in zip(vertices.tolist(), places.tolist(), strict=True):
            work.verts[index].co = place


def references(work: BMesh, faces: np.ndarray) -> list[BMFace]:
    return [work.faces[index] for index in faces.tolist()]


def places_of(work: BMesh, before: list[BMVert]) -> np.ndarray:
    """Where vertices are now; -1 for those that have gone. [V] int32"""
    work.verts.index_update()
    return np.array([vertex.index if vertex.is_valid else -1 for vertex in before], np.int32)
