"""Marks of a mesh, as the engine gets them: materials, seams and sharp edges; a switch leaves them aside."""

import bpy
import numpy as np
import pytest


@pytest.fixture
def ball(empty) -> bpy.types.Object:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=16)
    return bpy.context.object


def snapshot(iseg, obj):
    return iseg.mesh.cache.snapshot_of(obj)


def upper(obj, height: float = 0.4) -> np.ndarray:
    """Polygons above a height. [P] bool"""
    return np.array([polygon.center.z > height for polygon in obj.data.polygons])


def rim(obj, height: float = 0.4) -> list[bpy.types.MeshEdge]:
    """Edges between the polygons above a height and the others."""
    inside, seen = upper(obj, height), {}
    for polygon, above in zip(obj.data.polygons, inside.tolist(), strict=True):
        for key in polygon.edge_keys:
            seen.setdefault(key, set()).add(above)
    return [edge for edge in obj.data.edges if len(seen[edge.key]) == 2]


@pytest.mark.parametrize("editing", [False, True])
def test_materials_seams_and_sharp_edges_are_read_in_both_modes(empty, ball, editing):
    plain = snapshot(empty, ball)
    assert plain.labels is None and plain.marked_edges is None
    inside, edges = upper(ball), rim(ball)
    ball.data.polygons.foreach_set("material_index", inside.astype(np.int32))
    edges[0].use_seam = edges[1].use_edge_sharp = edges[2].use_seam = True
    expected = sorted(edge.key for edge in edges[:3])
    if editing:
        bpy.ops.object.mode_set(mode="EDIT")
    marked = snapshot(empty, ball)
    unlike_the_first = (inside != inside[0])[plain.polygons]  # [F] labels are numbered as they first appear
    np.testing.assert_array_equal(marked.labels, unlike_the_first.astype(np.int32))
    assert sorted(tuple(sorted(pair)) for pair in marked.marked_edges.tolist()) == expected
    assert marked.topology == plain.topology and marked.hash != plain.hash
    ball.iseg.marks = False
    again = snapshot(empty, ball)
    assert again.labels is None and again.marked_edges is None and again.hash == plain.hash


@pytest.mark.parametrize("domain", ["POINT", "CORNER"])
@pytest.mark.parametrize("kind", ["FLOAT_COLOR", "BYTE_COLOR"])
def test_plain_colours_are_read_and_pictures_are_not(empty, ball, domain, kind):
    plain, inside = snapshot(empty, ball), upper(ball)
    colours = ball.data.color_attributes.new("Paint", kind, domain)
    assert snapshot(empty, ball).hash == plain.hash  # all are one colour
    corners = np.array([loop.vertex_index for loop in ball.data.loops])  # [C]
    of_corner = np.repeat(inside, [polygon.loop_total for polygon in ball.data.polygons])  # [C]
    red = of_corner if domain == "CORNER" else np.isin(np.arange(len(ball.data.vertices)), corners[of_corner])
    rgba = np.stack([red, ~red, red, np.ones(len(red))], axis=1).astype(np.float32)
    colours.data.foreach_set("color", rgba.ravel())
    ball.data.update()
    labels = snapshot(empty, ball).labels
    assert len(np.unique(labels)) == 2
    if domain == "CORNER":
        above = inside[plain.polygons]
        assert len(np.unique(labels[above])) == len(np.unique(labels[~above])) == 1
    colours.data.foreach_set("color", np.random.default_rng(0).random(rgba.size, np.float32))
    ball.data.update()
    assert snapshot(empty, ball).hash == plain.hash


def test_the_switch_is_heard_without_a_change_of_the_mesh(empty, ball):
    rim(ball)[0].use_seam = True
    marked = snapshot(empty, ball)
    ball.iseg.marks = False
    assert empty.mesh.cache.snapshot_of(ball, fresh=False).hash != marked.hash
    ball.iseg.marks = True
    assert empty.mesh.cache.snapshot_of(ball, fresh=False).hash == marked.hash


def test_one_material_is_no_mark(empty, ball):
    plain = snapshot(empty, ball)
    ball.data.polygons.foreach_set("material_index", np.full(len(ball.data.polygons), 1, np.int32))
    assert snapshot(empty, ball).hash == plain.hash


@pytest.mark.parametrize("kind", ["material", "seam"])
def test_a_part_without_a_shape_of_its_own_is_found_by_its_marks(empty, engine, ball, kind):
    inside = upper(ball)
    if kind == "material":
        ball.data.polygons.foreach_set("material_index", inside.astype(np.int32))
    else:
        for edge in rim(ball):
            edge.use_seam = True
    pole = int(np.argmax([vertex.co.z for vertex in ball.data.vertices]))
    bpy.ops.iseg.click_add(vertex=pole)

    def found() -> np.ndarray:
        bpy.ops.iseg.edit(action="SELECT")
        return np.array([polygon.select for polygon in ball.data.polygons])

    np.testing.assert_array_equal(found(), inside)
    ball.iseg.marks = False
    assert not np.array_equal(found(), inside)
