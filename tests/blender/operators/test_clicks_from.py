"""Clicks from a selection or a vertex group."""

import re

import bpy
import numpy as np
import pytest
from support.blender.extension import answers_of
from support.blender.meshes import made, monkey


def region(iseg, obj) -> np.ndarray:
    """The active part as it is shown. [V] bool"""
    bpy.ops.iseg.to_vertex_group(name="shown")
    part = iseg.document.parts.part_of(obj)
    inside = iseg.engine.queries.inside_of(obj, part, iseg.engine.queries.answer_of(obj, part))  # [P]
    return iseg.mesh.cache.known_snapshot(obj).geometry.touched(inside)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def messages(capfd) -> str:
    return capfd.readouterr().out


@pytest.fixture
def eyes(empty, engine) -> np.ndarray:
    """Suzanne in edit mode, her two eyes (shells of their own) selected. [V] bool"""
    obj = monkey()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    places = np.array([vertex.co for vertex in obj.data.vertices])  # [V, 3]
    for side in (-1, 1):
        iris = np.linalg.norm(places - (side * 0.352, -0.82, 0.243), axis=1).argmin()
        obj.data.vertices[int(iris)].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_linked()
    selected = empty.mesh.arrays.selected(obj)
    assert 20 < selected.sum() < 100
    return selected


def test_a_selection_becomes_clicks(empty, eyes, capfd):
    obj = bpy.context.object
    bpy.ops.ed.undo_push(message="before")
    assert bpy.ops.iseg.clicks_from_selection() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="seeded")
    clicks = made(obj)
    assert 2 <= len(clicks) <= 12 and all(eyes[vertex] for vertex, include in clicks if include)
    assert re.search(r"\d+ clicks give the part back with IoU (0\.9|1)", messages(capfd))
    assert iou(region(empty, obj), eyes) > 0.85
    bpy.ops.ed.undo()
    assert made(bpy.context.object) == [] and len(bpy.context.object.iseg.parts) == 0  # one step
    bpy.ops.ed.redo()
    assert made(bpy.context.object) == clicks


def test_a_vertex_group_becomes_clicks(empty, eyes):
    obj = bpy.context.object
    bpy.ops.object.mode_set(mode="OBJECT")
    empty.mesh.vertex_groups.write_group(obj, "Eyes", eyes * 0.7)
    assert bpy.ops.iseg.clicks_from_group() == {"FINISHED"}
    assert iou(region(empty, obj), eyes) > 0.85
    assert obj.iseg.parts[0].name == "Part"  # so that writing the part leaves the group alone


def cube_selected(mode: str, chosen: list[int]) -> bpy.types.Object:
    """Blender's cube in edit mode, with these polygons selected."""
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_mode(type=mode)
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    for index in chosen:
        obj.data.polygons[index].select = True
        if mode == "VERT":
            for vertex in obj.data.polygons[index].vertices:
                obj.data.vertices[vertex].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    return obj


def shown(iseg, obj) -> list[int]:
    """The polygons of the active part."""
    bpy.ops.iseg.to_vertex_group(name="shown")
    part = iseg.document.parts.part_of(obj)
    answer = iseg.engine.queries.answer_of(obj, part)
    return np.flatnonzero(iseg.engine.queries.inside_of(obj, part, answer)).tolist()


@pytest.mark.parametrize("mode", ["FACE", "VERT"])
@pytest.mark.parametrize("polygon", range(6))
def test_a_side_of_a_cube_becomes_that_side(empty, engine, mode, polygon):
    obj = cube_selected(mode, [polygon])
    assert bpy.ops.iseg.clicks_from_selection() == {"FINISHED"}
    assert shown(empty, obj) == [polygon]
    first = obj.iseg.parts[0].clicks[0]
    assert first.face // 2 == polygon and first.positive  # a point of the side, not a corner


def test_a_group_of_a_cubes_side_becomes_that_side(empty, engine):
    obj = cube_selected("FACE", [4])
    bpy.ops.object.mode_set(mode="OBJECT")
    empty.mesh.vertex_groups.write_group(obj, "Side", np.isin(np.arange(8), obj.data.polygons[4].vertices) * 1.0)
    assert bpy.ops.iseg.clicks_from_group() == {"FINISHED"}
    assert shown(empty, obj) == [4]


