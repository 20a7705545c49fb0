"""Each edit does what it says to the part and nothing to the rest, in object and in edit mode."""

import bmesh
import bpy
import numpy as np
import pytest
from support.blender.extension import answers_of

EYE = 100  # a vertex of Suzanne


@pytest.fixture(params=["OBJECT", "EDIT"])
def obj(empty, engine, request) -> bpy.types.Object:
    """Suzanne with a click, in either mode."""
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.object.mode_set(mode=request.param)
    bpy.ops.iseg.click_add(vertex=EYE)
    bpy.ops.iseg.click_add(vertex=300, positive=False)
    return bpy.context.object


def part_of(iseg, obj) -> tuple[np.ndarray, list]:
    """Which vertices are in the part [V] bool, and its polygons as lists of vertices."""
    bpy.ops.iseg.to_vertex_group(name="before")  # so that the answer is at hand
    part = iseg.document.parts.part_of(obj)
    faces = iseg.engine.queries.inside_of(obj, part, iseg.engine.queries.answer_of(obj, part))  # [P]
    obj.update_from_editmode()
    polygons = [list(polygon.vertices) for polygon in obj.data.polygons]
    chosen = [polygon for polygon, inside in zip(polygons, faces.tolist(), strict=True) if inside]
    assert 0 < len(chosen) < len(polygons)
    inside = np.zeros(len(obj.data.vertices), bool)  # [V]
    inside[[vertex for polygon in chosen for vertex in polygon]] = True
    return inside, chosen


def points(obj) -> np.ndarray:
    obj.update_from_editmode()
    return np.array([vertex.co[:] for vertex in obj.data.vertices])


def counts(obj) -> tuple[int, int]:
    obj.update_from_editmode()
    return len(obj.data.vertices), len(obj.data.polygons)


def test_select(empty, obj):
    inside, whole = part_of(empty, obj)
    assert bpy.ops.iseg.edit(action="SELECT") == {"FINISHED"}
    np.testing.assert_array_equal(empty.mesh.arrays.selected(obj), inside)
    obj.update_from_editmode()
    chosen = [list(p.vertices) for p in obj.data.polygons if p.select]
    assert chosen == whole


@pytest.mark.parametrize("vertex", range(8))
def test_a_cube_is_selected_by_whole_faces(empty, engine, vertex):
    """The group is what selecting the faces gives, and a face of the clicked vertex is among them."""
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    bpy.ops.iseg.click_add(vertex=vertex)
    assert bpy.ops.iseg.edit(action="SELECT") == {"FINISHED"}
    chosen = [polygon for polygon in obj.data.polygons if polygon.select]
    assert any(vertex in polygon.vertices for polygon in chosen) and len(chosen) < 6
    bpy.ops.iseg.to_vertex_group(hard=True)
    group = {v.index for v in obj.data.vertices if v.groups}
    assert group == {v for polygon in chosen for v in polygon.vertices}


def test_hide(empty, obj):
    _, whole = part_of(empty, obj)
    bpy.ops.iseg.edit(action="HIDE")
    obj.update_from_editmode()
    assert [list(p.vertices) for p in obj.data.polygons if p.hide] == whole


def test_shrink(empty, obj):
    inside, _ = part_of(empty, obj)
    before, topology = points(obj), obj.iseg.topology
    bpy.ops.iseg.edit(action="SHRINK", factor=0.5)
    after, centre = points(obj), before[inside].mean(axis=0)
    np.testing.assert_array_equal(after[~inside], before[~inside])
    np.testing.assert_allclose(after[inside], centre + (before[inside] - centre) * 0.5, atol=1e-6)
    assert obj.iseg.topology == topology and len(obj.iseg.parts[0].clicks) == 2


