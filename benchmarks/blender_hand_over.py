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
        iseg.overlay.build(look.vertices, look.faces, inside, iseg.state.clicks_of(part, len(look.vertices)).made)
        times.append((time.perf_counter() - began) * 1e3)
    return float(np.median(times[1:]))  # the first one starts the engine and prepares the mesh


def main() -> None:
    archive = build.extension(Path(private.name))
    bpy.ops.extensions.package_install_files(filepath=str(archive), repo="user_default", enable_on_install=True)
    iseg = sys.modules["bl_ext.user_default.iseg"]
    generator = np.random.default_rng(0)
    matrix = np.diag([0.9, 0.9, 0.1, 1.0])  # [4, 4] the grid fills the screen
    print(f"Blender {bpy.app.version_string}, {os.cpu_count()} cores; milliseconds, best of 5")
    for side in (90, 1000):
        thing = grid(side)
        count = len(thing.data.vertices)
        weights = generator.random(count, np.float32)  # [V]
        look = iseg.mesh_io.Look(iseg.mesh_io.read(thing))
        inside = weights > 0.5  # [V]

        def name(look=look):
            return iseg.mesh_io.Look(iseg.mesh_io.Geometry(look.vertices, look.faces, "")).hash

        def pick(look=look):
            screen = iseg.picking.project(look.vertices, matrix, 1920, 1080)
            return iseg.picking.pick(screen, look.faces, (700.0, 500.0))

        rows = {
            "mesh to arrays": best(lambda thing=thing: iseg.mesh_io.read(thing)),
            "its name (sha256)": best(name),
            "weights back, object mode": best(lambda t=thing, w=weights: iseg.mesh_io.write_group(t, "Part", w)),
            "pick under the cursor": best(pick),
            "overlay's arrays": best(lambda look=look, i=inside: iseg.overlay.build(look.vertices, look.faces, i, ())),
        }
        bpy.ops.object.mode_set(mode="EDIT")
        rows["weights back, edit mode"] = best(lambda t=thing, w=weights: iseg.mesh_io.write_group(t, "Part", w), 2)
        rows["mesh to arrays, edit mode"] = best(lambda t=thing: iseg.mesh_io.read(t), 2)
        bpy.ops.object.mode_set(mode="OBJECT")
        print(f"{count:,} vertices")
        for label, milliseconds in rows.items():
            print(f"  {label:<28} {milliseconds:8.1f}")
    if "ISEG_ENGINE" in os.environ:
        print(f"7,958 vertices\n  {'click to overlay':<28} {click_to_overlay(iseg):8.1f}")
        iseg.session.close()
    sys.stdout.flush()
    os._exit(0)  # before Blender's own clean-up


if __name__ == "__main__":
    main()
