"""The extension as a user has it: the zip, installed into a Blender (its Python module) that nobody has used before."""

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

PRIVATE = tempfile.TemporaryDirectory(prefix="iseg-blender-")  # settings, extensions and the cache of these tests
os.environ["BLENDER_USER_RESOURCES"] = str(Path(PRIVATE.name, "blender"))  # before bpy is imported
os.environ["ISEG_CACHE"] = str(Path(PRIVATE.name, "cache"))
os.environ.setdefault("OMP_NUM_THREADS", "2")

import bpy  # noqa: E402
import numpy as np  # noqa: E402

import build  # noqa: E402

MODULE = "bl_ext.user_default.iseg"


def install() -> ModuleType:
    bpy.context.preferences.view.show_splash = False
    archive = build.extension(Path(PRIVATE.name))
    bpy.ops.extensions.package_install_files(filepath=str(archive), repo="user_default", enable_on_install=True)
    return sys.modules[MODULE]


def running_of(iseg: Any) -> Any:
    """The engine of the session and what is under way in it."""
    return iseg.engine.running.Running.current()


def answers_of(iseg: Any) -> Any:
    """The session's answers and previews."""
    return iseg.engine.queries.AnswerCache.current()


def models_of(iseg: Any) -> Any:
    """What the session knows of models."""
    return iseg.engine.models.ModelLists.current()


def weights(obj: bpy.types.Object, name: str) -> np.ndarray:
    """Weights of a vertex group by Blender's own slow way, NaN outside it. [V]"""
    if obj.mode == "EDIT":
        obj.update_from_editmode()
    index = obj.vertex_groups[name].index
    found = np.full(len(obj.data.vertices), np.nan, np.float32)  # [V]
    for vertex in obj.data.vertices:
        for member in vertex.groups:
            if member.group == index:
                found[vertex.index] = member.weight
    return found


def engine_answer(iseg: Any, obj: bpy.types.Object, clicks: list[tuple[int, bool]], granularity="part") -> np.ndarray:
    """What the engine says by itself of the faces, given to their vertices by Blender's own slow way. [V] float32"""
    snapshot = iseg.mesh.snapshot.MeshSnapshot(iseg.mesh.arrays.read(obj))
    task = iseg.engine.running.engine().start(conversation(iseg, snapshot, clicks, granularity))
    iseg.engine.running.engine().wait(task)
    assert task.error is None
    found = np.zeros(len(snapshot.vertices), np.float32)  # [V]
    for triangle, probability in zip(snapshot.faces, task.result, strict=True):
        found[triangle] = np.maximum(found[triangle], probability)
    return found


def conversation(iseg, snapshot, clicks, granularity):
    ask, messages, core = iseg.tasks.Ask, iseg.core.messages, iseg.core
    yield from iseg.engine.queries.opening(snapshot)
    models = (yield ask(messages.StateRequest(mesh=snapshot.hash))).fields["models"]
    query = messages.QueryRequest(
        mesh=snapshot.hash,
        clicks=tuple(core.Click(*click) for click in clicks),
        granularity=messages.Size(core.size_of(granularity)),
        domain=core.Domain.FACE,
        model=messages.ModelReport.from_fields(models[0]).name if models else None,
    )
    return (yield ask(query)).arrays["probability"]
