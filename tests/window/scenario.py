"""Runs inside a Blender with a window: an artist's way through the extension, with simulated mouse and keys."""

import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hands import (  # noqa: E402
    MODULE,
    SHOTS,
    area,
    clicks,
    found,
    here,
    installed,
    monkey,
    nearest,
    obj,
    place,
    press,
    region,
    run,
    shot,
    until,
)

TRAIN_BUTTON, LINE = 160, 16  # pixels from the sidebar's top to the button; more for each further line above it
found["slowest_ms"] = {}


def measured(owner, name):
    """Note the longest time that a function of ours has held Blender up."""
    inner = getattr(owner, name)

    def outer(first, second=None):  # Blender counts the arguments of a panel's draw
        began = time.perf_counter()
        try:
            return inner(first) if second is None else inner(first, second)
        finally:
            label = f"{getattr(owner, '__name__', owner)}.{name}".removeprefix(f"{MODULE}.")
            took = (time.perf_counter() - began) * 1e3
            found["slowest_ms"][label] = max(took, found["slowest_ms"].get(label, 0.0))

    setattr(owner, name, outer)


def steps():
    iseg = yield from installed()
    measured(iseg.engine.running.Engine, "pump")
    measured(iseg.viewport.evaluated, "surface_of")
    measured(iseg.mesh.arrays, "read")
    for panel in iseg.ui.sidebar.CLASSES[:3]:
        measured(panel, "draw")
    yield from monkey()
    shot("1-untrained")

    # Train, by pressing the button.
    bpy.context.scene.iseg.preset = "draft"
    sidebar = region("UI")
    lines = textwrap.wrap(iseg.engine.status.of(obj()).sentence, int((sidebar.width - 80) / 6.2))  # as the panel does
    x, y = sidebar.x + sidebar.width // 2 - 10, sidebar.y + sidebar.height - TRAIN_BUTTON - LINE * (len(lines) - 1)
    found["sidebar"] = [sidebar.x, sidebar.y, sidebar.width, sidebar.height]
    yield from press("LEFTMOUSE", x, y)
    trainings = iseg.engine.running.Running.current().trainings
    yield from until(
        lambda: trainings or iseg.engine.status.of(obj()).kind.value == "ready",
        20,
    )
    task = next(iter(trainings.values()), None) or SimpleNamespace(ended=True, progress=None, error=None)
    yield from until(lambda: task.ended or (task.progress and task.progress.fraction > 0.3), 300)
    print("training", task.progress, flush=True)
    found["progress"] = list(task.progress or [])
    shot("2-training")
    yield from until(lambda: task.ended, 600)
    found["trained"] = task.error is None and iseg.engine.status.of(obj()).sentence
    found["training_error"] = str(task.error or "")
    yield 0.5
    shot("3-trained")

    # Click four points; the view turns while the tool is active.
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield 0.5
    engine = iseg.engine.running.engine()
    targets = [
        ((1.07, 0.39, 0.2), False),
        ((-0.35, -0.85, 0.24), True),
        ((0.0, -0.6, 0.85), True),
        ((-1.3, 0, 0.4), False),
    ]
    found["targets"], found["picked"] = [], []
    for number, (point, ctrl) in enumerate(targets):
        vertex = nearest(point)
        x, y = place(vertex)
        yield from press("LEFTMOUSE", x, y, ctrl=ctrl)
        yield from until(lambda: not engine.busy, 30)
        yield 0.3
        found["targets"].append([vertex, not ctrl])
        found["picked"].append(clicks()[-1])
        shot(f"4-click-{number + 1}")
    turned = area().spaces[0].region_3d.view_rotation.copy()
    yield from press("NUMPAD_6", x, y)
    yield 0.5
    found["view_turned"] = area().spaces[0].region_3d.view_rotation != turned
    yield from press("NUMPAD_4", x, y)
    yield 0.5
    part = obj().iseg.parts[0]
    found["four"] = clicks()
    before = iseg.engine.queries.answer_of(obj(), part).probability.copy()

    # Ctrl-wheel: the next larger part, and back; as a step of its own.
    size = iseg.document.properties.size_meant
    sizes = iseg.engine.queries.answer_of(obj(), part).sizes
    up, down = ("WHEELUPMOUSE", "WHEELDOWNMOUSE") if size(part) < sizes[-1] else ("WHEELDOWNMOUSE", "WHEELUPMOUSE")
    yield from press(up, x, y, ctrl=True)
    yield from until(lambda: not engine.busy and iseg.engine.queries.answer_of(obj(), part) is not None, 30)
    yield 0.3
    found["sizes"], found["resized"] = list(sizes), [size(part), part.granularity]
    resized = iseg.engine.queries.answer_of(obj(), part).probability
    found["changed_by_size"] = int(((resized >= 0.5) != (before >= 0.5)).sum())
    shot("4-resized")
    yield from press(down, x, y, ctrl=True)
    yield from until(lambda: not engine.busy, 30)
    found["sized_back"] = [size(part), clicks() == found["four"]]
    yield from press("Z", x, y, ctrl=True)
    yield from press("Z", x, y, ctrl=True)
    yield from until(lambda: not engine.busy, 30)

    # Back, forward: the very same result. Flip. Remove the click under the cursor.
    yield from press("Z", x, y, ctrl=True)
    yield from until(lambda: not engine.busy, 30)
    found["back"] = clicks()
    yield from press("Z", x, y, ctrl=True, shift=True)
    yield from until(lambda: not engine.busy, 30)
    found["forward"] = clicks()
    found["same_answer"] = bool(np.array_equal(iseg.engine.queries.answer_of(obj(), part).probability, before))
    yield from press("X", x, y)
    found["removed"] = clicks()
    yield from press("T", x, y)
    yield from press("LEFTMOUSE", x, y)  # flipped: without Ctrl it excludes
    yield from until(lambda: not engine.busy, 30)
    found["flipped"] = clicks()
    shot("5-clicked")
    yield from press("RET", x, y)
    yield from until(lambda: not engine.busy, 30)
    found["kept"] = clicks()

    # Esc restores what was.
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield 0.3
    yield from press("LEFTMOUSE", *place(nearest((-1.2, -0.1, 0.4))))
    found["more"] = len(clicks())
    yield from press("ESC", x, y)
    found["restored"] = clicks()
    yield from until(lambda: not engine.busy, 30)
    yield 0.5

    # The part as a group, extruded; Ctrl-Z; saved and loaded.
    with here():
        bpy.ops.iseg.to_vertex_group("INVOKE_DEFAULT", True)
        yield 0.5
        counts = len(obj().data.vertices)
        bpy.ops.iseg.edit("INVOKE_DEFAULT", True, action="EXTRUDE", distance=0.12)
    yield 1.0
    yield from until(lambda: iseg.engine.queries.answer_of(obj(), obj().iseg.parts[0]) is not None, 60)
    yield 0.5
    shot("6-extruded")
    found["extruded"] = len(obj().data.vertices) - counts
    yield from press("Z", *place(nearest((0, -0.8, 0.6))), ctrl=True)
    yield 1.0
    found["after_undo"] = len(obj().data.vertices) - counts
    found["after_undo_clicks"], found["after_undo_groups"] = clicks(), [g.name for g in obj().vertex_groups]
    shot("7-undone")
    path = str(SHOTS / "saved.blend")
    with here():
        bpy.ops.wm.save_as_mainfile(filepath=path)
        bpy.ops.wm.read_homefile()
    yield 1.0
    with here():
        bpy.ops.wm.open_mainfile(filepath=path)
    yield 1.0
    yield from until(lambda: iseg.mesh.cache.known_snapshot(obj()) and not engine.busy, 60)
    yield 1.0
    found["loaded"], found["loaded_groups"] = clicks(), [group.name for group in obj().vertex_groups]
    found["loaded_status"] = iseg.engine.status.of(obj()).kind.value
    shot("8-loaded")
    found["problems"] = dict(iseg.engine.running.Running.current().problems)
    with here():
        bpy.ops.preferences.addon_disable(module=MODULE)
    yield 0.5
    found["left"] = [name for name in dir(bpy.types) if name.lower().startswith("iseg")]
    shot("9-disabled")


run(steps())
