"""Blender's side of the demo: what is exported is Suzanne, what is saved holds the parts."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import build

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    not build.BLENDER.ready, reason="needs Blender's Python module: run `python build.py demo` once"
)


def run(*arguments: str) -> str:
    command = [str(build.BLENDER.python), *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


READ = """
import sys, numpy as np, bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
thing = bpy.data.objects["Suzanne"]
vertices = np.array([v.co for v in thing.data.vertices])
weights = np.zeros((len(thing.vertex_groups), len(vertices)), np.float32)
for vertex in thing.data.vertices:
    for group in vertex.groups:
        weights[group.group, vertex.index] = group.weight
members = sum(len(vertex.groups) for vertex in thing.data.vertices)
np.savez(sys.argv[2], vertices=vertices, weights=weights, members=members, polygons=len(thing.data.polygons),
         names=[group.name for group in thing.vertex_groups], materials=len(thing.data.materials))
"""


def test_suzanne_goes_out_and_comes_back_with_her_parts(tmp_path: Path):
    run("examples/bpy_suzanne.py", "export", str(tmp_path / "suzanne.npz"))
    with np.load(tmp_path / "suzanne.npz") as suzanne:
        vertices, quads, triangles = suzanne["vertices"], suzanne["quads"], suzanne["triangles"]
    assert vertices.shape == (7958, 3) and quads.shape == (7872, 4) and triangles.shape == (15744, 3)
    assert set(np.unique(triangles)) == set(range(7958))
    # She stands upright and looks along +Z: the eyes, two shells of their own, are above the middle and in front.
    eyes = vertices[(np.abs(np.abs(vertices) - [0.352, 0.243, 0.818]) < 0.01).all(axis=1)]  # [2, 3]
    assert len(eyes) == 2 and (eyes[:, 1:] > 0).all()

    weights = np.zeros((2, 7958), dtype=np.float32)  # [G, V]
    weights[0, :500] = np.linspace(0.001, 1.0, 500)
    weights[1, 4000:] = 1.0
    arrays = {"vertices": vertices, "faces": quads, "names": ["left ear", "eyes"], "weights": weights}
    np.savez(tmp_path / "parts.npz", **arrays)  # pyright: ignore[reportArgumentType]
    run("examples/bpy_suzanne.py", "blend", str(tmp_path / "parts.npz"), str(tmp_path / "parts.blend"))
    assert not (tmp_path / "parts.blend1").exists()

    (tmp_path / "read.py").write_text(READ)
    run(str(tmp_path / "read.py"), str(tmp_path / "parts.blend"), str(tmp_path / "read.npz"))
    with np.load(tmp_path / "read.npz") as read:
        assert read["names"].tolist() == ["left ear", "eyes"]
        np.testing.assert_array_equal(read["weights"], weights)
        assert read["members"] == (weights > 0).sum()  # weight 0 is no membership
        assert read["polygons"] == 7872 and read["materials"] == 1
        x, y, z = vertices.T
        np.testing.assert_array_equal(read["vertices"], np.stack([x, -z, y], axis=1))  # Blender's Z up
