"""Runs inside a Blender with a window: the toolbar's tool, in object and in edit mode."""

import itertools
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hands import (  # noqa: E402
    clicks,
    found,
    here,
    installed,
    monkey,
    nearest,
    place,
    press,
    region,
    run,
    shot,
    until,
    window,
)

EAR, EYE, CROWN, BACK = (1.36, -0.1, 0.4), (-0.35, -0.85, 0.24), (0.0, -0.6, 0.85), (0.0, 0.85, 0.4)
STROKE = [(-0.6 + 0.1 * step, -0.5, 0.8) for step in range(9)]  # over the brow


def move(x, y, **keys):
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y, **keys)


def elsewhere():
    """Places outside the view: on the sidebar that lies upon it, in another editor, outside Blender's window."""
    sidebar, outliner = region("UI"), next(area for area in window().screen.areas if area.type == "OUTLINER")
    middles = [(part.x + part.width // 2, part.y + part.height // 2) for part in (sidebar, outliner)]
    return {"sidebar": middles[0], "outliner": middles[1], "outside": (-20, middles[0][1])}


def steps():
    iseg = yield from installed()
    yield from monkey()
    engine, view = iseg.engine.running.engine(), iseg.viewport.preview.Hover.current()
    iseg.viewport.preview.QUICK = 1e9  # however busy this machine is

    def settled():
        yield from until(lambda: not engine.busy, 120)
        yield 0.5

    def undone(name, **keys):
        yield from press("Z", *middle, ctrl=True, **keys)
        yield from settled()
        found[name] = clicks()

    def previewed():
        """Move the mouse over the mesh until a preview is shown."""
        points = itertools.cycle((CROWN, (0.3, -0.6, 0.85)))
        while view.preview is None:  # an engine that is busy is not asked
            move(*place(nearest(next(points))))
            yield 1.0

    for mode in ("OBJECT", "EDIT"):
        middle = place(nearest(CROWN))
        with here():
            bpy.ops.object.mode_set(mode=mode)
            bpy.ops.wm.tool_set_by_id(name=iseg.names.TOOL)
            bpy.ops.ed.undo_push(message=f"{mode} begins")
        yield 1.0
        own = found[mode] = {}
        for name, point, ctrl in (("ear", EAR, False), ("eye", EYE, True)):
            vertex = nearest(point)
            yield from press("LEFTMOUSE", *place(vertex), ctrl=ctrl)
            yield from settled()
            own[name] = vertex
        own["clicked"] = clicks()

        # The preview of what the mouse is over; it goes with the mouse and with the tool.
        own["left"] = {}
        for name, spot in elsewhere().items():
            yield from previewed()
            move(*spot)
            yield 1.0
            own["left"][name] = view.preview is None
        shot(f"{mode.lower()}-1-left")
        yield from previewed()
        with here():
            bpy.ops.wm.tool_set_by_id(name="builtin.select_box")
        yield 1.0
        own["other_tool"] = view.preview is None
        with here():
            bpy.ops.wm.tool_set_by_id(name=iseg.names.TOOL)
        yield from previewed()
        yield 1.0
        own["preview"] = view.preview is not None and int(view.preview.inside.sum())
        shot(f"{mode.lower()}-1-preview")

        # T swaps; a stroke of several clicks is one step.
        yield from press("T", *middle)
        track = [place(nearest(point)) for point in STROKE]
        move(*track[0])
        yield 0.3
        window().event_simulate(type="LEFTMOUSE", value="PRESS", x=track[0][0], y=track[0][1])
        for x, y in track:
            yield 0.1
            move(x, y)
        yield 0.2
        window().event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
        yield from settled()
        own["stroke"] = clicks()
        shot(f"{mode.lower()}-2-stroke")
        yield from undone("undone")
        own["undone"] = found.pop("undone")
        yield from undone("redone", shift=True)
        own["redone"] = found.pop("redone")
        yield from press("T", *middle)

        # X removes the click that is seen under the mouse, and not the one behind it.
        with here():
            bpy.ops.iseg.click_add(vertex=nearest(BACK))
        yield 0.3
        yield from press("X", *place(nearest(BACK)))
        yield from settled()
        own["behind"] = len(clicks()) - len(own["stroke"])
        yield from press("X", *place(own["ear"]))
        yield from settled()
        own["removed"] = clicks()
        shot(f"{mode.lower()}-3-removed")
        with here():
            bpy.ops.wm.tool_set_by_id(name="builtin.select_box")
            bpy.ops.iseg.click_clear()
        yield 0.5

    # Behind the button the preview goes with the mouse as well, and with the end of clicking.
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield from press("LEFTMOUSE", *place(nearest(EYE)))
    yield from settled()
    found["left"] = {}
    for name, spot in elsewhere().items():
        yield from previewed()
        move(*spot)
        yield 1.0
        found["left"][name] = view.preview is None
    yield from previewed()
    yield from press("ESC", *middle)
    found["left"]["ended"] = view.preview is None
    found["problems"] = dict(iseg.engine.running.Running.current().problems)
    with here():
        bpy.ops.preferences.addon_disable(module=iseg.__name__)
    yield 0.5
    found["keymaps"] = [
        [kind.name, keymap.name]
        for kind in bpy.context.window_manager.keyconfigs
        for keymap in kind.keymaps
        if "iSeg" in keymap.name or any(item.idname.startswith("iseg.") for item in keymap.keymap_items)
    ]


run(steps())
