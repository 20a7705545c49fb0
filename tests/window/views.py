"""Runs inside a Blender with a window: clicking while views change, in quad view and in local view."""

import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hands import (  # noqa: E402
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
    window,
)

EAR, EYE, CROWN = (1.36, -0.1, 0.4), (-0.35, -0.85, 0.24), (0.0, -0.6, 0.85)


def move(x, y):
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)


def views():
    return [view for view in area().regions if view.type == "WINDOW" and view.width > 1]


def place_in(view, point):
    """Where a point of the object is in one of four views."""
    clip = np.array(view.data.perspective_matrix) @ np.array([*point, 1.0])  # [4]
    x, y = (clip[:2] / clip[3] + 1) / 2 * (view.width, view.height)
    return int(round(view.x + x)), int(round(view.y + y))


def steps():
    iseg = yield from installed()
    yield from monkey()
    engine, click = iseg.engine.running.engine(), iseg.operators.click_modal
    iseg.viewport.preview.QUICK = 1e9  # however busy this machine is

    def begun():
        with here():
            bpy.ops.iseg.click("INVOKE_DEFAULT", True)
        yield 0.3

    def settled():
        yield from until(lambda: not engine.busy, 120)
        yield 0.5

    # Clicking begins once; a stroke ends on the sidebar too.
    yield from begun()
    with here():
        found["again"] = [click.under_way(), bpy.ops.iseg.click.poll()]
    sidebar = region("UI")
    side = sidebar.x + sidebar.width // 2, sidebar.y + sidebar.height // 2
    ear, eye = place(nearest(EAR)), place(nearest(EYE))
    move(*ear)
    yield 0.3
    window().event_simulate(type="LEFTMOUSE", value="PRESS", x=ear[0], y=ear[1])
    yield 0.2
    move(*side)
    yield 0.2
    window().event_simulate(type="LEFTMOUSE", value="RELEASE", x=side[0], y=side[1])
    yield 0.2
    for spot in (eye, place(nearest(CROWN)), eye):
        move(*spot)
        yield 0.2
    found["stroke"] = clicks()
    yield from settled()
    yield from press("RET", *eye)
    with here():
        found["ended"] = [click.under_way(), bpy.ops.iseg.click.poll()]

    # Whatever becomes of the view, clicking ends with it and leaves nothing behind.
    def other_editor():
        area().type = "IMAGE_EDITOR"
        yield 0.5
        move(*eye)
        yield 0.5
        next(area for area in window().screen.areas if area.type == "IMAGE_EDITOR").type = "VIEW_3D"

    def maximised():
        with here():
            bpy.ops.screen.screen_full_area()
        yield 0.5
        move(*eye)
        yield 0.5
        with here():
            bpy.ops.screen.screen_full_area()

    def other_workspace():
        layout = window().workspace
        window().workspace = bpy.data.workspaces["Modeling"]
        yield 0.5
        move(*eye)
        yield 0.5
        shot("1-other-workspace")
        window().workspace = layout

    found["left"] = {}
    for change in (other_editor, maximised, other_workspace):
        yield from begun()
        yield from press("LEFTMOUSE", *place(nearest(CROWN)))
        yield from change()
        yield 1.0
        move(*eye)
        yield 0.5
        found["left"][change.__name__] = [click.under_way(), click.ClickMode.current().told]
        shot(f"2-{change.__name__}")
        yield from settled()
        with here():
            bpy.ops.iseg.click_clear()

    # A preview needs no click before.
    yield from begun()
    while iseg.viewport.preview.Hover.current().preview is None:  # an engine that is busy is not asked
        for spot in (place(nearest(CROWN)), eye):
            move(*spot)
            yield 1.0
    yield 0.5
    shown = iseg.viewport.draw.ViewOverlay.current().shown[obj().session_uid]
    found["preview"] = [shown.colour == iseg.viewport.draw.PALE, len(shown.batches._shown.region) > 0, clicks()]
    shot("3-preview")
    yield from press("ESC", *eye)

    # Quad view: each view picks what it shows.
    area().spaces[0].show_region_ui = False
    with here():
        bpy.ops.screen.region_quadview()
    yield 1.0
    for view in views():
        view.data.view_location, view.data.view_distance = (0.0, 0.0, 0.0), 5.0
    yield 1.0
    yield from begun()
    found["quad"] = []
    for view in views():
        matrix = np.array(view.data.view_matrix)[:3, :3]  # [3, 3]
        points = np.array([vertex.co[:] for vertex in obj().data.vertices])  # [V, 3]
        front = points[(points @ matrix[2]).argmax()]  # [3] nearest to the viewer
        yield from press("LEFTMOUSE", *place_in(view, front))
        yield from settled()
        picked = points[clicks()[-1][0]]
        found["quad"].append([front.tolist(), picked.tolist(), len(clicks())])
    shot("4-quad")
    yield from press("RET", *place_in(views()[0], (0, 0, 0)))
    with here():
        bpy.ops.screen.region_quadview()
        bpy.ops.iseg.click_clear()
    yield 1.0

    # Local view: what is outside it hides nothing, and is not clicked itself.
    head = obj()
    with here():
        bpy.ops.mesh.primitive_uv_sphere_add(radius=3.0)
        sphere = obj()
        bpy.ops.object.select_all(action="DESELECT")
        head.select_set(True)
        window().view_layer.objects.active = head
        bpy.ops.view3d.localview(frame_selected=False)
    yield 1.0
    yield from begun()
    yield from press("LEFTMOUSE", *place(nearest(EYE)))
    yield from settled()
    found["local"] = [nearest(EYE), *clicks()]
    shot("5-local")
    yield from press("RET", *place(nearest(EYE)))
    window().view_layer.objects.active = sphere
    with here():
        found["outside"] = click.ISEG_OT_click.refusal(bpy.context)
        bpy.ops.view3d.localview(frame_selected=False)
    yield 0.5
    with here():
        found["inside"] = click.ISEG_OT_click.refusal(bpy.context)
    window().view_layer.objects.active = head
    head.hide_set(True)
    yield 0.5
    with here():
        found["hidden"] = click.ISEG_OT_click.refusal(bpy.context)
    shot("6-hidden")
    found["problems"] = dict(iseg.engine.running.Running.current().problems)
    head.hide_set(False)
    sphere.hide_set(True)
    yield 0.5

    # Disabled meanwhile.
    yield from begun()
    mode = click.ClickMode.current()
    assert mode.told is not None
    with here():
        bpy.ops.preferences.addon_disable(module=iseg.__name__)
    yield 0.5
    move(*eye)
    yield 0.5
    found["disabled"] = mode.told
    shot("7-disabled")


run(steps())
