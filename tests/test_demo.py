"""The demo's own part: where it clicks, what it keeps, what it draws. Blender's part: test_bpy_suzanne.py."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("suzanne", ROOT / "examples" / "suzanne.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def face() -> Any:
    """A mesh of three shells where Suzanne has her left ear and her eyes."""
    spheres = []
    for place in ((1.068, 0.203, -0.389), (0.352, 0.243, 0.6), (-0.352, 0.243, 0.6)):
        sphere = trimesh.creation.icosphere(subdivisions=2, radius=0.22)
        spheres.append(sphere.apply_translation(place))
    return trimesh.util.concatenate(spheres)


class Shells:
    """Stands for a Segmenter on `face`: each of its spheres that is included, less those that are excluded."""

    def segment(self, clicks: list[tuple[int, bool]]) -> np.ndarray:
        probability = np.full((3, 162), 0.1, dtype=np.float32)  # [3, V / 3]
        for vertex, include in clicks:
            probability[vertex // 162] = 0.9 if include else 0.2
        return probability.ravel()  # [V]


def test_the_nearest_vertex_is_found(demo: ModuleType):
    vertices = np.random.default_rng(0).normal(size=(100, 3))  # [V, 3]
    for vertex in (0, 57, 99):
        assert demo.nearest(vertices, tuple(vertices[vertex] + 1e-6)) == vertex


def test_steps_make_the_parts_they_name(demo: ModuleType, face: Any):
    answers = demo.answer(Shells(), face.vertices)
    names, weights = demo.groups(answers)
    assert names == ["left ear", "eyes", "left eye"]
    assert weights.dtype == np.float32 and set(np.unique(weights)) == {0.0, 1.0}
    of_shells = weights.reshape(3, 3, 162).mean(axis=2)  # [G, 3]: left ear, left eye, right eye
    np.testing.assert_array_equal(of_shells, [[1, 0, 0], [0, 1, 1], [0, 1, 0]])
    assert [demo.signs(a) for a in answers] == ["+", "+", "+ +", "+ -"]
    for a in answers:  # the engine refuses a vertex that is clicked both ways
        assert len({vertex for vertex, _ in a.clicks}) == len(a.clicks)


def test_pictures_show_every_step(demo: ModuleType, face: Any, tmp_path: Path):
    answers = demo.answer(Shells(), face.vertices)
    sheet = demo.draw_steps(face.vertices, face.faces, answers, size=40)
    assert sheet.width > 2 * 3 * 40 and sheet.height > 2 * 2 * 40
    hero = demo.draw_hero(face.vertices, face.faces, answers, size=60)
    assert hero.width > 3 * 60 and hero.height < sheet.height
    columns = np.array_split(np.asarray(hero).astype(int), 3, axis=1)
    blue = [int((part[..., 2] - part[..., 0] > 60).sum()) for part in columns]
    assert min(blue) > 0 and blue[1] > 1.5 * blue[2]  # two eyes, then one
    demo.save(hero, tmp_path / "hero.png")
    with Image.open(tmp_path / "hero.png") as read:
        assert np.array_equal(np.asarray(read), np.asarray(hero))


def test_tables(demo: ModuleType, face: Any):
    lines = demo.table_of_clicks(demo.answer(Shells(), face.vertices)).splitlines()
    assert len(lines) == 1 + len(demo.STEPS)
    assert "+ +  324 of 486 vertices" in lines[3] and "+ -  162 of 486 vertices" in lines[4]
    lines = demo.table_of_seconds({"training": 12.34, "all together": 13.0}).splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [["12.3", "s"], ["13.0", "s"]]


def test_a_failure_in_blender_s_part_is_said(demo: ModuleType, tmp_path: Path, monkeypatch, capsys):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'Blender cannot be loaded: install libX11.' >&2\nexit 1\n")
    python.chmod(0o755)
    if sys.platform == "win32":
        pytest.skip("needs a shell script that stands for a Python")
    with pytest.raises(subprocess.CalledProcessError):
        demo.blender(python, "export", tmp_path / "suzanne.npz")
    monkeypatch.setattr(sys, "argv", ["suzanne.py", "--blender-python", str(python), "--out", str(tmp_path / "out")])
    assert demo.main() == 1
    assert "install libX11" in capsys.readouterr().err


def test_the_readme_s_pictures_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    pictures = [part.split(")")[0] for part in text.split("](")[1:] if part.split(")")[0].endswith(".png")]
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).stat().st_size < 400_000
        with Image.open(ROOT / picture) as image:
            image.verify()
