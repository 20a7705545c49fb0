"""What the extension goes through at a desk in a long time: enabled and disabled again and again, its engine killed."""

import gc
import os
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType, SimpleNamespace
from typing import Any

import bpy
import numpy as np

from support.blender.extension import answers_of

MODULE = "bl_ext.user_default.iseg"
ENDED = "signal 9"  # the reason where an engine was killed
PATIENT = 300.0  # seconds after which something hangs, on the slowest of machines


def left_behind() -> dict[str, list[str]]:
    """All of ours that Blender and Python know of, by kind."""
    handlers = [
        f"{kind} {handler.__name__}"
        for kind in dir(bpy.app.handlers)
        for handler in (getattr(bpy.app.handlers, kind) if isinstance(getattr(bpy.app.handlers, kind), list) else [])
        if getattr(handler, "__module__", "").startswith(MODULE)
    ]
    configs = bpy.context.window_manager.keyconfigs if bpy.context.window_manager else ()
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(MODULE)]
    session = sys.modules.get(f"{MODULE}.session")
    kept = list(session.SESSION.kept.values()) if session is not None else []
    calls = [c for c in gc.get_objects() if type(c) in (FunctionType, MethodType, partial)]  # also those in no module
    return {
        "classes": [name for name in dir(bpy.types) if name.lower().startswith("iseg")],
        "operators": dir(bpy.ops.iseg),
        "handlers": handlers,
        "properties": [kind.__name__ for kind in (bpy.types.Object, bpy.types.Scene) if hasattr(kind, "iseg")],
        "shortcuts": [
            item.idname
            for config in configs
            for keymap in config.keymaps
            for item in keymap.keymap_items
            if item.idname.startswith("iseg.")
        ],
        "timers": [repr(c) for c in calls if home_of(c).startswith(MODULE) and bpy.app.timers.is_registered(c)],
        "drawing": [  # what draw_handler_add gives
            f"{owner}.{n}"
            for owner in [*modules, *kept]
            for n, v in vars(owner).items()
            if type(v).__name__ == "PyCapsule"
        ],
        "session": [type(one).__name__ for one in kept],
        "threads": [thread.name for thread in threading.enumerate() if thread.name.startswith("iseg")],
    }


def home_of(call: Any) -> str:
    """The module that a function is of, also of one whose arguments are given already."""
    return str(getattr(getattr(call, "func", call), "__module__", ""))


