"""Blender's side of the demo, run by a Python that has the bpy module (and numpy, nothing else).

    python bpy_suzanne.py export OUT.npz [LEVELS]   Suzanne, subdivided (2 levels: 7958 vertices, 15744 triangles)
    python bpy_suzanne.py blend IN.npz OUT.blend    a mesh with its parts as vertex groups

Arrays are exchanged Y up, as in mesh files and in iseg_core; Blender itself is Z up. Suzanne looks along +Z then.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

# Before bpy is imported, or it reads the user's own settings and add-ons.
settings = tempfile.TemporaryDirectory(prefix="iseg-demo-")  # removed at exit
os.environ["BLENDER_USER_RESOURCES"] = settings.name
try:
    import bpy  # pyright: ignore[reportMissingImports]
except ImportError as error:
    sys.exit(
        f"Blender's Python module cannot be loaded: {error}. A Linux without a desktop lacks libraries that it "
        "needs: on Debian and Ubuntu run `sudo apt install libx11-6 libxi6 libxxf86vm1 libxfixes3 libxrender1 "
        "libxkbcommon0 libsm6 libgl1 libegl1 libgomp1`, then this again."
    )


def y_up(points: np.ndarray) -> np.ndarray:
    """Blender's coordinates [V, 3] to those of mesh files. [V, 3]"""
    return np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1)  # [V, 3]


def z_up(points: np.ndarray) -> np.ndarray:
    """The inverse of y_up. [V, 3]"""
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)  # [V, 3]


def export(path: str, levels: int = 2) -> None:
    """Write Suzanne: vertices [V, 3] float32, quads [Q, 4] int32, triangles [2 Q, 3] int32 (each quad cut in two)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    suzanne = bpy.context.object
    modifier = suzanne.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels = levels
    bpy.ops.object.modifier_apply(modifier=modifier.name)

    mesh = suzanne.data
    vertices = np.empty(len(mesh.vertices) * 3, dtype=np.float32)  # [3 V]
    mesh.vertices.foreach_get("co", vertices)
    quads = np.empty(len(mesh.loops), dtype=np.int32)  # [4 Q]: a subdivided mesh has nothing but quads
    mesh.loops.foreach_get("vertex_index", quads)
    mesh.calc_loop_triangles()
    triangles = np.empty(len(mesh.loop_triangles) * 3, dtype=np.int32)  # [6 Q]
    mesh.loop_triangles.foreach_get("vertices", triangles)
    np.savez(
        path,
        vertices=y_up(vertices.reshape(-1, 3)),
        quads=quads.reshape(-1, 4),
        triangles=triangles.reshape(-1, 3),
    )


def blend(source: str, path: str) -> None:
    """Write a .blend with one object from vertices [V, 3], faces [F, k], names [G] and weights [G, V] in 0..1."""
    with np.load(source) as arrays:
        vertices, faces, names, weights = (arrays[key] for key in ("vertices", "faces", "names", "weights"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0  # no .blend1 beside the .blend

    mesh = bpy.data.meshes.new("Suzanne")
    mesh.from_pydata(z_up(vertices), [], faces)
    mesh.shade_smooth()
    material = bpy.data.materials.new("Clay")
    material.diffuse_color = (0.66, 0.66, 0.66, 1.0)  # what solid shading shows
    mesh.materials.append(material)

    thing = bpy.data.objects.new("Suzanne", mesh)
    bpy.context.scene.collection.objects.link(thing)
    bpy.context.view_layer.objects.active = thing
    thing.select_set(True)
    for name, weight in zip(names, weights, strict=True):
        add_group(thing, str(name), weight)
    if thing.vertex_groups:
        thing.vertex_groups.active_index = 0
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(path).resolve()), compress=True)


def add_group(thing, name: str, weight: np.ndarray) -> None:
    """Add a vertex group with weights [V], all at once; vertices of weight 0 stay outside the group.

    Blender sets the weights of a group one vertex at a time, but an attribute as a whole, and makes one the other.
    """
    attribute = thing.data.attributes.new(name, "FLOAT", "POINT")
    attribute.data.foreach_set("value", np.ascontiguousarray(weight, dtype=np.float32))
    thing.data.attributes.active = attribute
    bpy.ops.geometry.attribute_convert(mode="VERTEX_GROUP")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["export", out]:
            export(out)
        case ["export", out, levels]:
            export(out, int(levels))
        case ["blend", source, out]:
            blend(source, out)
        case _:
            sys.exit(__doc__)
