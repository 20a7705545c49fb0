"""The demo: its story in Blender, with an engine that trains in a moment, and the pictures drawn of it."""

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from support.engine import TINY

import build

ROOT = Path(__file__).resolve().parents[2]

in_blender = pytest.mark.skipif(
    not build.BLENDER.ready, reason="needs Blender's Python module: run `python build.py demo` once"
)


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "examples" / "pictures.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def face() -> Any:
    """A mesh of three shells where Suzanne, Y up, has her left ear and her eyes."""
    spheres = []
    for place in ((1.068, 0.203, -0.389), (0.352, 0.243, 0.6), (-0.352, 0.243, 0.6)):
        sphere = trimesh.creation.icosphere(subdivisions=2, radius=0.22)
        spheres.append(sphere.apply_translation(place))
    return trimesh.util.concatenate(spheres)


def steps_on(face: Any, drawing: ModuleType) -> list[Any]:
    """The demo's steps, on the shells: an ear, an eye, both eyes, one of them, the ear moved."""
    steps = []
    for caption, clicks in (
        ("An ear", {0: 1}),
        ("An eye", {1: 1}),
        ("Both eyes", {1: 1, 2: 1}),
        ("One", {1: 1, 2: 0}),
        ("Moved", {0: 1}),
    ):
        weights = np.repeat([float(clicks.get(shell, 0)) for shell in range(3)], 162).astype(np.float32)  # [V]
        made = np.array([(shell * 162, include) for shell, include in clicks.items()])  # [K, 2]
        steps.append(drawing.Step(caption, face.vertices, face.faces, weights, made))
    return steps


def run_story(folder: Path, engine: list[str]) -> "subprocess.CompletedProcess[str]":
    """The demo's script in a Blender of its own, with the preset draft."""
    environ = os.environ | {
        "ISEG_ENGINE": shlex.join(engine),
        "ISEG_CACHE": str(folder / "cache"),
        "BLENDER_USER_RESOURCES": str(folder / "blender"),
    }
    archive = build.extension(folder)
    command = [str(build.BLENDER.python), "examples/suzanne.py", str(archive), str(folder / "out"), "draft"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, errors="replace")


READ = """
import sys, numpy as np, bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
thing = bpy.data.objects["Suzanne"]
weights = np.zeros((len(thing.vertex_groups), len(thing.data.vertices)), np.float32)
for vertex in thing.data.vertices:
    for group in vertex.groups:
        weights[group.group, vertex.index] = group.weight
np.savez(sys.argv[2], weights=weights, names=[group.name for group in thing.vertex_groups])
"""


@in_blender
def test_the_story_from_the_zip_to_the_blend(drawing: ModuleType, tmp_path: Path):
    result = run_story(tmp_path, [*TINY, "quick"])
    assert result.returncode == 0, result.stdout + result.stderr
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["steps.npz", "suzanne.blend"]
    assert len(list((tmp_path / "cache" / "models").glob("*.iseg"))) == 1  # it was trained

    ear, eye, eyes, one, extruded = drawing.load(out / "steps.npz")
    assert [drawing.signs(step) for step in (ear, eye, eyes, one, extruded)] == ["+", "+", "+ +", "+ -", "+"]
    for step in (ear, eye, eyes, one):
        assert step.vertices.shape == (7958, 3) and step.faces.shape == (15744, 3)
        assert all((step.weights[vertex] > 0.5) == include for vertex, include in step.made)
    # She stands upright and looks along +Z: the eyes are above the middle and in front, mirror images in X.
    (left, _), (right, _) = one.made
    assert one.vertices[left] @ (0, 1, 0) > 0 and one.vertices[left] @ (0, 0, 1) > 0.5
    np.testing.assert_allclose(one.vertices[right], one.vertices[left] * (-1, 1, 1), atol=1e-4)
    assert len(extruded.vertices) > 7958 and len(extruded.weights) == len(extruded.vertices)
    moved = extruded.vertices[extruded.made[0][0]] - ear.vertices[ear.made[0][0]]  # [3]
    assert np.linalg.norm(moved) == pytest.approx(0.08, abs=1e-3)  # the click went along

    (tmp_path / "read.py").write_text(READ)
    reading = [str(build.BLENDER.python), "read.py", str(out / "suzanne.blend"), str(tmp_path / "read.npz")]
    subprocess.run(reading, cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "read.npz") as read:
        assert read["names"].tolist() == ["left ear", "eyes", "left eye"]
        np.testing.assert_array_equal(read["weights"][0], extruded.weights)


@in_blender
def test_a_failure_is_said(tmp_path: Path):
    result = run_story(tmp_path, [str(tmp_path / "no engine")])
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "The demo failed." in result.stderr and "no engine" in result.stderr


def test_pictures_show_every_step(drawing: ModuleType, face: Any, tmp_path: Path):
    steps = steps_on(face, drawing)
    sheet = drawing.draw_steps(steps, size=40)
    assert sheet.width > 2 * 3 * 40 and sheet.height > 3 * 2 * 40
    hero = drawing.draw_hero(steps, size=60)
    assert hero.width > 3 * 60 and hero.height < sheet.height
    columns = np.array_split(np.asarray(hero).astype(int), 3, axis=1)
    blue = [int((part[..., 2] - part[..., 0] > 60).sum()) for part in columns]
    assert min(blue) > 0 and blue[1] > 1.5 * blue[2]  # two eyes, then one
    drawing.save(hero, tmp_path / "hero.png")
    with Image.open(tmp_path / "hero.png") as read:
        assert np.array_equal(np.asarray(read), np.asarray(hero))


def test_pictures_that_cannot_be_drawn_say_why(drawing: ModuleType, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pictures.py", str(tmp_path)])
    assert drawing.main() == 1
    assert "steps.npz" in capsys.readouterr().err


def test_the_readme_s_pictures_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = [part.split(")")[0] for part in text.split("](")[1:] if part.split(")")[0].endswith(".png")]
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < 400_000
        with Image.open(ROOT / picture) as image:
            image.verify()
