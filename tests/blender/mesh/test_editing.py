"""The edits, which are done on arrays as a whole, against the same done element by element; in either mode, on meshes
with polygons of many corners, loose edges, shells, hidden faces and shape keys.
"""

from collections.abc import Iterator
from typing import TypeAlias

import bmesh
import bpy
import numpy as np
import pytest
from mathutils import Vector

held: list[bmesh.types.BMesh] = []  # one that nobody holds is freed under its elements
Element: TypeAlias = bmesh.types.BMVert | bmesh.types.BMEdge | bmesh.types.BMFace


def odd() -> bpy.types.Object:
    """A grid with a hole, a polygon of 17 corners on a cylinder, a loose edge that touches the grid, a loose vertex."""
    work = bmesh.new()
    bmesh.ops.create_grid(work, x_segments=9, y_segments=9, size=2.0)
    bmesh.ops.create_cone(work, cap_ends=True, segments=17, radius1=1.0, radius2=0.6, depth=1.5)
    for vertex in work.verts:
        vertex.co.z += 0.3 * vertex.co.x * vertex.co.y
    work.faces.ensure_lookup_table()
    bmesh.ops.delete(work, geom=[work.faces[40]], context="FACES")
    lonely = [work.verts.new((5.0, 5.0, z)) for z in (0.0, 1.0, 2.0)]
    work.verts.ensure_lookup_table()
    work.edges.new((lonely[0], lonely[1]))
    work.edges.new((lonely[0], work.verts[33]))
    mesh = bpy.data.meshes.new("Odd")
    work.to_mesh(mesh)
    work.free()
    obj = bpy.data.objects.new("Odd", mesh)
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    return obj


@pytest.fixture(params=["OBJECT", "EDIT"])
def obj(empty, request) -> Iterator[bpy.types.Object]:
    made = odd()
    rng = np.random.default_rng(5)
    made.vertex_groups.new(name="Some").add(rng.integers(0, 100, 30).tolist(), 0.5, "ADD")
    made.data.attributes.new("Number", "INT", "FACE").data.foreach_set("value", np.arange(len(made.data.polygons)))
    made.select_set(True)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    work = bmesh.from_edit_mesh(made.data)
    work.faces.ensure_lookup_table()
    for index in (3, 20, 21):
        work.faces[index].hide_set(True)
    for index in (5, 6, 50, 51, 60):
        work.faces[index].select_set(True)
    bmesh.update_edit_mesh(made.data)
    bpy.ops.object.mode_set(mode=request.param)
    yield made
    held.clear()


def bench(obj) -> bmesh.types.BMesh:
    """A BMesh with the mesh as it is now."""
    obj.update_from_editmode()
    work = bmesh.new()
    work.from_mesh(obj.data)
    work.verts.ensure_lookup_table()
    work.faces.ensure_lookup_table()
    held.append(work)
    return work


def part(obj) -> np.ndarray:
    """A part that has whole faces, pieces of others, hidden ones, and the border of the hole. [V] bool"""
    points = np.array([vertex.co[:] for vertex in bench(obj).verts])  # [V, 3]
    return np.linalg.norm(points - (0.6, 0.4, 0.2), axis=1) < 1.35


def all_in(element: Element, inside: np.ndarray) -> bool:
    vertices = [element] if isinstance(element, bmesh.types.BMVert) else element.verts
    return all(inside[vertex.index] for vertex in vertices)


def elements(work: bmesh.types.BMesh) -> list[Element]:
    return [*work.verts, *work.edges, *work.faces]


def contents(work: bmesh.types.BMesh) -> tuple:
    """All but the places: edges, faces, and the layers of the fixture."""
    work.verts.index_update()
    number, deform = work.faces.layers.int["Number"], work.verts.layers.deform.active
    return (
        [tuple(vertex.index for vertex in edge.verts) for edge in work.edges],
        [(tuple(vertex.index for vertex in face.verts), face[number]) for face in work.faces],
        [vertex[deform].items() for vertex in work.verts],
    )


def places(work: bmesh.types.BMesh) -> np.ndarray:
    return np.array([vertex.co[:] for vertex in work.verts])


def snapshot(iseg, obj):
    return iseg.mesh.cache.snapshot_of(obj).geometry


