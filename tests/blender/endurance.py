"""What the extension goes through at a desk in a long time: enabled and disabled again and again, its engine killed."""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import bpy
import numpy as np

MODULE = "bl_ext.user_default.iseg"
ENDED = ("signal 9", "ended in the middle of a message")  # what is noticed first of an engine that is killed
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
    modules = {name: module for name, module in sys.modules.items() if name.startswith(MODULE)}
    calls = [value for name in ("live", "seen", "managed") for value in vars(modules[f"{MODULE}.{name}"]).values()]
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
        "timers": [c.__name__ for c in calls if callable(c) and bpy.app.timers.is_registered(c)],
        "drawing": ["view"] if modules[f"{MODULE}.view"]._handle is not None else [],
        "threads": [thread.name for thread in threading.enumerate() if thread.name.startswith("iseg")],
    }


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
    return f"{count} cycles, nothing left after any; {files[-1]:.0f} files open, memory {slope:+.1f} MB per 100 cycles"


def resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def kills(count: int, seed: int = 0) -> str:
    """Kill the engine at random moments of training and querying; how it went.

    Whatever was under way ends with a reason, what the object had stays, and the next click starts the engine again.
    """
    iseg: Any = sys.modules[MODULE]
    engine, rng, moments, last = (
        iseg.session.engine,
        random.Random(seed),
        dict.fromkeys(("train", "query", "rest"), 0),
        0.0,
    )
    for number in range(count):
        bpy.ops.wm.read_homefile(use_empty=True)
        kind = "query" if number % 2 else "train"
        if kind == "train":
            bpy.ops.mesh.primitive_uv_sphere_add(segments=10 + number % 7, ring_count=8)
        else:  # one that takes some milliseconds
            bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=40 + number % 7)
        thing = bpy.context.object
        bpy.context.scene.iseg.preset = "draft"
        bpy.ops.iseg.click_add(vertex=10)
        bpy.ops.iseg.to_vertex_group()
        before, look = state_of(iseg, thing), iseg.meshes.look_at(thing)
        if kind == "train":
            task = iseg.training.train(thing, bpy.context.scene.iseg)
        else:
            bpy.ops.iseg.click_add(vertex=30, positive=False)
            before = state_of(iseg, thing)
            task = engine.start(iseg.queries.answering(thing, thing.iseg.parts[0], look, "cpu"))
        moment = time.monotonic() + rng.uniform(0.0, 4.0 if kind == "train" else 0.015)
        while time.monotonic() < moment and not task.ended:
            engine.pump()
            time.sleep(0.001)
        moments["rest" if task.ended else kind] += 1
        os.kill(engine.about["pid"], signal.SIGKILL)
        began, pumped = time.monotonic(), 0.0
        while not task.ended or engine.reason == "":
            assert time.monotonic() - began < PATIENT, "nobody noticed"
            at = time.monotonic()
            engine.pump()
            pumped = max(pumped, time.monotonic() - at)
            time.sleep(0.001)
        last = max(last, pumped)
        assert task.error is None or any(words in str(task.error) for words in ENDED), task.error
        assert any(words in iseg.session.problem_of(thing) for words in ENDED), iseg.session.problem_of(thing)
        assert state_of(iseg, thing) == before, "the object is not what it was"
        iseg.queries.answers.clear()
        bpy.ops.iseg.click_add(vertex=50)
        assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"} and not iseg.session.problem_of(thing)
    return (
        f"{count} kills ({moments['train']} while training, {moments['query']} while a click was asked, "
        f"{moments['rest']} with nothing under way), nothing lost; Blender was held up by at most {last * 1e3:.0f} ms"
    )


def state_of(iseg: Any, thing: bpy.types.Object) -> tuple:
    """What an object of the user's holds."""
    weights = iseg.mesh_io.read_group(thing, 0)  # [V]
    return iseg.state.saved(thing), weights.tobytes(), iseg.mesh_io.positions(thing.data).tobytes()
