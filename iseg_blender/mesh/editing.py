"""Edits of the shape of a part of a mesh: the same in object and in edit mode.

Vertices and faces are numbered as in `geometry.Geometry`. Faces are made and removed with BMesh, Blender's own API for
it, which keeps every layer of the mesh.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import bmesh
import bpy
import numpy as np
from bmesh.types import BMesh, BMFace, BMVert
from mathutils import Vector

from . import arrays

SOURCE = "iseg source"  # layer: 1 + the index of the vertex, or the index of the face, that this one was copied from


class Moved(NamedTuple):
    """Where the elements of a mesh have gone in an edit."""

    vertices: np.ndarray  # [V] int32: new index of each, of its copy where that was moved; -1 for deleted ones
    faces: np.ndarray  # [P'] int32: old index of each face that there is now; -1 for new ones


@contextmanager
def editing(obj: bpy.types.Object) -> Iterator[BMesh]:
    """Open the mesh of an object for editing as a BMesh; it is written back unless an exception is raised."""
    mesh = obj.data
    if obj.data.is_editmode:
        work = bmesh.from_edit_mesh(mesh)
        ensure_lookup(work)
        yield work
        work.normal_update()
        work.select_flush_mode()  # updates the selection counts: Blender's own tools crash where they are wrong
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


def delete(obj: bpy.types.Object, faces: np.ndarray) -> Moved:
    """Delete faces [N] int, and the edges and vertices that only they use."""
    with editing(obj) as work:
        before, faces_before = list(work.verts), list(work.faces)
        bmesh.ops.delete(work, geom=references(work, faces), context="FACES")
        return Moved(places_of(work, before), old_faces(work, faces_before))


def extrude(obj: bpy.types.Object, faces: np.ndarray, steps: np.ndarray) -> Moved:
    """Extrude faces [N] int as one region and move it by steps [V, 3], one for each vertex of the mesh before."""
    with editing(obj) as work:
        layer, face_layer = (kind.layers.int.new(SOURCE) for kind in (work.verts, work.faces))  # copies carry it along
        part, faces_before = references(work, faces), list(work.faces)
        edges = {edge for face in part for edge in face.edges}
        vertices = {vertex for face in part for vertex in face.verts}
        for vertex in vertices:
            vertex[layer] = vertex.index + 1
        for face in part:
            face[face_layer] = face.index
        before = list(work.verts)
        made = bmesh.ops.extrude_face_region(work, geom=[*vertices, *edges, *part])["geom"]
        moved = [element for element in made if isinstance(element, BMVert)]
        sources = np.array([vertex[layer] - 1 for vertex in moved])  # [M]
        for vertex, step in zip(moved, steps[sources].tolist(), strict=True):
            vertex.co += Vector(step)
        after = places_of(work, before)  # [V]
        after[sources] = [vertex.index for vertex in moved]
        old = old_faces(work, faces_before)  # [P']
        for face in (element for element in made if isinstance(element, BMFace)):
            old[face.index] = face[face_layer]
        work.verts.layers.int.remove(layer)
        work.faces.layers.int.remove(face_layer)
        return Moved(after, old)


def move(obj: bpy.types.Object, vertices: np.ndarray, places: np.ndarray) -> None:
    """Move vertices [N] int to the positions places [N, 3]."""
    mesh = obj.data
    if not mesh.is_editmode and mesh.shape_keys is None:  # with shape keys, BMesh moves the other shapes along
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


def old_faces(work: BMesh, before: list[BMFace]) -> np.ndarray:
    """Old index of each face that there is now; -1 for new ones. [P'] int32"""
    work.faces.index_update()
    old = np.full(len(work.faces), -1, np.int32)  # [P']
    for index, face in enumerate(before):
        if face.is_valid:
            old[face.index] = index
    return old


def places_of(work: BMesh, before: list[BMVert]) -> np.ndarray:
    """New index of each vertex; -1 for deleted ones. [V] int32"""
    work.verts.index_update()
    return np.array([vertex.index if vertex.is_valid else -1 for vertex in before], np.int32)
