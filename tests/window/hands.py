"""What a scenario needs inside a Blender with a window: a mouse, keys, eyes, and a mesh to work on.

ISEG_ZIP: the extension. ISEG_SHOTS: a folder for the pictures, one after each step, and for report.json, which says
what was found. A scenario is a generator that yields the seconds to wait before its next step.
"""

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np
from mathutils import Vector  # pyright: ignore[reportMissingImports]

SHOTS = Path(os.environ["ISEG_SHOTS"])
MODULE = "bl_ext.user_default.iseg"
found: dict = {"version": list(bpy.app.version)}  # becomes report.json


def window():
    return bpy.context.window_manager.windows[0]


def area():
    return next(area for area in window().screen.areas if area.type == "VIEW_3D")


def region(kind="WINDOW"):
    return next(region for region in area().regions if region.type == kind)


def here(**extra):
    return bpy.context.temp_override(window=window(), area=area(), region=region(), **extra)


def shot(name):
    subprocess.run(["import", "-window", "root", str(SHOTS / f"{name}.png")], check=True)


def obj():
    return window().view_layer.objects.active


def clicks():
    return [[click.vertex, click.positive] for part in obj().iseg.parts for click in part.clicks]


def place(vertex):
    """Where a vertex is on the screen."""
    matrix = np.array(area().spaces[0].region_3d.perspective_matrix) @ np.array(obj().matrix_world)  # [4, 4]
    point = matrix @ np.array([*obj().data.vertices[vertex].co, 1.0])  # [4]
    x, y = (point[:2] / point[3] + 1) / 2 * (region().width, region().height)
    return int(round(region().x + x)), int(round(region().y + y))


def nearest(point):
    return min(obj().data.vertices, key=lambda vertex: (vertex.co - Vector(point)).length).index


def press(kind, x, y, **keys):
    """A key or button, down and up."""
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield 0.3
    window().event_simulate(type=kind, value="PRESS", x=x, y=y, **keys)
    yield 0.1
    window().event_simulate(type=kind, value="RELEASE", x=x, y=y, **keys)
    yield 0.3


def until(condition, seconds):
    """Wait for something; the test fails where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s in vain")
        yield 0.1


def installed():
    """Install the extension; its package."""
    yield 0.5
    with here():
        bpy.ops.extensions.package_install_files(
            filepath=os.environ["ISEG_ZIP"], repo="user_default", enable_on_install=True
        )
    return sys.modules[MODULE]


def monkey():
    """Suzanne, subdivided once, in the middle of the free part of the view, with the sidebar's tab open beside her."""
    yield 0.5
    for other in list(bpy.data.objects):
        bpy.data.objects.remove(other)
    with here():
        bpy.ops.mesh.primitive_monkey_add()
        bpy.ops.object.modifier_add(type="SUBSURF")
        bpy.ops.object.modifier_apply(modifier="Subdivision")
        bpy.ops.object.shade_smooth()
        area().spaces[0].show_region_ui = True
    yield 1.0
    while region("UI").active_panel_category != "iSeg":  # it can be set once the sidebar has been drawn
        try:
            region("UI").active_panel_category = "iSeg"
        except TypeError:
            pass
        yield 0.5
    region("UI").tag_redraw()
    with here():
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.ed.undo_push(message="begin")
    yield 1.0
    with here():
        bpy.ops.view3d.view_selected()
        bpy.ops.view3d.view_orbit(angle=0.35, type="ORBITUP")
        bpy.ops.view3d.view_orbit(angle=-0.35, type="ORBITLEFT")
    yield 1.0
    view = area().spaces[0].region_3d
    view.view_location += view.view_rotation @ Vector((0.45, 0.0, 0.0))  # out from under the sidebar
    yield 0.5


def run(script: Iterator[float]) -> None:
    """Do what a scenario says, then quit Blender; exit with 3 where it fails."""

    def report() -> None:
        (SHOTS / "report.json").write_text(json.dumps(found, indent=1))

    def tick() -> float | None:
        try:
            return next(script)
        except StopIteration:
            report()
            bpy.ops.wm.quit_blender()
        except BaseException:
            traceback.print_exc()
            report()
            shot("failed")
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(3)

    bpy.context.preferences.view.show_splash = False
    bpy.app.timers.register(tick, first_interval=1.0, persistent=True)