def test_delete(empty, obj):
    inside, whole = part_of(empty, obj)
    clicked = [tuple(points(obj)[click.vertex]) for click in obj.iseg.parts[0].clicks]
    vertices, polygons = counts(obj)
    bpy.ops.iseg.edit(action="DELETE")
    assert counts(obj)[1] == polygons - len(whole) and counts(obj)[0] < vertices
    clicks = obj.iseg.parts[0].clicks
    left = {tuple(point) for point in points(obj)}
    assert [tuple(points(obj)[click.vertex]) for click in clicks] == [point for point in clicked if point in left]
    assert clicked[1] in left
    assert obj.iseg.topology == empty.mesh.cache.snapshot_of(obj).topology


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_a_point_stays_on_its_face_and_without_it_goes_to_a_corner(empty, engine, mode):
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    bpy.ops.iseg.click_add(face=3, weights=(0.25, 0.625, 0.125))
    obj.iseg.parts[0].granularity = "fine"
    bpy.ops.object.mode_set(mode=mode)

    def dot() -> np.ndarray:
        """Where the click is. [3]"""
        (click,), snapshot = obj.iseg.parts[0].clicks, empty.mesh.cache.snapshot_of(obj)
        prompt = empty.document.parts.prompt_of(click, snapshot.geometry)
        if isinstance(prompt, int):
            return snapshot.vertices[prompt]
        return empty.mesh.points.place_of(prompt, snapshot.vertices, snapshot.faces)

    before = dot()
    bpy.ops.iseg.edit(action="SHRINK", factor=1.0)
    np.testing.assert_allclose(dot(), before, atol=1e-6)
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.5)  # the face is another one now, half a unit farther out
    assert np.abs(dot() - before).sum() == pytest.approx(0.5, abs=1e-5)
    snapshot, click = empty.mesh.cache.snapshot_of(obj), obj.iseg.parts[0].clicks[0]
    corner = snapshot.vertices[snapshot.faces[click.face][1]]
    assert tuple(click.weights) == (0.25, 0.625, 0.125) and (snapshot.vertices[click.vertex] == corner).all()
    bpy.ops.iseg.edit(action="DELETE")
    assert obj.iseg.parts[0].clicks[0].face == -1 and (dot() == corner).all()


def test_a_point_goes_to_the_nearest_corner_that_is_left(empty):
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    snapshot = empty.mesh.cache.snapshot_of(obj)
    bpy.ops.iseg.click_add(face=0, weights=(0.5, 0.125, 0.375))
    after = np.arange(len(snapshot.vertices))  # [V]
    after[snapshot.faces[0][0]] = -1
    moved = empty.mesh.editing.Moved(after, np.arange(1, 6))
    empty.live.follow.follow(obj, moved, snapshot, snapshot.geometry)
    (click,) = obj.iseg.parts[0].clicks
    assert (click.face, click.vertex) == (-1, snapshot.faces[0][2])
    after[:] = -1
    empty.live.follow.follow(obj, moved, snapshot, snapshot.geometry)
    assert len(obj.iseg.parts[0].clicks) == 0


def test_a_click_goes_with_its_vertex(empty, obj):
    """The eye is a shell of its own and wholly in the part: nothing of it stays."""
    bpy.ops.iseg.click_clear()
    bpy.ops.iseg.click_add(vertex=0)
    bpy.ops.iseg.click_add(vertex=300, positive=False)
    inside, _ = part_of(empty, obj)
    assert inside[range(0, 66, 2)].all()
    place = tuple(points(obj)[300])
    bpy.ops.iseg.edit(action="DELETE")
    clicks = obj.iseg.parts[0].clicks
    assert [(tuple(points(obj)[click.vertex]), click.positive) for click in clicks] == [(place, False)]


def test_extrude(empty, obj):
    inside, whole = part_of(empty, obj)
    before, (vertices, polygons) = points(obj), counts(obj)
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.25)
    after = points(obj)
    ring = {edge for polygon in whole for edge in sides(polygon)}
    border = [edge for edge in ring if (edge[1], edge[0]) not in ring]
    assert counts(obj) == (vertices + len({v for edge in border for v in edge}), polygons + len(border))
    used = sorted({v for polygon in whole for v in polygon})
    outside = np.setdiff1d(np.arange(vertices), used)
    kept = {tuple(point) for point in after}
    assert all(tuple(point) in kept for point in before[outside])
    moved = np.linalg.norm(after[obj.iseg.parts[0].clicks[0].vertex] - before[EYE])
    assert moved == pytest.approx(0.25, abs=1e-5)  # the click went along