def whole(iseg, obj, inside) -> np.ndarray:
    faces = np.flatnonzero(snapshot(iseg, obj).within(inside))
    assert faces.tolist() == [face.index for face in bench(obj).faces if all_in(face, inside)] and len(faces) > 10
    return faces


def mask(obj, faces: np.ndarray) -> np.ndarray:
    return np.isin(np.arange(len(bench(obj).faces)), faces)  # [P]


def modes() -> tuple[bool, ...]:
    return tuple(bpy.context.scene.tool_settings.mesh_select_mode)


@pytest.mark.parametrize("holes", [False, True], ids=["vertices", "faces"])
def test_select(empty, obj, holes):
    """Faces that leave out one in their middle cannot be said by vertices."""
    bpy.context.scene.tool_settings.mesh_select_mode = (True, False, False)
    faces, before = whole(empty, obj, part(obj)), bench(obj)
    if holes:
        middle = next(
            face for face in before.faces if all({f.index for f in v.link_faces} <= {*faces} for v in face.verts)
        )
        faces = np.setdiff1d(faces, middle.index)
    empty.mesh.attributes.select(obj, snapshot(empty, obj), mask(obj, faces))
    seen = [before.faces[index] for index in faces.tolist() if not before.faces[index].hide]
    expected = {element for face in seen for element in (face, *face.edges, *face.verts)}
    assert [element.select for element in elements(bench(obj))] == [one in expected for one in elements(before)]
    assert modes() == ((False, False, True) if holes else (True, False, False))
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.object.mode_set(mode="OBJECT")
    assert [p.index for p in obj.data.polygons if p.select] == sorted(face.index for face in seen)
    bpy.context.scene.tool_settings.mesh_select_mode = (True, False, False)


def test_hide(empty, obj):
    faces, slow = whole(empty, obj, part(obj)), bench(obj)
    empty.mesh.attributes.hide(obj, snapshot(empty, obj), mask(obj, faces))
    for index in faces.tolist():
        slow.faces[index].hide_set(True)
    now = elements(bench(obj))
    assert [element.hide for element in now] == [element.hide for element in elements(slow)]
    assert [element.select for element in now] == [element.select for element in elements(slow)]
    assert any(element.select for element in now)
    assert [face.index for face in now if isinstance(face, bmesh.types.BMFace) and face.hide][-1] == faces.max()


def test_delete(empty, obj):
    inside = part(obj)
    faces, slow = whole(empty, obj, inside), bench(obj)
    before = places(slow)
    after, old = empty.mesh.editing.delete(obj, faces)
    rings = [[vertex.index for vertex in face.verts] for face in slow.faces]
    bmesh.ops.delete(slow, geom=[slow.faces[i] for i in faces.tolist()], context="FACES")
    now = bench(obj)
    assert contents(now) == contents(slow)
    np.testing.assert_array_equal(places(now), places(slow))
    assert (after == -1).any() and sorted(after[after >= 0]) == list(range(len(now.verts)))
    np.testing.assert_array_equal(places(now)[after[after >= 0]], before[after >= 0])
    for face, index in zip(now.faces, old.tolist(), strict=True):
        assert [vertex.index for vertex in face.verts] == after[rings[index]].tolist()


