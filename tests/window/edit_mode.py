"""Runs inside a Blender with a window: clicks in edit mode, and Blender's own undo, by Ctrl-Z, of whatever they did."""

import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hands import clicks, found, here, installed, monkey, nearest, obj, place, press, run, shot, until  # noqa: E402

EAR, EYE, CROWN = (1.36, -0.1, 0.4), (-0.35, -0.85, 0.24), (0.0, -0.6, 0.85)


def parts():
    return [[[click.vertex, click.positive] for click in part.clicks] for part in obj().iseg.parts]


def steps():
    iseg = yield from installed()
    yield from monkey()
    engine = iseg.engine.running.engine()
    x, y = place(nearest(EYE))
    yield from press("TAB", x, y)
    found["mode"] = obj().mode

    def settled():
        yield from until(lambda: not engine.busy, 60)
        yield 0.7

    def undone(name, **keys):
        yield from press("Z", x, y, ctrl=True, **keys)
        yield from settled()
        found[name] = clicks()

    # The click tool: all that was clicked until Enter is one step.
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield 0.3
    for point, ctrl in ((EAR, False), (EYE, True)):
        yield from press("LEFTMOUSE", *place(nearest(point)), ctrl=ctrl)
        yield from settled()
    yield from press("RET", x, y)
    found["clicked"] = clicks()
    with here():
        bpy.ops.iseg.click_flip("INVOKE_DEFAULT", True, index=0)
    yield 0.5
    found["flipped"] = clicks()
    shot("1-flipped")
    yield from undone("flip_undone")
    yield from undone("tool_undone")
    yield from undone("tool_redone", shift=True)
    shot("2-redone")

    # An edit and its undo: the clicks go along, there and back.
    with here():
        bpy.ops.iseg.edit("INVOKE_DEFAULT", True, action="EXTRUDE", distance=0.1)
    yield from settled()
    found["extruded"] = clicks()
    shot("3-extruded")
    yield from undone("extrude_undone")

    # Clicks from what is selected: a part of their own.
    with here():
        bpy.ops.iseg.edit("INVOKE_DEFAULT", True, action="SELECT")
    yield from settled()
    with here():
        bpy.ops.iseg.clicks_from_selection("INVOKE_DEFAULT", True)
    yield from settled()
    found["seeded"] = parts()
    shot("4-seeded")
    yield from undone("unused")
    found["seeded_undone"] = parts()

    # Esc restores, and a later undo does not bring back what Esc has thrown away.
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield 0.3
    yield from press("LEFTMOUSE", *place(nearest(CROWN)))
    yield from settled()
    found["more"] = clicks()
    yield from press("ESC", x, y)
    found["restored"] = clicks()
    yield from press("A", x, y)
    yield from undone("selection_undone")
    shot("5-restored")
    found["problems"] = dict(iseg.engine.running.Running.current().problems)


run(steps())