def test_the_next_edit_is_of_the_same_part(empty, obj):
    _, whole = part_of(empty, obj)
    top = {tuple(np.round(points(obj)[polygon].mean(axis=0), 5)) for polygon in whole}
    for _ in range(2):
        bpy.ops.iseg.edit(action="EXTRUDE", distance=0.0)  # the part stays where it was, on new sides
        bpy.ops.iseg.edit(action="SHRINK", factor=1.0)
        inside, now = part_of(empty, obj)
        assert {tuple(np.round(points(obj)[polygon].mean(axis=0), 5)) for polygon in now} == top
        assert len(now) == len(whole) and len(inside) == counts(obj)[0]
    asked = len(answers_of(empty).answers)
    bpy.ops.iseg.click_add(vertex=0)  # other clicks are answered for the mesh as it is now
    part_of(empty, obj)
    assert len(answers_of(empty).answers) > asked


def sides(polygon: list[int]) -> list[tuple[int, int]]:
    return list(zip(polygon, polygon[1:] + polygon[:1], strict=True))


def test_undo_brings_back_mesh_and_clicks(empty, obj):
    part_of(empty, obj)
    before, clicks = counts(obj), [click.vertex for click in obj.iseg.parts[0].clicks]
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.25)
    bpy.ops.ed.undo_push(message="extruded")
    after, moved = counts(obj), [click.vertex for click in obj.iseg.parts[0].clicks]
    assert after != before and moved != clicks
    bpy.ops.ed.undo()
    obj = bpy.context.object
    assert counts(obj) == before
    assert bpy.ops.iseg.to_vertex_group(name="after undo") == {"FINISHED"}
    assert [click.vertex for click in obj.iseg.parts[0].clicks] == clicks
    bpy.ops.ed.redo()


def test_separate(empty, obj):
    inside, whole = part_of(empty, obj)
    vertices, polygons = counts(obj)
    obj.iseg.parts[0].name = "Eye"
    bpy.ops.iseg.edit(action="SEPARATE")
    new = bpy.data.objects["Eye"]
    assert counts(new)[1] == len(whole) and counts(obj)[1] == polygons - len(whole)
    assert counts(new)[0] == len({v for polygon in whole for v in polygon})
    assert not new.iseg.parts and "before" in new.vertex_groups


def test_what_is_separated_in_local_view_is_seen_there(empty, obj):
    (window,) = bpy.context.window_manager.windows
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    with bpy.context.temp_override(window=window, area=area, region=area.regions[-1]):
        bpy.ops.view3d.localview(frame_selected=False)
    bpy.ops.iseg.edit(action="SEPARATE")
    new, other = bpy.data.objects["Part"], bpy.data.objects.new("Other", obj.data)
    bpy.context.scene.collection.objects.link(other)
    if not obj.local_view_get(area.spaces.active):
        pytest.skip("this Blender does not know without a window what is in local view")
    assert new.local_view_get(area.spaces.active) and not other.local_view_get(area.spaces.active)


