"""The hand-over is exact: the weights in Blender are the engine's answer, vertex by vertex."""

import bpy
import numpy as np
import pytest
from support.blender.extension import engine_answer, weights
from support.blender.meshes import MESHES, concave_polygon, monkey


@pytest.mark.parametrize("make", MESHES, ids=lambda make: make.__name__)
def test_weights_are_the_engines_answer(empty, engine, make):
    make()
    obj = bpy.context.object
    count = len(empty.mesh.arrays.read(obj).vertices)
    clicks = [(count - 1, True), (count // 3, False)]
    for vertex, positive in clicks:
        bpy.ops.iseg.click_add(vertex=vertex, positive=positive)
    bpy.ops.iseg.to_vertex_group(name="Part")
    answer = engine_answer(empty, obj, clicks)
    assert answer.shape == (count,) and 0 < answer.max() <= 1
    written = weights(obj, "Part")
    np.testing.assert_array_equal(np.nan_to_num(written), answer)
    np.testing.assert_array_equal(np.isnan(written), answer == 0)  # weight 0 is no membership


def test_the_arrays_are_the_mesh(empty):
    """Triangles cover the polygons: same corners, same area, also of a concave one."""
    concave_polygon()
    geometry = empty.mesh.arrays.read(bpy.context.object)
    mesh = bpy.context.object.data
    np.testing.assert_array_equal(geometry.vertices, [v.co[:] for v in mesh.vertices])
    faces = empty.mesh.geometry.triangles(geometry)
    corners = geometry.vertices[faces].astype(float)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx(sum(polygon.area for polygon in mesh.polygons), rel=1e-5)
    assert len(faces) == sum(len(p.vertices) - 2 for p in mesh.polygons)


def test_a_group_is_replaced_in_its_place(empty):
    """Other groups, their order and what refers to them stay."""
    monkey()
    obj, count = bpy.context.object, len(bpy.context.object.data.vertices)
    for name in ("A", "B", "C"):
        obj.vertex_groups.new(name=name).add([1, 2, 3], 0.25, "REPLACE")
    colour = obj.data.attributes.new("Colour", "FLOAT", "POINT")
    obj.data.attributes.active = colour
    mask = obj.modifiers.new("Mask", "MASK")
    mask.vertex_group = "B"
    cloth = obj.modifiers.new("Cloth", "CLOTH")
    cloth.settings.vertex_group_mass, cloth.settings.vertex_group_bending = "B", "C"
    cloth.collision_settings.vertex_group_self_collisions = "B"
    soft = obj.modifiers.new("Soft", "SOFT_BODY").settings
    soft.vertex_group_goal, soft.vertex_group_mass = "B", "A"
    obj.modifiers.new("Hair", "PARTICLE_SYSTEM")
    hair = obj.particle_systems[0]
    hair.vertex_group_density, hair.vertex_group_length, hair.vertex_group_size = "B", "C", "B"
    burst = obj.modifiers.new("Burst", "EXPLODE")
    burst.vertex_group = "B"
    new = np.linspace(0, 1, count, dtype=np.float32)
    assert empty.mesh.vertex_groups.write_group(obj, "B", new) == "B"
    assert [group.name for group in obj.vertex_groups] == ["A", "B", "C"] and mask.vertex_group == "B"
    np.testing.assert_array_equal(np.nan_to_num(weights(obj, "B")), new)
    assert (cloth.settings.vertex_group_mass, cloth.settings.vertex_group_bending) == ("B", "C")
    assert cloth.collision_settings.vertex_group_self_collisions == burst.vertex_group == "B"
    assert (soft.vertex_group_goal, soft.vertex_group_mass) == ("B", "A")
    assert (hair.vertex_group_density, hair.vertex_group_length, hair.vertex_group_size) == ("B", "C", "B")
    for name in "AC":
        others = np.nan_to_num(weights(obj, name))
        assert np.flatnonzero(others).tolist() == [1, 2, 3]
    assert obj.data.attributes.active.name == "Colour" and len(obj.data.attributes["Colour"].data) == count


def test_a_locked_group_is_refused(empty, engine):
    monkey()
    group = bpy.context.object.vertex_groups.new(name="Part")
    group.lock_weight = True
    bpy.ops.iseg.click_add(vertex=3)
    with pytest.raises(RuntimeError, match="is locked: unlock it"):
        bpy.ops.iseg.to_vertex_group()
    assert np.isnan(weights(bpy.context.object, "Part")).all()
    (window,) = bpy.context.window_manager.windows
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    with bpy.context.temp_override(window=window, area=area):
        assert not bpy.ops.iseg.to_vertex_group.poll()  # the button, which names no other
    assert bpy.ops.iseg.to_vertex_group(name="Other") == {"FINISHED"}


def test_hard_and_connected(empty, engine):
    monkey()
    obj = bpy.context.object
    bpy.ops.iseg.click_add(vertex=100)
    part = obj.iseg.parts[0]
    bpy.ops.iseg.to_vertex_group(hard=True)
    hard = np.nan_to_num(weights(obj, "Part"))
    answer = engine_answer(empty, obj, [(100, True)])
    np.testing.assert_array_equal(hard, answer >= empty.engine.queries.answer_of(obj, part).threshold)
    part.connected, part.automatic, part.threshold = True, False, 0.01
    bpy.ops.iseg.to_vertex_group()
    faces = empty.engine.queries.inside_of(obj, part, empty.engine.queries.answer_of(obj, part))  # [P]
    inside = empty.mesh.cache.known_snapshot(obj).geometry.touched(faces)  # [V]
    np.testing.assert_array_equal(np.nan_to_num(weights(obj, "Part")), answer * inside)
