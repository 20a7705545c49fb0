"""Use the extension from a script: Blender's monkey is trained, clicked, and edited. `python build.py demo` runs this.

    python suzanne.py EXTENSION FOLDER

For a Python that has the module bpy. EXTENSION is the zip of `python build.py`. The environment says where this Blender
keeps what it is told to keep (BLENDER_USER_RESOURCES: a folder that nobody else uses) and what starts the engine
(ISEG_ENGINE). FOLDER gets suzanne.blend, and steps.npz, from which pictures.py draws.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

try:
    import bpy  # pyright: ignore[reportMissingImports]
except ImportError as error:
    sys.exit(
        f"Blender's Python module cannot be loaded: {error}. A Linux without a desktop lacks libraries that it "
        "needs: on Debian and Ubuntu run `sudo apt install libx11-6 libxi6 libxxf86vm1 libxfixes3 libxrender1 "
        "libxkbcommon0 libsm6 libgl1 libegl1 libgomp1`, then this again."
    )

EXTENSION = "bl_ext.user_default.iseg"

# Where to click, as positions and not as vertices: their order is Blender's own affair. Suzanne looks along -Y, so her
# left is +X. The eyes are shells of their own.
LEFT_EAR = (1.068, 0.389, 0.203)  # the middle of the hollow
LEFT_EYE = (0.352, -0.818, 0.243)  # the middle of the iris
RIGHT_EYE = (-0.352, -0.818, 0.243)


def story(extension: Path, folder: Path, preset: str = "standard") -> None:
    """Go from a Blender that knows nothing of iSeg to a .blend. Raises RuntimeError with what an operator says."""
    # Install the extension, as Preferences > Get Extensions > Install from Disk does.
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(filepath=str(extension), repo="user_default", enable_on_install=True)

    # A mesh to work on: 7958 vertices.
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.object.modifier_add(type="SUBSURF")
    bpy.context.object.modifiers[0].levels = 2
    bpy.ops.object.modifier_apply(modifier=bpy.context.object.modifiers[0].name)
    bpy.ops.object.shade_smooth()
    suzanne, steps = bpy.context.object, []

    # Learn its parts. In background mode the operator waits; in a window it returns at once.
    say(f"Training on {len(suzanne.data.vertices):,} vertices, preset {preset}: about half a minute on two cores")
    began = time.perf_counter()
    bpy.context.scene.iseg.preset = preset
    bpy.ops.iseg.train()
    say(f"Trained in {time.perf_counter() - began:.0f} s")

    # One click takes an ear, which becomes a vertex group.
    bpy.ops.iseg.part_add(name="left ear")
    bpy.ops.iseg.click_add(vertex=nearest(suzanne, LEFT_EAR))
    bpy.ops.iseg.to_vertex_group()
    steps.append(Step.of(suzanne, "An ear: one click"))

    # One click takes an eye, a second one the other eye as well.
    bpy.ops.iseg.part_add(name="eyes")
    bpy.ops.iseg.click_add(vertex=nearest(suzanne, LEFT_EYE))
    bpy.ops.iseg.to_vertex_group()
    steps.append(Step.of(suzanne, "An eye: one click"))
    bpy.ops.iseg.click_add(vertex=nearest(suzanne, RIGHT_EYE))
    bpy.ops.iseg.to_vertex_group()  # the group is written again
    steps.append(Step.of(suzanne, "Both eyes: a second click"))

    # The same clicks, one of them excluding: another part of the same object.
    bpy.ops.iseg.part_add(name="left eye")
    bpy.ops.iseg.click_add(vertex=nearest(suzanne, LEFT_EYE))
    bpy.ops.iseg.click_add(vertex=nearest(suzanne, RIGHT_EYE), positive=False)
    bpy.ops.iseg.to_vertex_group()
    steps.append(Step.of(suzanne, "One of them excluded"))

    # Edit a part. Clicks and groups go along with the vertices.
    suzanne.iseg.part_index = 0
    bpy.ops.iseg.edit(action="EXTRUDE", distance=0.08)
    steps.append(Step.of(suzanne, "The ear extruded"))

    # Clicks are saved with the object.
    folder.mkdir(parents=True, exist_ok=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside the .blend
    bpy.ops.wm.save_as_mainfile(filepath=str((folder / "suzanne.blend").resolve()), compress=True)
    save(steps, folder / "steps.npz")
    bpy.ops.preferences.addon_disable(module=EXTENSION)  # ends the engine


class Step(NamedTuple):
    """State of the mesh, the active part's clicks and its vertex group: all that a picture needs."""

    caption: str
    vertices: np.ndarray  # [V, 3] float32, Y up as in mesh files
    faces: np.ndarray  # [F, 3] int32
    weights: np.ndarray  # [V] float32
    clicks: np.ndarray  # [K, 2] int64: vertex, 1 to include

    @classmethod
    def of(cls, obj: Any, caption: str) -> "Step":
        say(caption)
        mesh, part = obj.data, obj.iseg.parts[obj.iseg.part_index]
        mesh.calc_loop_triangles()
        faces = np.array([triangle.vertices for triangle in mesh.loop_triangles], np.int32)  # [F, 3]
        group, weights = obj.vertex_groups[part.name].index, np.zeros(len(mesh.vertices), np.float32)  # [V]
        for vertex in mesh.vertices:
            for member in vertex.groups:
                if member.group == group:
                    weights[vertex.index] = member.weight
        clicks = np.array([(click.vertex, click.positive) for click in part.clicks], np.int64)  # [K, 2]
        x, y, z = positions(obj).T  # [V] each
        return cls(caption, np.stack([x, z, -y], axis=1), faces, weights, clicks)


def save(steps: list[Step], path: Path) -> None:
    """Write all steps to one file: each field under its name and the step's number."""
    arrays = {f"{name} {number}": value for number, step in enumerate(steps) for name, value in step._asdict().items()}
    np.savez_compressed(path, **arrays)


def positions(obj: Any) -> np.ndarray:
    """Positions of the vertices of an object. [V, 3] float32"""
    points = np.empty(len(obj.data.vertices) * 3, np.float32)  # [3 V]
    obj.data.vertices.foreach_get("co", points)
    return points.reshape(-1, 3)  # [V, 3]


def nearest(obj: Any, position: tuple[float, float, float]) -> int:
    """Index of the vertex of an object that is nearest to a position."""
    return int(np.linalg.norm(positions(obj) - position, axis=1).argmin())


def say(sentence: str) -> None:
    print(sentence, flush=True)


def main() -> int:
    if len(sys.argv) not in (3, 4):
        print(__doc__)
        return 2
    try:
        story(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    except (RuntimeError, OSError) as error:
        print(f"The demo failed. {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Blender 4.2 may crash while it is taken down
