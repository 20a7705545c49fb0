"""From a mesh to its vertex group, as a script does it in background mode."""

import sys

import bpy
import numpy as np
import pytest
from conftest import MODULE, weights


def suzanne() -> bpy.types.Object:
    bpy.ops.mesh.primitive_monkey_add()
    return bpy.context.object


def engine_answer(iseg, thing, clicks, granularity="part"):
    """What the engine says by itself. [V] float32"""
    look = iseg.mesh_io.Look(iseg.mesh_io.read(thing))
    task = iseg.session.engine.start(conversation(iseg, look, clicks, granularity))
    iseg.session.engine.wait(task)
    assert task.error is None
    return task.result


def conversation(iseg, look, clicks, granularity):
    ask = iseg.engine.Ask
    yield ask("open_mesh", {}, {"vertices": look.vertices, "faces": look.faces})
    models = (yield ask("state", {"mesh": look.hash})).fields["models"]
    model = {name: models[0][name] for name in ("teacher", "preset", "seed")} if models else None
    fields = {"mesh": look.hash, "clicks": [list(c) for c in clicks], "granularity": granularity, "model": model}
    return (yield ask("query", fields)).arrays["probability"]


def test_the_package_is_the_installed_one(iseg):
    assert "site-packages" not in iseg.__file__ and "user_default" in iseg.__file__
    assert iseg.__package__ == MODULE
    assert not [name for name in sys.modules if name == "torch" or name.startswith("torch.")]


def test_instant_click_to_vertex_group(empty, engine):
    thing = suzanne()
    bpy.ops.iseg.click_add(vertex=100, positive=True)
    bpy.ops.iseg.click_add(vertex=300, positive=False)
    assert bpy.ops.iseg.to_vertex_group(name="Eye") == {"FINISHED"}
    expected = engine_answer(empty, thing, [(100, True), (300, False)])
    np.testing.assert_array_equal(np.nan_to_num(weights(thing, "Eye")), expected)
    assert (weights(thing, "Eye")[100] > 0.5) and 0 < (expected > 0.5).sum() < len(expected)


def test_train_then_click(empty, engine):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    thing = bpy.context.object
    bpy.context.scene.iseg.preset = "draft"
    assert bpy.ops.iseg.train() == {"FINISHED"}
    assert empty.session.status(thing).kind.name == "READY"
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group()
    expected = engine_answer(empty, thing, [(10, True)])
    np.testing.assert_array_equal(np.nan_to_num(weights(thing, "Part")), expected)
    assert [query.model for query in empty.session.answers][-1] == ("geometric", "draft", 0)


def test_a_click_outside_the_mesh_is_refused(empty):
    suzanne()
    with pytest.raises(RuntimeError, match="There is no vertex 99999"):
        bpy.ops.iseg.click_add(vertex=99999)
    assert len(bpy.context.object.iseg.parts) == 0
