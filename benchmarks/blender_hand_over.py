"""How long Blender is held up by the hand-over of a mesh: arrays out, weights in, a click to its overlay's arrays.

.venv-bpy/bin/python benchmarks/blender_hand_over.py        (any Python with Blender's module; installs the extension
                                                             into a temporary folder)
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
private = tempfile.TemporaryDirectory(prefix="iseg-benchmark-")
os.environ["BLENDER_USER_RESOURCES"] = private.name  # before bpy is imported

import bpy  # noqa: E402  # pyright: ignore[reportMissingImports]

import build  # noqa: E402


def best(work: Callable[[], object], runs: int = 5) -> float:
    """Least time of several runs, in milliseconds."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return min(times)


def grid(side: int) -> bpy.types.Object:
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=side - 1, y_subdivisions=side - 1)
    return bpy.context.object


def click_to_overlay(iseg: Any, clicks: int = 12) -> float:
    """Median time from a click on Suzanne (7,958 vertices) to the overlay's arrays, in milliseconds."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    thing = bpy.context.object
    thing.modifiers.new("Subdivision", "SUBSURF").levels = 2
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    times = []
    for number, vertex in enumerate(np.linspace(0, len(thing.data.vertices) - 1, clicks + 1, dtype=int).tolist()):
        began = time.perf_counter()
        bpy.ops.iseg.click_add(vertex=vertex, positive=number % 3 != 2)
        part, look = thing.iseg.parts[0], iseg.session.look_at(thing, fresh=False)
        task = iseg.session.engine.start(iseg.session.answering(thing, part, look, "cpu"))
        iseg.session.engine.wait(task)
        inside = iseg.session.inside_of(thing, part, task.result)  # [V]
        surface = iseg.overlay.Surface(look.vertices, look.faces)
        iseg.overlay.build(surface, look.vertices, inside, iseg.state.clicks_of(part, len(look.vertices)).made)
        times.append((time.perf_counter() - began) * 1e3)
    return float(np.median(times[1:]))  # the first one starts the engine and prepares the mesh


def main() -> None:
    archive = build.extension(Path(private.name))
    bpy.ops.extensions.package_install_files(filepath=str(archive), repo="user_default", enable_on_install=True)
    iseg = sys.modules["bl_ext.user_default.iseg"]
    generator = np.random.default_rng(0)
    matrix = np.diag([0.9, 0.9, 0.1, 1.0])  # [4, 4] the grid fills the screen
    print(f"Blender {bpy.app.version_string}, {os.cpu_count()} cores; milliseconds, best of 5; *: on a thread")
    for side in (90, 1000):
        thing = grid(side)
        count = len(thing.data.vertices)
        weights = generator.random(count, np.float32)  # [V]
        geometry = iseg.mesh_io.read(thing)
        look = iseg.look.Look(geometry)
        inside = weights > 0.5  # [V]
        surface = iseg.overlay.Surface(look.vertices, look.faces)
        screen = iseg.picking.project(look.vertices, matrix, 1920, 1080)
        rows = {
            "mesh to arrays": best(lambda thing=thing: iseg.mesh_io.read(thing)),
            "compared with those before": best(lambda g=geometry: g.equals(g._replace(vertices=g.vertices.copy()))),
            "triangles and names *": best(lambda g=geometry: iseg.look.Look(g)),
            "weights back, object mode": best(lambda t=thing, w=weights: iseg.mesh_io.write_group(t, "Part", w)),
            "vertices to the screen": best(lambda v=look.vertices: iseg.picking.project(v, matrix, 1920, 1080)),
            "pick under the cursor": best(lambda f=look.faces, s=screen: iseg.picking.pick(s, f, (700.0, 500.0))),
            "overlay's arrays *": best(lambda s=surface, i=inside: iseg.overlay.build(s, s.points, i, ())),
        }
        bpy.ops.object.mode_set(mode="EDIT")
        rows["weights back, edit mode"] = best(lambda t=thing, w=weights: iseg.mesh_io.write_group(t, "Part", w), 2)
        rows["mesh to arrays, edit mode"] = best(lambda t=thing: iseg.mesh_io.read(t), 2)
        rows["  of it Blender's own hand-over"] = best(lambda t=thing: t.update_from_editmode(), 2)
        bpy.ops.object.mode_set(mode="OBJECT")
        print(f"{count:,} vertices")
        for label, milliseconds in rows.items():
            print(f"  {label:<32} {milliseconds:8.1f}")
    if "ISEG_ENGINE" in os.environ:
        print(f"7,958 vertices\n  {'click to overlay':<32} {click_to_overlay(iseg):8.1f}")
        iseg.session.close()
    sys.stdout.flush()
    os._exit(0)  # before Blender's own clean-up


if __name__ == "__main__":
    main()
