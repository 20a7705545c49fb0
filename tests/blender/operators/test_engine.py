"""The buttons of the preferences that concern the engine's cache and bug reports."""

import os

import bpy
import pytest
from support.blender.extension import answers_of, running_of


def test_clear_cache_deletes_models_and_the_mesh_is_untrained(empty, engine):
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    bpy.context.scene.iseg.preset = "draft"
    obj = bpy.context.object
    assert bpy.ops.iseg.train() == {"FINISHED"}
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group(name="Trained")
    snapshot = empty.mesh.cache.known_snapshot(obj)
    assert empty.engine.models.model_for(obj, snapshot)[1] is not None
    assert bpy.ops.iseg.clear_cache() == {"FINISHED"}
    assert running_of(empty).freed.startswith("Deleted ") and " MB." in running_of(empty).freed
    assert empty.engine.models.model_for(obj, snapshot)[1] is None and not answers_of(empty).answers
    assert bpy.ops.iseg.to_vertex_group(name="Instant") == {"FINISHED"}  # geometry answers
    assert bpy.ops.iseg.clear_cache() == {"FINISHED"}
    assert running_of(empty).freed == "Deleted 0 trained models, 0.0 MB."


def test_clear_cache_needs_an_engine(empty, monkeypatch):
    monkeypatch.delenv("ISEG_ENGINE", raising=False)
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.iseg.clear_cache()


def test_the_report_tells_what_runs_and_nothing_of_the_mesh(empty, engine, monkeypatch, tmp_path):
    log = tmp_path / "engine.log"
    log.write_bytes(b"an old line\n" + b"x" * 20_000 + b"\nPyTorch was here, in " + os.path.expanduser("~").encode())
    monkeypatch.setattr(empty.engine.choice, "log_path", lambda: str(log))
    bpy.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8)
    bpy.context.object.name = "Secret"
    bpy.ops.iseg.check_engine()
    text = empty.engine.bug_report.text()
    for part in (empty.core.__version__, bpy.app.version_string, "Engine: ready", "Teachers at hand: geometric"):
        assert part in text
    assert "PyTorch was here, in ~" in text and "old line" not in text
    assert "Secret" not in text and os.path.expanduser("~") not in text
    assert bpy.ops.iseg.copy_report() == {"FINISHED"}
    log.unlink()
    assert "(there is none)" in empty.engine.bug_report.text()
    empty.session.SESSION.restart()
    assert "not running" in empty.engine.bug_report.text()
