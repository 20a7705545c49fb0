"""From a mesh to its vertex group, as a script does it in background mode."""

import sys

import bpy
import numpy as np
import pytest
from support.blender.extension import MODULE, answers_of, engine_answer, models_of, weights


def suzanne() -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add()
    return bpy.context.object


def test_the_package_is_the_installed_one(iseg):
    assert "site-packages" not in iseg.__file__ and "user_default" in iseg.__file__
    assert iseg.__package__ == MODULE
    assert not [name for name in sys.modules if name == "torch" or name.startswith("torch.")]


def test_instant_click_to_vertex_group(empty, engine):
    obj = suzanne()
    bpy.ops.iseg.click_add(vertex=100, positive=True)
    bpy.ops.iseg.click_add(vertex=300, positive=False)
    obj.iseg.plain = True  # without a trained model geometry answers, as ever
    assert bpy.ops.iseg.to_vertex_group(name="Eye") == {"FINISHED"}
    expected = engine_answer(empty, obj, [(100, True), (300, False)])
    np.testing.assert_array_equal(np.nan_to_num(weights(obj, "Eye")), expected)
    assert (weights(obj, "Eye")[100] > 0.5) and 0 < (expected > 0.5).sum() < len(expected)


def test_train_then_click(empty, engine):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    obj = bpy.context.object
    bpy.context.scene.iseg.preset = "draft"
    assert bpy.ops.iseg.train() == {"FINISHED"}
    assert empty.engine.status.of(obj).kind.name == "READY"
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group()
    expected = engine_answer(empty, obj, [(10, True)])
    np.testing.assert_array_equal(np.nan_to_num(weights(obj, "Part")), expected)
    assert [query.model for query in answers_of(empty).answers][-1] == (
        empty.core.messages.ModelName(teacher="geometric", preset="draft", seed=0)
    )
    assert bpy.ops.iseg.train() == {"FINISHED"}  # at once: the model is in the cache

    # The decoder's own answer, and the corrected one again.
    obj.iseg.plain = True
    bpy.ops.iseg.to_vertex_group()
    query = [query for query in answers_of(empty).answers][-1]
    assert query.plain and query.model is not None
    assert not np.array_equal(np.nan_to_num(weights(obj, "Part")), expected)
    obj.iseg.plain = False
    bpy.ops.iseg.to_vertex_group()
    np.testing.assert_array_equal(np.nan_to_num(weights(obj, "Part")), expected)

    # Another session, the same geometry in another object: the model is found again.
    for memory in (
        models_of(empty).reports,
        models_of(empty).poses,
        answers_of(empty).answers,
    ):
        memory.clear()
    again = bpy.data.objects.new("Again", obj.data.copy())  # a sphere made anew may number its faces differently
    bpy.context.scene.collection.objects.link(again)
    bpy.context.view_layer.objects.active = again
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group()
    np.testing.assert_array_equal(np.nan_to_num(weights(again, "Part")), expected)
    assert empty.engine.status.of(again).kind.name == "READY"

    # Another pose of the object that was trained: the same model answers, with a warning.
    for memory in (
        models_of(empty).reports,
        models_of(empty).poses,
        answers_of(empty).answers,
        empty.mesh.cache.MeshCache.current().snapshots,
    ):
        memory.clear()
    bpy.context.view_layer.objects.active = obj
    for vertex in obj.data.vertices:
        vertex.co.z *= 2
    bpy.ops.iseg.to_vertex_group()
    np.testing.assert_array_equal(np.nan_to_num(weights(obj, "Part")), expected)
    assert empty.engine.status.of(obj).kind.name == "MOVED"

    # Other faces: trained no more.
    bpy.ops.iseg.edit(action="DELETE")
    empty.mesh.cache.snapshot_of(obj)
    assert empty.engine.status.of(obj).kind.name == "CHANGED"


def test_a_click_outside_the_mesh_is_refused(empty):
    suzanne()
    with pytest.raises(RuntimeError, match="There is no vertex 99999"):
        bpy.ops.iseg.click_add(vertex=99999)
    assert len(bpy.context.object.iseg.parts) == 0


def test_a_training_is_cancelled_and_leaves_nothing(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    task = empty.engine.training.train(obj, bpy.context.scene.iseg)
    while task.progress is None:
        assert not task.ended, task.error
        empty.engine.running.engine().pump()
    assert empty.engine.status.of(obj).kind.name == "TRAINING"
    with pytest.raises(RuntimeError, match="being trained already"):
        bpy.ops.iseg.train()
    bpy.ops.iseg.click_add(vertex=100)
    assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"}  # clicks are answered meanwhile
    assert bpy.ops.iseg.cancel() == {"FINISHED"}
    assert task.ended and type(task.error).__name__ == "Cancelled"
    assert empty.engine.status.of(obj).kind.name == "INSTANT" and empty.engine.running.problem_of(obj) == ""
    assert empty.document.parts.trained_hash(obj) == ""