def test_polygons_are_handed_over_and_not_their_vertices(empty, engine, monkeypatch):
    """Two opposite sides have all vertices of the cube."""
    obj = cube_selected("FACE", [0, 2])
    asked = []
    proposing = empty.engine.queries.proposing
    monkeypatch.setattr(
        empty.engine.queries,
        "proposing",
        lambda obj, snapshot, chosen, *rest: asked.append(chosen) or proposing(obj, snapshot, chosen, *rest),
    )
    bpy.ops.iseg.clicks_from_selection()
    assert np.flatnonzero(asked[0].faces).tolist() == [0, 2] and asked[0].vertices.all()
    assert any(not click.positive for click in obj.iseg.parts[0].clicks) or shown(empty, obj) == [0, 2]


def test_what_is_there_stays(empty, eyes):
    """A part with clicks is left alone; an empty one is filled, with its own settings."""
    obj = bpy.context.object
    bpy.ops.iseg.click_add(vertex=300)
    bpy.ops.iseg.clicks_from_selection()
    assert [len(part.clicks) for part in obj.iseg.parts] == [1, len(made(obj)) - 1]
    bpy.ops.iseg.part_add(name="Eyes")
    part = obj.iseg.parts[2]
    part.granularity, part.connected, part.mirror = "fine", True, (True, False, False)
    bpy.ops.iseg.clicks_from_selection()
    assert len(obj.iseg.parts) == 3 and len(part.clicks)
    assert (part.name, part.granularity, part.connected, tuple(part.mirror)) == ("Eyes", "fine", False, (False,) * 3)
    assert iou(region(empty, obj), eyes) > 0.85


def test_the_trained_model_is_asked(empty, engine):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    obj = bpy.context.object
    bpy.context.scene.iseg.preset = "draft"
    bpy.ops.iseg.train()
    bpy.ops.object.mode_set(mode="EDIT")  # everything is selected
    bpy.ops.iseg.clicks_from_selection()
    bpy.ops.iseg.to_vertex_group()
    assert [query.model for query in answers_of(empty).answers][-1] == (
        empty.core.messages.ModelName(teacher="geometric", preset="draft", seed=0)
    )
    assert len(made(obj)) >= 1


def test_refusals_say_why(empty, engine):
    obj = monkey()
    with pytest.raises(RuntimeError, match="Select the faces of a part in Edit Mode"):
        bpy.ops.iseg.clicks_from_selection()
    with pytest.raises(RuntimeError, match="There is no vertex group"):
        bpy.ops.iseg.clicks_from_group()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    with pytest.raises(RuntimeError, match="Nothing is selected"):
        bpy.ops.iseg.clicks_from_selection()
    bpy.ops.object.mode_set(mode="OBJECT")
    obj.data.vertices[7].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="choose the faces of a part"):
        bpy.ops.iseg.clicks_from_selection()
    bpy.ops.object.mode_set(mode="OBJECT")
    obj.vertex_groups.new(name="Empty")
    with pytest.raises(RuntimeError, match="No vertex has a weight of 0.5 or more in Empty"):
        bpy.ops.iseg.clicks_from_group()
    bpy.ops.iseg.click_add(vertex=1)
    obj.iseg.topology = "another"
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    with pytest.raises(RuntimeError, match="faces have changed since the clicks were made"):
        bpy.ops.iseg.clicks_from_selection()
    assert made(obj) == [(1, True)] and len(obj.iseg.parts) == 1


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_weights_are_read_as_they_are(empty, mode):
    obj = monkey()
    assert not empty.mesh.vertex_groups.read_group(obj, 0).any()  # no group at all
    obj.vertex_groups.new(name="Other").add([1, 2], 1.0, "REPLACE")
    group = obj.vertex_groups.new(name="Group")
    group.add([2, 3], 0.25, "REPLACE")
    group.add([500], 0.75, "REPLACE")
    bpy.ops.object.mode_set(mode=mode)
    expected = np.zeros(507, np.float32)  # [V]
    expected[[2, 3, 500]] = 0.25, 0.25, 0.75
    np.testing.assert_array_equal(empty.mesh.vertex_groups.read_group(obj, group.index), expected)
