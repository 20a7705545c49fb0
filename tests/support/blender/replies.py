"""An engine that answers anything: whatever it says, what was asked ends, in a result or in words, and goes on.

In place of the process there is a client whose answers are mostly nearly right. A conversation is decided by its seed
alone. benchmarks/blender_reliability.py runs as many as one likes.
"""

import contextlib
import copy
import importlib
import io
import itertools
import os
import random
import sys
import traceback
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import bpy
import numpy as np

MODULE = "bl_ext.user_default.iseg"
STEPS = 20
LIMIT = 100  # requests that one operator may need
COMMAND = (["nothing"], {})
OPERATORS = (
    "to_vertex_group to_vertex_group to_vertex_group edit train train clicks_from_selection clicks_from_group "
    "check_engine check_engine fetch_weights free_memory clear_cache click_flip click_remove part_add"
).split()
ODD = (None, True, -1, 0, 7, 2**53, 1e300, -0.5, "", "x" * 300, "\u202e", "Traceback", [], {}, [[1]], {"a": None}, [{}])
ERRORS = "EngineError UnknownMeshError ModelFileError MemoryError InternalError Cancelled Superseded dict x".split()


class Client:
    """What iseg_core.engine.client.EngineClient is to the extension."""

    def __init__(self, iseg: Any, dice: random.Random):
        core = sys.modules[f"{MODULE}.core"]
        self.state, self.reason, self.notice, self.pid = core.EngineState.READY, "", "", None
        self.engine = {"version": core.__version__, "protocol": 1, "python": "3", "platform": "any", "pid": 1}
        self.asked, self._dice, self._ids, self._answers = 0, dice, itertools.count(2), []
        self._mesh: tuple[str, int] = ("0" * 64, 1)  # the last that was opened: its name, and faces
        self._iseg = iseg

    def request(self, kind: str, fields: Any, arrays: Any) -> int:
        self.asked += 1
        assert self.asked < LIMIT, f"{kind} is asked again and again"
        id = next(self._ids)
        answer = self._right(kind, dict(fields or {}), dict(arrays or {}))
        if self._dice.random() < 0.1:
            stage = self._dice.choice(["field", "", "x" * 300])
            fields = {"stage": stage, "fraction": self._dice.choice([-1.0, 0.5, 7.0]), "seconds_left": None}
            self._answers.append(SimpleNamespace(kind="progress", id=id, fields=fields, arrays={}))
        self._answers.append(self._damaged(SimpleNamespace(kind="result", id=id, fields=answer[0], arrays=answer[1])))
        return id

    def pump(self) -> list[Any]:
        given, self._answers = self._answers, []
        return given

    def cancel(self, id: int) -> None:
        pass  # the answer is there already

    def close(self) -> None:
        self._answers.clear()

    def _right(self, kind: str, fields: dict, arrays: dict) -> tuple[dict, dict]:
        """What an engine would answer."""
        model = {"teacher": "geometric", "preset": "draft", "seed": 0, "created": "2026-01-01T00:00:00+00:00"}
        count = self._mesh[1]
        if kind == "open_mesh":
            core = sys.modules[f"{MODULE}.core"]
            mesh = core.Mesh(arrays["vertices"].astype(np.float64), arrays["faces"].astype(np.int32))
            self._mesh = mesh.hash, len(mesh.faces)
            counts = {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}
            return {"mesh": mesh.hash, "topology": mesh.topology_hash, **counts, "models": [model]}, {}
        if kind == "query":
            return {"threshold": 0.5, "milliseconds": 3.0}, {"probability": np.full(count, 0.7, np.float32)}
        if kind == "train":
            return {
                "mesh": fields.get("mesh"),
                **model,
                "seconds": {"field": 1.0},
                "cached": False,
                "unsaved": None,
            }, {}
        if kind == "doctor":
            finding = {"topic": "torch", "value": "2", "remedy": "", "required": True}
            weights = {"topic": "weights sam_vit_b", "value": "missing", "remedy": "Fetch it.", "required": False}
            teachers = [{"name": name, "missing": ""} for name in ("geometric", "sam_vit_b")]
            return {"findings": [finding, weights], "teachers": teachers}, {}
        return {
            "state": {"open": True, "models": [model]},
            "propose": {"clicks": [[1, True], [3, False]], "iou": 0.9},
            "fetch": {"path": "/nowhere"},
            "cache": {"folder": "/nowhere", "models": 1, "checkpoints": 0, "bytes": 5, "limit": 5},
            "free": {"resident": 5, "freed": 5},
        }[kind], {}

    def _damaged(self, answer: Any) -> Any:
        dice, fate = self._dice, self._dice.random()
        if fate < 0.3:
            return answer
        if fate < 0.45:
            sentence = dice.choice(["It did not work. Try again.", "x" * 3000, "\u202e", "", "\0"])
            return SimpleNamespace(
                kind="error", id=answer.id, fields={"type": dice.choice(ERRORS), "sentence": sentence}, arrays={}
            )
        answer = copy.deepcopy(answer)
        if answer.arrays and dice.random() < 0.6:
            name, array = dice.choice(list(answer.arrays.items()))
            shapes = [array[:-1], array[None], array * np.nan, array.astype(np.uint8), array[:0], array * 1e30, -array]
            answer.arrays[name] = dice.choice(shapes)
            if dice.random() < 0.2:
                del answer.arrays[name]
            return answer
        self._bend(answer.fields)
        return answer

    def _bend(self, value: Any) -> None:
        """Take something away somewhere within, or put something odd in its place."""
        places = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not places:
            return
        place = self._dice.choice(places)
        if isinstance(value[place], dict | list) and self._dice.random() < 0.7:
            self._bend(value[place])
        elif self._dice.random() < 0.4:
            del value[place]
        else:
            value[place] = copy.deepcopy(self._dice.choice(ODD))


