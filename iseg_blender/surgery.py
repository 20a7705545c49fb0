"""What can be done to a part of a mesh, on a BMesh: the same in object and in edit mode.

A part's faces are those with all their vertices inside.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import bmesh
import bpy
import numpy as np
from bmesh.types import BMesh, BMFace, BMVert
from mathutils import Vector

OLD = "iseg old"  # layer: the index of each vertex before, plus 1
FACE_SETS = ".sculpt_face_set"


@contextmanager
def editing(thing: bpy.types.Object) -> Iterator[BMesh]:
    """The mesh of an object for editing; written back unless an exception ends it."""
    mesh = thing.data
    if thing.mode == "EDIT":
        work = bmesh.from_edit_mesh(mesh)
        work.verts.ensure_lookup_table()
        yield work
        bmesh.update_edit_mesh(mesh, loop_triangles=True, destructive=True)
        return
    work = bmesh.new()
    try:
        work.from_mesh(mesh)
        work.verts.ensure_lookup_table()
        yield work
        work.to_mesh(mesh)
        mesh.update()
    finally:
        work.free()


def faces_of(work: BMesh, inside: np.ndarray) -> list[int]:
    """The faces with all vertices inside [V] bool, by index: adding a layer makes references invalid."""
    within = inside.tolist()
    return [face.index for face in work.faces if all(within[vertex.index] for vertex in face.verts)]


def select(work: BMesh, inside: np.ndarray) -> None:
    """Select the part and nothing else; what is hidden stays so."""
    for element in (*work.faces, *work.edges, *work.verts):
        element.select = False  # first, for it takes the vertices of a face along
    for vertex in part_of(work, inside):
        vertex.select = not vertex.hide
    for element in (*work.edges, *work.faces):
        if not element.hide and all(vertex.select for vertex in element.verts):
            element.select = True
    work.select_history.clear()
    work.select_flush_mode()


def hide(work: BMesh, inside: np.ndarray) -> None:
    """Hide the part; Alt-H in edit mode shows it again."""
    for vertex in part_of(work, inside):
        for element in (vertex, *vertex.link_edges, *vertex.link_faces):
            element.select = False
            element.hide = True


def part_of(work: BMesh, inside: np.ndarray) -> list[BMVert]:
    return [work.verts[i] for i in np.flatnonzero(inside).tolist()]


def delete(work: BMesh, faces: list[int]) -> None:
    """Delete faces, and the edges and vertices that only they use."""
    bmesh.ops.delete(work, geom=references(work, faces), context="FACES")


def references(work: BMesh, faces: list[int]) -> list[BMFace]:
    work.faces.ensure_lookup_table()
    return [work.faces[i] for i in faces]


def extrude(work: BMesh, faces: list[int], distance: float) -> None:
    """Extrude faces as one region along the normals of its vertices; tags the vertices that have moved."""
    part = references(work, faces)
    edges = {edge for face in part for edge in face.edges}
    vertices = {vertex for face in part for vertex in face.verts}
    made = bmesh.ops.extrude_face_region(work, geom=[*vertices, *edges, *part])["geom"]
    moved = [element for element in made if isinstance(element, BMVert)]
    region = {element for element in made if isinstance(element, BMFace)}
    work.normal_update()
    steps = []
    for vertex in moved:
        normal = Vector((0.0, 0.0, 0.0))
        for loop in vertex.link_loops:
            if loop.face in region:
                normal += loop.face.normal * loop.calc_angle()
        steps.append(normal.normalized() * distance if normal.length > 0 else normal)
    for vertex, step in zip(moved, steps, strict=True):
        vertex.co += step
        vertex.tag = True
    work.normal_update()


def scale(work: BMesh, inside: np.ndarray, factor: float) -> None:
    """Scale the part about the mean of its vertices."""
    part = part_of(work, inside)
    centre = sum((vertex.co for vertex in part), Vector((0.0, 0.0, 0.0))) / len(part)
    for vertex in part:
        vertex.co = centre + (vertex.co - centre) * factor
    work.normal_update()


def assign_material(work: BMesh, faces: list[int], slot: int) -> None:
    for face in references(work, faces):
        face.material_index = slot


def assign_face_set(work: BMesh, faces: list[int]) -> int:
    """Give faces a face set of their own, as sculpt mode shows them; returns its number."""
    layer = work.faces.layers.int.get(FACE_SETS)
    if layer is None:
        layer = work.faces.layers.int.new(FACE_SETS)
        for face in work.faces:
            face[layer] = 1
    number = max((face[layer] for face in work.faces), default=0) + 1
    for face in references(work, faces):
        face[layer] = number
    return number


def following(work: BMesh, change: Callable[[], object]) -> dict[int, int]:
    """Do a change, and return where each vertex is after it: {index before: index after}.

    Of the two vertices that extruding makes of one, the moved one (tagged) counts.
    """
    layer = work.verts.layers.int.new(OLD)
    for index, vertex in enumerate(work.verts):
        vertex[layer] = index + 1
        vertex.tag = False
    change()
    work.verts.index_update()
    layer = work.verts.layers.int[OLD]
    after: dict[int, int] = {}
    for vertex in work.verts:
        if vertex[layer] and (vertex.tag or vertex[layer] - 1 not in after):
            after[vertex[layer] - 1] = vertex.index
    work.verts.layers.int.remove(layer)
    return after