def test_separate_what_edit_mode_has_not_saved(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    work = bmesh.from_edit_mesh(obj.data)
    work.verts.ensure_lookup_table()
    for vertex in work.verts:
        vertex.co.x += 5.0
    bmesh.ops.delete(work, geom=[work.verts[300]], context="VERTS")
    bmesh.update_edit_mesh(obj.data)
    bpy.ops.iseg.click_add(vertex=EYE)
    _, whole = part_of(empty, obj)
    wanted = points(obj)[sorted({v for polygon in whole for v in polygon})]
    for vertex in bmesh.from_edit_mesh(obj.data).verts:
        vertex.co.x += 1.0
    bmesh.update_edit_mesh(obj.data)
    bpy.ops.iseg.edit(action="SEPARATE")
    np.testing.assert_allclose(points(bpy.data.objects["Part"]), wanted + (1.0, 0.0, 0.0), atol=1e-6)


def test_material_and_face_set(empty, obj):
    _, whole = part_of(empty, obj)
    obj.iseg.parts[0].name = "Eye"
    bpy.ops.iseg.edit(action="MATERIAL")
    bpy.ops.iseg.edit(action="FACE_SET")
    bpy.ops.object.mode_set(mode="OBJECT")
    eye = obj.material_slots[1].material
    assert eye.name == "Eye" and obj.material_slots[0].material is None
    if eye.node_tree is not None:
        shader = next(node for node in eye.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
        assert shader.inputs["Base Color"].default_value[:] == pytest.approx(eye.diffuse_color[:])
    assert [list(p.vertices) for p in obj.data.polygons if p.material_index == 1] == whole
    sets = np.array([d.value for d in obj.data.attributes[".sculpt_face_set"].data])
    assert [list(obj.data.polygons[i].vertices) for i in np.flatnonzero(sets == 2)] == whole and set(sets) == {1, 2}


def test_materials_keep_their_colour_and_new_ones_have_one_of_their_own(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    bpy.data.materials.new("Skin").diffuse_color = (0.9, 0.5, 0.4, 1.0)
    for name in ("Skin", "Eye", "Ear"):
        bpy.ops.iseg.part_add(name=name)
        bpy.ops.iseg.click_add(vertex=EYE)
        bpy.ops.iseg.edit(action="MATERIAL")
    colours = [tuple(slot.material.diffuse_color) for slot in bpy.context.object.material_slots if slot.material]
    assert colours[0] == pytest.approx((0.9, 0.5, 0.4, 1.0)) and len(colours) == 3
    assert max(abs(a - b) for a, b in zip(colours[1], colours[2], strict=True)) > 0.2


def test_what_is_not_seen_in_object_mode_is_told(empty, obj, capfd):
    for action, words in (("SELECT", "selected: Tab shows"), ("HIDE", "hidden: Tab"), ("FACE_SET", "Sculpt Mode")):
        bpy.ops.iseg.edit(action=action)
        assert (words in capfd.readouterr().out) == (obj.mode == "OBJECT")


def test_an_operation_that_is_adjusted_works_nothing_out_anew(empty, obj, monkeypatch):
    """As the panel below does it: undo, and the operator with other values; Blender has said then what has changed."""
    part_of(empty, obj)
    bpy.ops.ed.undo_push(message="before")
    snapshots, make = [], empty.mesh.cache.MeshSnapshot
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.1)
    bpy.ops.ed.undo_push(message="extruded")
    bpy.ops.ed.undo()
    monkeypatch.setattr(empty.mesh.cache, "MeshSnapshot", lambda geometry: snapshots.append(geometry) or make(geometry))
    monkeypatch.setattr(empty.operators.base.MeshOperator, "fresh", False)
    before = counts(bpy.context.object)
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.3)
    assert counts(bpy.context.object) > before
    assert len(snapshots) == 1  # of the mesh that it has made


def test_shape_keys_follow(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    obj.shape_key_add(name="Basis")
    key = obj.shape_key_add(name="Up")
    for point in key.data:
        point.co.z += 1.0
    bpy.ops.iseg.click_add(vertex=EYE)
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.25)
    keys = obj.data.shape_keys.key_blocks
    basis, up = (np.array([point.co[:] for point in k.data]) for k in keys)
    np.testing.assert_allclose(up - basis, np.tile([0, 0, 1.0], (len(obj.data.vertices), 1)), atol=1e-6)


def test_what_cannot_be_edited_says_why(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    with pytest.raises(RuntimeError, match="There are no clicks: add one"):
        bpy.ops.iseg.edit(action="DELETE")
    bpy.ops.iseg.click_add(vertex=EYE, positive=False)
    with pytest.raises(RuntimeError, match="No click includes anything"):
        bpy.ops.iseg.edit(action="DELETE")
    assert len(bpy.context.object.data.polygons) == 500


def test_blender_can_count_what_is_selected(empty, engine):
    """Else its own tools, which make room for as many vertices, write beyond it."""
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")  # everything is selected
    bpy.ops.iseg.click_add(vertex=EYE)
    for action in ("EXTRUDE", "SHRINK", "DELETE", "SELECT", "HIDE"):
        bpy.ops.iseg.edit(action=action)
        work = bmesh.from_edit_mesh(obj.data)
        selected = [sum(element.select for element in kind) for kind in (work.verts, work.edges, work.faces)]
        assert [obj.data.total_vert_sel, obj.data.total_edge_sel, obj.data.total_face_sel] == selected, action
        bpy.ops.transform.translate(value=(0.1, 0.0, 0.3))
        if not len(obj.iseg.parts[0].clicks):  # deleted with the part
            bpy.ops.iseg.click_add(vertex=EYE)
