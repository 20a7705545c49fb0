"""What happens by itself in a window, done by hand here, where no timer runs: answers are fetched and shown."""

import bpy
import numpy as np
import pytest
from support.blender.extension import engine_answer, weights

EYE, OTHER_EYE = 0, 1  # vertices of Suzanne; each eye is a shell of its own


@pytest.fixture
def obj(empty, engine) -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.scene.iseg.live = True
    return bpy.context.object


def settle(iseg) -> None:
    """As the timers do it, until nothing is left to be done."""
    iseg.live.answers.refresh()
    while iseg.engine.running.engine().busy:
        iseg.engine.running.engine().pump()


def part(obj) -> np.ndarray:
    return np.nan_to_num(weights(obj, "Part"))


def test_a_live_group_is_written_after_every_change(empty, obj):
    bpy.ops.iseg.click_add(vertex=EYE)
    settle(empty)
    one = part(obj)
    np.testing.assert_array_equal(one, engine_answer(empty, obj, [(EYE, True)]))
    bpy.ops.iseg.click_add(vertex=int(one.argmin()))
    settle(empty)
    assert not np.array_equal(part(obj), one)
    bpy.ops.iseg.click_remove()  # its answer is known already
    settle(empty)
    np.testing.assert_array_equal(part(obj), one)
    settings = obj.iseg.parts[0]
    settings.mirror = (True, False, False)
    settle(empty)
    assert part(obj)[[EYE, OTHER_EYE]].all()
    settings.connected = True
    settle(empty)
    assert part(obj)[EYE] and not part(obj)[OTHER_EYE]


def test_a_live_group_is_written_once(empty, obj, monkeypatch):
    """Writing changes the mesh, which leads back to where it is written."""
    written = []
    write = empty.mesh.vertex_groups.write_group
    monkeypatch.setattr(empty.mesh.vertex_groups, "write_group", lambda *call: written.append(call) or write(*call))
    bpy.ops.iseg.click_add(vertex=100)
    for _ in range(3):
        settle(empty)
    assert len(written) == 1


def test_a_locked_group_stays(empty, obj):
    bpy.ops.iseg.click_add(vertex=EYE)
    settle(empty)
    obj.vertex_groups["Part"].lock_weight = True
    obj.vertex_groups["Part"].remove(range(507))
    bpy.ops.iseg.click_remove()
    bpy.ops.iseg.click_add(vertex=100)
    settle(empty)
    assert np.isnan(weights(obj, "Part")).all()
    assert "is locked: unlock it" in empty.engine.running.problem_of(obj)
    obj.vertex_groups["Part"].lock_weight = False
    settle(empty)
    assert part(obj)[100] > 0.5 and empty.engine.running.problem_of(obj) == ""


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
@pytest.mark.parametrize("end", ["cleared", "removed", "excluded", "taken back"])
def test_a_part_without_clicks_is_an_empty_group(empty, obj, end, mode):
    bpy.ops.object.mode_set(mode=mode)
    before = empty.document.parts_snapshot.saved(obj)
    bpy.ops.iseg.click_add(vertex=EYE)
    settle(empty)
    assert part(obj)[EYE] > 0.5
    if end == "cleared":
        bpy.ops.iseg.click_clear()
    elif end == "removed":
        bpy.ops.iseg.click_remove()
    elif end == "excluded":
        bpy.ops.iseg.click_flip()
    else:
        empty.document.undo.restore(obj, before)  # Esc
    settle(empty)
    assert np.isnan(weights(obj, "Part")).all()
    if end == "excluded":
        bpy.ops.iseg.click_clear()
    bpy.ops.iseg.click_add(vertex=EYE)
    settle(empty)
    assert part(obj)[EYE] > 0.5


def test_the_group_of_a_removed_part_stays(empty, obj):
    bpy.ops.iseg.click_add(vertex=EYE)
    settle(empty)
    bpy.ops.iseg.part_remove()
    settle(empty)
    assert part(obj)[EYE] > 0.5


def test_a_group_of_another_is_not_overwritten(empty, obj):
    """A bone's, for example: only a button that says so may replace it."""
    obj.vertex_groups.new(name="Part").add([7], 0.5, "REPLACE")
    bpy.ops.iseg.click_add(vertex=EYE)
    settle(empty)
    assert np.flatnonzero(part(obj)).tolist() == [7]
    assert "There was a vertex group Part before: press To Vertex Group" in empty.engine.running.problem_of(obj)
    bpy.ops.iseg.to_vertex_group()
    bpy.ops.iseg.click_add(vertex=OTHER_EYE)
    settle(empty)
    assert part(obj)[[EYE, OTHER_EYE]].all() and empty.engine.running.problem_of(obj) == ""


def test_every_windows_object_is_answered(empty, obj, monkeypatch):
    bpy.ops.iseg.click_add(vertex=EYE)
    other = bpy.data.objects.new("Other", obj.data.copy())
    bpy.context.scene.collection.objects.link(other)
    bpy.context.view_layer.objects.active = other
    bpy.ops.iseg.click_add(vertex=OTHER_EYE)
    assert empty.live.answers.actives() == [(bpy.context.scene, other)]
    monkeypatch.setattr(empty.live.answers, "actives", lambda: [(bpy.context.scene, obj), (bpy.context.scene, other)])
    settle(empty)
    assert part(obj)[EYE] > 0.5 and part(other)[OTHER_EYE] > 0.5


def test_undo_does_not_forget_a_training(empty, engine):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    bpy.context.scene.iseg.preset = "draft"
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.iseg.part_add()
    bpy.ops.ed.undo_push(message="part")
    bpy.ops.iseg.train()
    name = empty.document.parts.trained_hash(bpy.context.object)
    bpy.ops.ed.undo()
    bpy.ops.ed.redo()
    assert empty.document.parts.trained_hash(bpy.context.object) == ""
    settle(empty)  # begun by the handler of undo, in a window
    assert empty.document.parts.trained_hash(bpy.context.object) == name != ""


def test_a_trained_mesh_is_ready_without_a_click(empty, engine, tmp_path):
    """Another session: what is known of the mesh is asked for, though it has no part yet."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    bpy.context.scene.iseg.preset = "draft"
    bpy.ops.iseg.train()
    path = str(tmp_path / "trained.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    empty.session.SESSION.restart()
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=path)
    settle(empty)
    assert empty.engine.status.of(bpy.context.object).kind.name == "READY"
    bpy.ops.iseg.part_add()
    settle(empty)
    assert empty.engine.status.of(bpy.context.object).kind.name == "READY"

    # Another object of the same geometry, as soon as the sidebar has shown it.
    other = bpy.data.objects.new("Other", bpy.context.object.data.copy())
    bpy.context.scene.collection.objects.link(other)
    bpy.context.view_layer.objects.active = other
    settle(empty)
    assert empty.engine.status.of(other).kind.name == "INSTANT"
    empty.live.answers.notice(other)
    settle(empty)
    assert empty.engine.status.of(other).kind.name == "READY"