def cycles(count: int) -> str:
    """Disable and enable the extension, with an engine that runs and a click that is made in between; how it went."""
    before = {kind: sorted(names) for kind, names in left_behind().items() if kind != "threads"}
    held = []
    for number in range(count):
        bpy.ops.wm.read_homefile(use_empty=True)
        bpy.ops.mesh.primitive_cube_add()
        if number % 10 == 0:
            bpy.ops.iseg.click_add(vertex=number % 8)
            bpy.ops.iseg.to_vertex_group()
        iseg: Any = sys.modules[MODULE]
        iseg.timers.bpy = SimpleNamespace(
            app=SimpleNamespace(background=False, timers=bpy.app.timers)
        )  # as with a window
        for timer in (
            iseg.engine.pump.pump,
            iseg.live.answers.refresh,
            iseg.engine.installing.watch,
            iseg.viewport.tool.watch_mouse,
        ):
            iseg.timers.Timers.current().begin(timer, after=60.0, persistent=True)
        assert len(left_behind()["timers"]) == 4
        bpy.ops.preferences.addon_disable(module=MODULE)
        left = {kind: names for kind, names in left_behind().items() if names}
        assert not left, left
        bpy.ops.preferences.addon_enable(module=MODULE)
        now = {kind: sorted(names) for kind, names in left_behind().items() if kind != "threads"}
        assert now == before, (now, before)
        held.append((len(os.listdir("/proc/self/fd")), resident()))
    files, memory = (np.array([row[k] for row in held[len(held) // 2 :]], float) for k in (0, 1))  # 2 x [N]
    assert np.ptp(files) <= 2, files  # a log that is rotated
    slope = np.polyfit(np.arange(len(memory)), memory, 1)[0] * 100 / 1e6 if len(memory) > 2 else 0.0
    assert count < 100 or slope < 1.0, slope
    return f"{count} cycles, nothing left after any; {files[-1]:.0f} files open, memory {slope:+.1f} MB per 100 cycles"


def resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


KINDS = ("train", "query", "start")  # what is under way when the engine is killed


def kills(count: int, seed: int = 0) -> str:
    """Kill the engine at random moments until `count` kills met one that trains, answers a click or starts, a third
    each; how it went.

    Whatever was under way ends with a reason, what the object had stays, and the next click starts the engine again.
    """
    iseg: Any = sys.modules[MODULE]

    def under_way(kind: str, task: Any) -> bool:
        return engine.state.name == "STARTING" if kind == "start" else not task.ended

    engine, rng, longest = iseg.engine.running.engine(), random.Random(seed), 0.0
    met, missed = dict.fromkeys(KINDS, 0), 0
    lasts = {"train": 4.0, "query": 0.02, "start": 0.3}  # seconds, about
    while sum(met.values()) < count:
        assert missed < 20 * count + 20, f"nearly always too late: {met}"
        kind = KINDS[sum(met.values()) % len(KINDS)]
        bpy.ops.wm.read_homefile(use_empty=True)
        if kind == "query":  # one that takes some milliseconds
            bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=40 + missed % 7)
        else:
            bpy.ops.mesh.primitive_uv_sphere_add(segments=10 + sum(met.values()) % 7, ring_count=8)
        obj = bpy.context.object
        bpy.context.scene.iseg.preset = "draft"
        bpy.ops.iseg.click_add(vertex=10)
        bpy.ops.iseg.to_vertex_group()
        bpy.ops.iseg.click_add(vertex=30, positive=False)
        before, snapshot = state_of(iseg, obj), iseg.mesh.cache.snapshot_of(obj)
        if kind == "start":
            engine.close()
        began = time.monotonic()
        if kind == "train":
            task = iseg.engine.training.train(obj, bpy.context.scene.iseg)
        else:
            task = engine.start(iseg.engine.queries.answering(obj, obj.iseg.parts[0], snapshot, "cpu"))
        moment = began + rng.random() * lasts[kind]
        while time.monotonic() < moment and under_way(kind, task) or engine._client.pid is None:
            engine.pump()
            time.sleep(0.001)
        engine.pump()
        if under_way(kind, task):
            met[kind] += 1
        else:
            missed += 1
        lasts[kind] *= 1.1 if under_way(kind, task) else 0.9
        os.kill(engine._client.pid, signal.SIGKILL)
        began, pumped = time.monotonic(), 0.0
        while not task.ended or engine.reason == "":
            assert time.monotonic() - began < PATIENT, "nobody noticed"
            at = time.monotonic()
            engine.pump()
            pumped = max(pumped, time.monotonic() - at)
            time.sleep(0.001)
        longest = max(longest, pumped)
        assert task.error is None or ENDED in str(task.error), task.error
        assert ENDED in iseg.engine.running.problem_of(obj), iseg.engine.running.problem_of(obj)
        assert state_of(iseg, obj) == before, "the object is not what it was"
        answers_of(iseg).answers.clear()
        bpy.ops.iseg.click_add(vertex=50)
        assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"} and not iseg.engine.running.problem_of(obj)
    return (
        f"{count} kills ({met['train']} while training, {met['query']} while a click was asked, {met['start']} while "
        f"the engine started) and {missed} with nothing under way, nothing lost; Blender was held up by at most "
        f"{longest * 1e3:.0f} ms"
    )


def train_for_ever() -> None:
    """Say which process the engine is as soon as it is in the middle of a training, and go on."""
    iseg: Any = sys.modules[MODULE]
    bpy.ops.mesh.primitive_monkey_add()
    bpy.context.scene.iseg.preset = "paper"  # minutes
    engine, task = iseg.engine.running.engine(), iseg.engine.training.train(bpy.context.object, bpy.context.scene.iseg)
    said = False
    while not task.ended:
        engine.pump()
        if not said and task.progress is not None and task.progress.stage == "observe":
            print(f"ENGINE {engine.about['pid']}", flush=True)
            said = True
        time.sleep(0.01)
    raise AssertionError(f"the training has ended: {task.error}")


def state_of(iseg: Any, obj: bpy.types.Object) -> tuple:
    """What an object of the user's holds."""
    weights = iseg.mesh.vertex_groups.read_group(obj, 0)  # [V]
    return iseg.document.parts_snapshot.saved(obj), weights.tobytes(), iseg.mesh.arrays.positions(obj.data).tobytes()