def test_extrude(empty, obj):
    inside = part(obj)
    faces, slow = whole(empty, obj, inside), bench(obj)
    before, rings = places(slow), [[vertex.index for vertex in face.verts] for face in slow.faces]
    steps = snapshot(empty, obj).normals(faces) * 0.25  # [V, 3]
    after, old = empty.mesh.editing.extrude(obj, faces, steps)

    region = [slow.faces[i] for i in faces.tolist()]
    own = {vertex for face in region for vertex in face.verts}
    edges = {edge for face in region for edge in face.edges}
    made = bmesh.ops.extrude_face_region(slow, geom=[*own, *edges, *region])["geom"]
    top = {element for element in made if isinstance(element, bmesh.types.BMFace)}
    slow.normal_update()
    moves = {}
    for vertex in (element for element in made if isinstance(element, bmesh.types.BMVert)):
        normal = Vector((0.0, 0.0, 0.0))
        for loop in vertex.link_loops:
            if loop.face in top:
                normal += loop.face.normal * loop.calc_angle()
        moves[vertex] = normal.normalized() * 0.25
    for vertex, step in moves.items():
        vertex.co += step

    now = bench(obj)
    (edges, polygons, groups), (slow_edges, slow_polygons, slow_groups) = contents(now), contents(slow)
    assert set(map(frozenset, edges)) == set(map(frozenset, slow_edges))  # in the order of Blender's memory
    assert sorted(polygons) == sorted(slow_polygons) and groups == slow_groups
    np.testing.assert_allclose(places(now), places(slow), atol=2e-6)
    assert {vertex.index for vertex in moves} == {int(after[v]) for face in faces for v in rings[face]}
    np.testing.assert_allclose(places(now)[after], before + steps, atol=1e-6)  # who is not in the part stays
    assert sorted(old[old >= 0].tolist()) == list(range(len(rings)))  # each has its place, and the sides are new
    for face, index in zip(now.faces, old.tolist(), strict=True):
        if index >= 0:
            expected = before[rings[index]] + (steps[rings[index]] if index in faces else 0.0)  # [n, 3]
            np.testing.assert_allclose([vertex.co[:] for vertex in face.verts], expected, atol=1e-6)


def test_shrink(empty, obj):
    inside, before = part(obj), places(bench(obj))
    empty.operators.edit.shrink(obj, snapshot(empty, obj), inside, 0.5)
    centre = before[inside].mean(axis=0)
    after = places(bench(obj))
    np.testing.assert_array_equal(after[~inside], before[~inside])
    np.testing.assert_allclose(after[inside], centre + (before[inside] - centre) * 0.5, atol=1e-6)


@pytest.mark.parametrize("action", ["SHRINK", "EXTRUDE"])
def test_shape_keys_go_along(empty, obj, action):
    """What moves in the base moves as far in the others, as when it is moved by hand."""
    mode = obj.mode
    bpy.ops.object.mode_set(mode="OBJECT")
    obj.shape_key_add(name="Basis")
    for point in obj.shape_key_add(name="Up").data:
        point.co.z += 1.0
    obj.active_shape_key_index = 0
    bpy.ops.object.mode_set(mode=mode)
    inside, geometry = part(obj), snapshot(empty, obj)
    if action == "SHRINK":
        empty.operators.edit.shrink(obj, geometry, inside, 0.5)
    else:
        faces = np.flatnonzero(geometry.within(inside))
        empty.mesh.editing.extrude(obj, faces, geometry.normals(faces))
    bpy.ops.object.mode_set(mode="OBJECT")
    basis, up = (np.array([point.co[:] for point in key.data]) for key in obj.data.shape_keys.key_blocks)
    np.testing.assert_allclose(up - basis, np.tile([0.0, 0.0, 1.0], (len(basis), 1)), atol=1e-6)
    np.testing.assert_allclose(basis, places(bench(obj)), atol=1e-6)


def test_material_and_face_set(empty, obj):
    inside = part(obj)
    faces = whole(empty, obj, inside)
    sets = []
    for number in (2, 3):
        empty.mesh.attributes.assign_material(obj, faces, number)
        assert empty.mesh.attributes.assign_face_set(obj, faces[number:]) == number
        now = bench(obj)
        layer = now.faces.layers.int[".sculpt_face_set"]
        sets.append([face[layer] for face in now.faces])
        assert [f.index for f in now.faces if f.material_index == number] == faces.tolist()
    assert set(sets[0]) == {1, 2} and [i for i, s in enumerate(sets[1]) if s == 3] == faces[3:].tolist()
    assert [i for i, s in enumerate(sets[1]) if s == 2] == [faces[2]]


def test_attributes_of_another_kind_are_replaced(empty):
    """A file can hold anything under Blender's own names."""
    obj = odd()
    geometry, inside = snapshot(empty, obj), part(obj)
    for name, kind, domain in ((".sculpt_face_set", "FLOAT", "POINT"), ("material_index", "FLOAT_VECTOR", "CORNER")):
        obj.data.attributes.new(name, kind, domain)
    faces = np.flatnonzero(geometry.within(inside))
    assert empty.mesh.attributes.assign_face_set(obj, faces) == 2
    empty.mesh.attributes.assign_material(obj, faces, 1)
    assert [polygon.index for polygon in obj.data.polygons if polygon.material_index == 1] == faces.tolist()
