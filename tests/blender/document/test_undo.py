"""Undo brings back clicks and parts in edit mode too, where Blender's own knows only of the mesh."""

import bpy
import pytest
from support.blender.meshes import made, monkey


def push() -> None:
    """What Blender does by itself after an operator that a button has called."""
    bpy.ops.ed.undo_push(message="step")


def state_of(iseg):
    return iseg.document.parts_snapshot.saved(bpy.context.object)


@pytest.fixture
def editing(empty):
    """Suzanne in edit mode, with a click made before."""
    monkey()
    bpy.ops.iseg.click_add(vertex=5)
    push()
    bpy.ops.object.mode_set(mode="EDIT")
    push()
    return empty


def test_clicks_go_and_come_again_one_by_one(editing):
    for vertex in (10, 20, 30):
        bpy.ops.iseg.click_add(vertex=vertex)
        push()
    for left in ([5, 10, 20], [5, 10], [5]):
        bpy.ops.ed.undo()
        assert [vertex for vertex, _ in made(bpy.context.object)] == left
    for there in ([5, 10], [5, 10, 20], [5, 10, 20, 30]):
        bpy.ops.ed.redo()
        assert [vertex for vertex, _ in made(bpy.context.object)] == there


@pytest.mark.parametrize(
    "change",
    [
        lambda: bpy.ops.iseg.click_remove(),
        lambda: bpy.ops.iseg.click_flip(index=0),
        lambda: bpy.ops.iseg.click_clear(),
        lambda: bpy.ops.iseg.part_add(name="Ear"),
        lambda: bpy.ops.iseg.part_remove(),
        lambda: setattr(bpy.context.object.iseg.parts[0], "granularity", "whole"),
        lambda: setattr(bpy.context.object.iseg.parts[0], "size", 0.3),
        lambda: setattr(bpy.context.object.iseg.parts[0], "threshold", 0.3),
        lambda: setattr(bpy.context.object.iseg.parts[0], "name", "Nose"),
        lambda: setattr(bpy.context.object.iseg.parts[0], "mirror", (True, False, False)),
    ],
)
def test_every_change_is_one_step(editing, change):
    bpy.ops.iseg.click_add(vertex=10)
    push()
    before = state_of(editing)
    change()
    push()
    after = state_of(editing)
    assert after != before
    bpy.ops.ed.undo()
    assert state_of(editing) == before
    bpy.ops.ed.redo()
    assert state_of(editing) == after


def test_other_steps_leave_the_clicks(editing):
    bpy.ops.iseg.click_add(vertex=10)
    push()
    bpy.ops.mesh.select_all(action="SELECT")
    push()
    bpy.ops.ed.undo()
    assert made(bpy.context.object) == [(5, True), (10, True)]


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_what_was_chosen_in_between_stays(editing, mode):
    """Which part and which click are the active ones is not what a later step has changed."""
    bpy.ops.iseg.part_add(name="Ear")
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.click_add(vertex=20)
    push()
    bpy.ops.object.mode_set(mode=mode)
    push()
    stored = bpy.context.object.iseg
    stored.parts[1].click_index = 0
    stored.part_index = 0
    push()
    bpy.ops.object.shade_smooth() if mode == "OBJECT" else bpy.ops.mesh.select_all(action="SELECT")
    push()
    bpy.ops.ed.undo()
    stored = bpy.context.object.iseg
    assert stored.part_index == 0 and stored.parts[1].click_index == 0


def test_clicks_follow_an_edit_and_its_undo(editing, engine):
    bpy.ops.iseg.click_add(vertex=300, positive=False)
    push()
    before = state_of(editing)
    bpy.ops.iseg.edit(action="DELETE")
    push()
    after = state_of(editing)
    assert after.topology != before.topology
    bpy.ops.ed.undo()
    assert state_of(editing) == before and bpy.ops.iseg.to_vertex_group() == {"FINISHED"}
    bpy.ops.ed.undo()
    bpy.ops.ed.redo()
    assert state_of(editing) == before


