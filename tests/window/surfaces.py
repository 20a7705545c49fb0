"""Runs inside a Blender with a window: clicks on what modifiers make of a mesh, and on a mesh that is large."""

import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from hands import (  # noqa: E402
    SHOTS,
    area,
    clicks,
    found,
    here,
    installed,
    monkey,
    obj,
    press,
    region,
    run,
    shot,
    until,
    window,
)

EYE, CROWN = (-0.35, -0.85, 0.24), (0.0, -0.3, 0.95)
SIDE = 400  # vertices, of the large mesh


def data():
    return [[item.name for item in kind] for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.scenes)]


def screen(points):
    """Where points of the object's space are in the window. [N, 2] int"""
    matrix = np.array(area().spaces[0].region_3d.perspective_matrix) @ np.array(obj().matrix_world)  # [4, 4]
    clip = np.asarray(points) @ matrix[:, :3].T + matrix[:, 3]  # [N, 4]
    places = (clip[:, :2] / clip[:, 3:] + 1) / 2 * (region().width, region().height) + (region().x, region().y)
    return np.round(places).astype(int)


def colours(name, places):
    """What a picture shows at places of the window. [N, 3] floats"""
    picture = bpy.data.images.load(str(SHOTS / f"{name}.png"))
    width, height = picture.size
    pixels = np.array(picture.pixels, np.float32).reshape(height, width, -1)  # [H, W, 4]
    bpy.data.images.remove(picture)
    return pixels[places[:, 1], places[:, 0], :3].astype(float).tolist()


def steps():
    iseg = yield from installed()
    iseg.viewport.evaluated.QUICK = 1e9  # however busy this machine is
    yield from monkey()
    engine, settings = iseg.engine.running.engine(), bpy.context.scene.iseg

    def settled():
        yield 0.5
        yield from until(lambda: not engine.busy, 120)
        yield 1.0

    # Two heads of one mesh, and smoother than it: a click on the second one is a click on the mesh.
    array = obj().modifiers.new("Array", "ARRAY")
    array.relative_offset_displace = (1.1, 0.0, 0.0)
    obj().modifiers.new("Subdivision", "SUBSURF").levels = 1
    with here():
        bpy.ops.view3d.view_selected()
    yield 1.0
    view = area().spaces[0].region_3d
    view.view_distance *= 1.4
    yield 0.5
    before = data(), list(obj().data.attributes.keys())
    evaluated = obj().evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = np.array([vertex.co[:] for vertex in evaluated.data.vertices])  # [S, 3]
    offset = 1.1 * np.ptp([vertex.co.x for vertex in obj().data.vertices])
    eyes = [places[np.linalg.norm(places - eye, axis=1).argmin()] for eye in (EYE, np.add(EYE, (offset, 0, 0)))]
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield from settled()  # until then the mesh below the modifiers is what is clicked
    spot = screen(eyes)[1]
    yield from press("LEFTMOUSE", int(spot[0]), int(spot[1]))
    yield from settled()
    yield from settled()  # the view is drawn again, once it is known where the surface comes from
    found["clicked"] = [[list(obj().data.vertices[vertex].co), positive] for vertex, positive in clicks()]
    found["same_data"] = (data(), list(obj().data.attributes.keys())) == before
    yield from press("RET", int(spot[0]), int(spot[1]))
    settings.show = False
    yield 1.0
    shot("1-hidden")
    settings.show = True
    yield 1.0
    shot("2-two-heads")
    near = screen([eyes[1], CROWN])  # the dot is on the first head
    found["without"], found["with"] = colours("1-hidden", near), colours("2-two-heads", near)

    # A large mesh: read by a thread, clicked in object mode, and in edit mode after a change.
    bpy.data.objects.remove(obj())
    with here():
        bpy.ops.mesh.primitive_grid_add(x_subdivisions=SIDE - 1, y_subdivisions=SIDE - 1, size=4)
        mesh = obj().data
        flat = np.empty(3 * SIDE * SIDE, np.float32)  # [3 V]
        mesh.vertices.foreach_get("co", flat)
        wavy = flat.reshape(-1, 3)  # [V, 3]
        wavy[:, 2] = 0.4 * np.sin(3 * wavy[:, 0]) * np.sin(3 * wavy[:, 1])
        mesh.vertices.foreach_set("co", wavy.ravel())
        mesh.update()
        bpy.ops.view3d.view_axis(type="TOP")
        bpy.ops.view3d.view_selected()
    found["reading"] = False
    for _ in range(20):  # the sidebar begins it when it is drawn, the tool at the latest
        yield 0.1
        found["reading"] |= engine.busy
    top = int(np.linalg.norm(wavy - (0.5, 0.5, 0.4), axis=1).argmin())
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    found["reading"] |= engine.busy
    yield from settled()
    yield from press("LEFTMOUSE", *map(int, screen([wavy[top]])[0]))
    yield from settled()
    found["top"], found["large"] = wavy[top].tolist(), [wavy[vertex].tolist() for vertex, _ in clicks()]
    shot("3-large")
    yield from press("RET", *map(int, screen([wavy[top]])[0]))
    with here():
        bpy.ops.object.mode_set(mode="EDIT")
        yield 1.0
        bpy.ops.mesh.select_all(action="SELECT")
        bpy.ops.transform.translate(value=(0.0, 0.0, 1.0))
    yield 1.0
    found["waits"], found["sentence"] = iseg.mesh.cache.waits(obj()), iseg.engine.status.of(obj()).sentence
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield from settled()
    other = np.array([-1.57, 0.5, -0.4])  # [3]
    yield from press("LEFTMOUSE", *map(int, screen([other + (0, 0, 1)])[0]), ctrl=True)
    yield from settled()
    found["edited"] = clicks()
    found["height"] = float(iseg.mesh.cache.known_snapshot(obj()).vertices[:, 2].max())
    shot("4-edited")
    # A cube, smoothed by a modifier: a click in the middle of a face is shown where the mouse was.
    yield from press("RET", *map(int, screen([other + (0, 0, 1)])[0]))
    with here():
        bpy.ops.object.mode_set(mode="OBJECT")
        bpy.data.objects.remove(obj())
        bpy.ops.mesh.primitive_cube_add()
        obj().modifiers.new("Subdivision", "SUBSURF").levels = 2
        bpy.ops.view3d.view_axis(type="TOP")
        bpy.ops.view3d.view_selected()
    yield 2.0
    spot = np.array([region().x + region().width // 2 + 40, region().y + region().height // 2 - 30])  # [2]
    with here():
        bpy.ops.iseg.click("INVOKE_DEFAULT", True)
    yield from settled()
    yield from press("LEFTMOUSE", *map(int, spot))
    yield from settled()
    yield from press("RET", *map(int, spot))
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=region().x + 90, y=region().y + 20)
    yield 1.0
    shot("5-cube")
    surface = iseg.viewport.evaluated.surface_of(obj(), iseg.mesh.cache.known_snapshot(obj()))
    corners = screen([surface.place(click[0]) for click in clicks()])
    found["dots"] = colours("5-cube", np.concatenate([spot[None], corners]))
    found["problems"] = dict(iseg.engine.running.Running.current().problems)


run(steps())