def run(seed: int) -> int:
    """Some operators with such an engine; how many did their work. Raises AssertionError with all that went wrong."""
    iseg: Any = sys.modules[MODULE]
    dice, wrong, done = random.Random(seed), list[str](), 0
    bpy.ops.wm.read_homefile(use_empty=True)
    iseg.session.SESSION.restart()
    engine = iseg.engine.running.engine()
    client = Client(iseg, dice)
    bpy.context.preferences.system.use_online_access = True  # for the operator; nobody is asked
    chosen = patch.dict(os.environ, {"ISEG_ENGINE": COMMAND[0][0]})
    with chosen, patch.multiple(engine, _command=lambda: COMMAND, _started=COMMAND, _client=client):
        for step in range(STEPS):
            if bpy.context.object is None or dice.random() < 0.2:
                if bpy.context.object is not None:
                    bpy.ops.object.mode_set(mode="OBJECT")
                bpy.ops.mesh.primitive_uv_sphere_add(segments=dice.randrange(5, 12), ring_count=6)
                obj: Any = bpy.context.object
                obj.vertex_groups.new(name="Old").add([1, 2, 3, 4, 5, 6], 1.0, "REPLACE")
            bpy.ops.object.mode_set(mode=dice.choice(["OBJECT", "EDIT"]))
            bpy.ops.iseg.click_add(vertex=dice.randrange(20), positive=dice.random() < 0.8)
            name, client.asked, printed = dice.choice(OPERATORS), 0, io.StringIO()
            what = f"{name}, step {step}"
            try:
                with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                    done += getattr(bpy.ops.iseg, name)() == {"FINISHED"}
            except RuntimeError as error:  # it refuses, and has to say why
                text = str(error).removeprefix("Error:").strip()
                if not text or "Traceback" in text and "Python:" in text:
                    wrong.append(f"{what}: {error}")
            try:
                snapshot(iseg, bpy.context.object)
            except Exception:
                wrong.append(f"look after {what}: {traceback.format_exc()}")
            if engine.busy:
                wrong.append(f"{what}: something is still under way")
                engine._tasks.clear()
    iseg.session.SESSION.restart()
    assert not wrong, "\n".join([f"seed {seed}", *wrong])
    return done


def snapshot(iseg: Any, obj: bpy.types.Object) -> None:
    """All that the sidebar and the preferences show."""
    context = SimpleNamespace(
        object=obj, scene=bpy.context.scene, preferences=bpy.context.preferences, region=SimpleNamespace(width=300)
    )
    for panel in iseg.ui.sidebar.CLASSES[:3]:
        panel.draw(SimpleNamespace(layout=MagicMock()), context)
    preferences = importlib.import_module(f"{MODULE}.ui.preferences")
    with patch.object(preferences, "bpy", SimpleNamespace(context=context, app=bpy.app)):
        preferences.draw(iseg.engine.choice.preferences(), MagicMock())