def test_from_mode_to_mode(editing):
    """Back through edit mode to before it, and on again; then clicks in object mode, and edit mode a second time."""
    bpy.ops.iseg.click_add(vertex=10)
    push()
    bpy.ops.ed.undo()
    bpy.ops.ed.undo()
    assert bpy.context.object.mode == "OBJECT" and made(bpy.context.object) == [(5, True)]
    bpy.ops.ed.redo()
    bpy.ops.ed.redo()
    assert bpy.context.object.mode == "EDIT" and made(bpy.context.object) == [(5, True), (10, True)]
    bpy.ops.object.mode_set(mode="OBJECT")
    push()
    bpy.ops.iseg.click_add(vertex=20)
    push()
    bpy.ops.object.mode_set(mode="EDIT")
    push()
    bpy.ops.iseg.click_add(vertex=30)
    push()
    expected = [[5, 10, 20, 30], [5, 10, 20], [5, 10, 20], [5, 10], [5, 10], [5], [5]]
    for clicks in expected[1:]:
        bpy.ops.ed.undo()
        assert [vertex for vertex, _ in made(bpy.context.object)] == clicks
    for clicks in expected[-2::-1]:
        bpy.ops.ed.redo()
        assert [vertex for vertex, _ in made(bpy.context.object)] == clicks


def test_the_mesh_carries_one_name_and_keeps_its_own_attributes(editing, tmp_path):
    obj = bpy.context.object
    for vertex in (10, 20):
        bpy.ops.iseg.click_add(vertex=vertex)
    bpy.ops.object.mode_set(mode="OBJECT")
    names = [name for name in obj.data.attributes.keys() if name.startswith(editing.document.undo.LAYER)]
    assert len(names) == 1 and "UVMap" in obj.data.attributes
    assert obj.data.attributes[names[0]].is_internal  # no list shows it
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "clicked.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "clicked.blend"))
    push()
    bpy.ops.object.mode_set(mode="EDIT")
    push()
    bpy.ops.iseg.click_add(vertex=30)
    push()
    bpy.ops.ed.undo()
    assert made(bpy.context.object) == [(5, True), (10, True), (20, True)]


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_objects_that_share_a_mesh(editing, mode):
    """The same click on both, one after the other: each is a step of its own, and each object gets its own back."""
    bpy.ops.object.mode_set(mode="OBJECT")
    first = bpy.context.object.name
    bpy.ops.iseg.click_clear()
    second = bpy.context.object.copy().name
    bpy.context.scene.collection.objects.link(bpy.data.objects[second])
    push()
    for name in (first, second):
        bpy.ops.object.mode_set(mode="OBJECT")
        bpy.context.view_layer.objects.active = bpy.data.objects[name]
        bpy.ops.object.mode_set(mode=mode)
        push()
        bpy.ops.iseg.click_add(vertex=10)
        push()

    def both():
        return [made(bpy.data.objects[name]) for name in (first, second)]

    click = [(10, True)]
    assert both() == [click, click]
    seen = [both()]
    for _ in range(4):
        bpy.ops.ed.undo()
        seen.append(both())
    assert [state for n, state in enumerate(seen) if n == 0 or state != seen[n - 1]] == [
        [click, click],
        [click, []],
        [[], []],
    ]
    for expected in reversed(seen[:-1]):
        bpy.ops.ed.redo()
        assert both() == expected


def test_before_edit_mode_blenders_own_undo_decides(empty):
    """Back beyond the first click, which was made in object mode, from edit mode."""
    monkey()
    push()
    bpy.ops.iseg.click_add(vertex=29)
    push()
    bpy.ops.object.mode_set(mode="EDIT")
    push()
    bpy.ops.iseg.click_flip()
    push()
    for clicks in ([(29, True)], [(29, True)], []):
        bpy.ops.ed.undo()
        assert made(bpy.context.object) == clicks
    for clicks in ([(29, True)], [(29, True)], [(29, False)]):
        bpy.ops.ed.redo()
        assert made(bpy.context.object) == clicks


def test_the_first_change_in_edit_mode_is_undone(empty):
    """One that no operator of ours makes: a setting, or a name."""
    monkey()
    bpy.ops.iseg.part_add(name="Ear")
    push()
    bpy.ops.object.mode_set(mode="EDIT")
    push()
    bpy.context.object.iseg.parts[0].name = "Nose"
    push()
    bpy.ops.ed.undo()
    assert bpy.context.object.iseg.parts[0].name == "Ear"
    bpy.ops.ed.redo()
    assert bpy.context.object.iseg.parts[0].name == "Nose"


def test_what_sliders_pass_pushes_out_no_step(editing):
    """Each tick of a slider is a state, and only the last is a step."""
    bpy.ops.iseg.click_add(vertex=10)
    push()
    before = state_of(editing)
    part = bpy.context.object.iseg.parts[0]
    for tick in range(3000):
        part.threshold = 0.1 + 0.8 * tick / 3000
    push()
    bpy.ops.ed.undo()
    assert state_of(editing) == before
    states = list(editing.document.undo.UndoStates.current().states.values())[-2:]
    first, second = (next(iter(state.values())).parts[0].clicks for state in states)
    assert first is second and len(first) == 2
