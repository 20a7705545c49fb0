"""The registry of teachers: an entry is all that a new one needs; and the abilities that a teacher may have."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.shapes import dumbbell, tiny_settings
from support.teachers import HEIGHT, TOWER, HeightTeacher

import iseg_core as iseg
from iseg_core import doctor
from iseg_core.cli import main
from iseg_core.engine.handlers import Handlers
from iseg_core.storage.prepare import prepare
from iseg_core.teachers import make as making
from iseg_core.teachers import registry, weights
from iseg_core.teachers.geometric import GeometricTeacher
from iseg_core.teachers.make import find, make_teacher
from iseg_core.teachers.registry import DEFAULT_TEACHER, TEACHERS, TeacherEntry, is_geometric
from iseg_core.teachers.teacher import (
    BatchTeacher,
    Embedding,
    SurfaceTeacher,
    TargetTeacher,
    Teacher,
    TeacherCard,
    look_at,
    views_at_once,
)
from iseg_core.training.settings import DEFAULT_PRESET, PRESETS

ROOT = Path(__file__).parents[3]
MESH = dumbbell(2)


@pytest.fixture
def newcomers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two made-up teachers in the registry: one that needs nothing, one that needs packages and weights."""
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path / "cache"))
    for entry in (HEIGHT, TOWER):
        monkeypatch.setitem(TEACHERS, entry.name, entry)


def test_names_that_models_keep():
    assert list(TEACHERS) == ["geometric", "sam_vit_b", "sam_vit_l", "sam_vit_h"]
    assert list(PRESETS) == ["draft", "standard", "paper"]
    assert all(name == entry.name for name, entry in TEACHERS.items())
    assert all(name == preset.settings.preset for name, preset in PRESETS.items())
    assert DEFAULT_TEACHER in TEACHERS and DEFAULT_PRESET in PRESETS
    free = TEACHERS[DEFAULT_TEACHER]
    assert free.weights is None and free.extra is None and free.geometric
    assert prepare(MESH, 100).info["teacher"] == DEFAULT_TEACHER


@pytest.mark.parametrize("entry", TEACHERS.values(), ids=lambda entry: entry.name)
def test_every_factory_is_there(entry: TeacherEntry):
    module, function = entry.factory.split(":")
    assert module.startswith(".")
    code = (ROOT / "iseg_core" / "teachers" / f"{module[1:]}.py").read_text()
    assert f"def {function}(entry: TeacherEntry, weights: Path | None, model:" in code


def test_no_teacher_is_known_by_name_elsewhere():
    """What differs between teachers stands in their entries: no code asks for a name."""
    compared = [
        f"{path.relative_to(ROOT)}:{number}"
        for package in ("iseg_core", "iseg_blender")
        for path in (ROOT / package).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(f'{sign} "{name}"' in line for sign in ("==", "!=", " in", "is") for name in TEACHERS)
        or any(f"{sign} {name}" in line for sign in ("==", "!=") for name in ("DEFAULT_TEACHER", "GEOMETRIC"))
    ]
    assert not compared


def test_the_registries_import_next_to_nothing():
    code = (
        "import sys; sys.modules |= dict.fromkeys(('numpy', 'scipy', 'torch', 'platformdirs')); "
        "from iseg_core.teachers.registry import TEACHERS; from iseg_core.training.settings import PRESETS; "
        "import iseg_core.teachers.weights, iseg_core.doctor; print(*TEACHERS, *PRESETS)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [*TEACHERS, *PRESETS]


def test_a_newcomer_is_in_help(newcomers: None, capsys: pytest.CaptureFixture[str]):
    said = {}
    for command in ("train", "batch", "bench", "fetch"):
        with pytest.raises(SystemExit):
            main.main([command, "--help"])
        said[command] = " ".join(capsys.readouterr().out.split())
    offered = "geometric (default; needs no download), sam_vit_b, sam_vit_l, sam_vit_h, height or tower"
    assert offered in said["train"] and offered in said["batch"]
    assert "sam_vit_h, height, tower, a weights file, or" in said["bench"]
    assert "sam_vit_b, sam_vit_l, sam_vit_h or tower" in said["fetch"]  # height has nothing to fetch


def test_a_newcomer_is_in_doctor_and_in_the_engines_report(newcomers: None):
    findings = {finding.topic: finding for finding in doctor.examine()}
    needed = 'Only the tower teachers need it: pip install "iseg-core[towers]".'
    assert findings["no-such-towers"].remedy == needed and not findings["no-such-towers"].required
    fetch = "Only `--teacher tower` needs them: `python -m iseg_core fetch tower` (12 MB, MIT)."
    assert findings["weights tower"].remedy == fetch and "weights height" not in findings
    nothing: Any = None  # it asks nothing of the job
    told: Any = Handlers().doctor(nothing).result
    missing = {teacher.name: teacher.missing for teacher in told.teachers}
    assert list(missing) == [*TEACHERS] and missing["height"] == ""
    assert "no-such-towers: missing." in missing["tower"] and fetch in missing["tower"]
    assert "torchvision" not in missing["tower"] and "tower" not in missing["sam_vit_b"]


def test_a_newcomers_weights_are_asked_for(newcomers: None, tmp_path: Path):
    with pytest.raises(iseg.WeightsError, match=r"fetch tower` fetches them \(12 MB, licence MIT, from weights\."):
        find("tower")
    foreign = tmp_path / "foreign.pth"
    foreign.write_bytes(b"x")
    with pytest.raises(iseg.WeightsError, match="files of Segment Anything or Towers.*fetch tower` fetches"):
        weights.verify(foreign)


def test_a_newcomer_teaches(newcomers: None):
    model = iseg.train(MESH, "height", tiny_settings())
    assert model.info["teacher"] == "height" and model.info["teacher_fingerprint"] == "height-1"
    assert np.ptp(iseg.Segmenter(model, refine=False).segment(positive=[0])) > 0


def test_find(newcomers: None):
    assert find("height") == (HEIGHT, None)
    for wrong in ("nobody", "folder/nobody.pth"):
        with pytest.raises(iseg.WeightsError, match="sam_vit_b, sam_vit_l, sam_vit_h, tower"):
            find(wrong)


def test_make_teacher(newcomers: None):
    model = prepare(MESH, 200)
    ours = HeightTeacher()
    assert make_teacher(ours, model) is ours
    assert make_teacher(lambda prepared: (prepared is model and ours) or None, model) is ours  # pyright: ignore
    assert isinstance(make_teacher("height", model), HeightTeacher)
    assert isinstance(make_teacher(DEFAULT_TEACHER, model), GeometricTeacher)


def test_a_factory_gets_what_the_entry_promises(monkeypatch: pytest.MonkeyPatch, newcomers: None):
    """The entry, its weights once they were checked, the prepared mesh and the device."""
    asked = []
    monkeypatch.setattr(making, "locate", lambda name: (TOWER, Path(name)))
    monkeypatch.setattr("support.teachers.make", lambda *what: asked.append(what))
    model = prepare(MESH, 200)
    make_teacher("my tower.pth", model, "cuda:1")
    assert asked == [(TOWER, Path("my tower.pth"), model, "cuda:1")]


def test_is_geometric(monkeypatch: pytest.MonkeyPatch):
    assert [name for name in TEACHERS if is_geometric(name)] == ["geometric"]
    for other in ("oracle", "", None, 3, HeightTeacher(), ["geometric"]):
        assert not is_geometric(other)
    monkeypatch.setitem(TEACHERS, "height", replace(HEIGHT, geometric=True))
    assert is_geometric("height")


def test_what_needs_weights_and_packages(newcomers: None):
    assert list(registry.weights_files()) == ["sam_vit_b", "sam_vit_l", "sam_vit_h", "tower"]
    assert [extra.name for extra in registry.extras()] == ["sam", "towers"]  # each once


# abilities


class Batched(HeightTeacher):
    views_at_once = 5

    def look_many(self, views):
        self.seen = len(views)
        return [self.look(view) for view in views]


def test_abilities_are_declared_by_members():
    plain, many = HeightTeacher(), Batched()
    geometric = make_teacher("geometric", prepare(MESH, 200))
    assert isinstance(plain, Teacher) and isinstance(geometric, Teacher)
    assert not isinstance(plain, BatchTeacher | SurfaceTeacher | TargetTeacher)
    assert isinstance(many, BatchTeacher) and not isinstance(many, SurfaceTeacher | TargetTeacher)
    assert isinstance(geometric, SurfaceTeacher) and isinstance(geometric, TargetTeacher)
    assert not isinstance(geometric, BatchTeacher)
    assert not isinstance(TeacherCard.of(geometric), Teacher | SurfaceTeacher)  # facts answer nothing


def test_views_are_shown_together_where_that_helps():
    plain, many = HeightTeacher(), Batched()
    assert (views_at_once(plain), views_at_once(many)) == (1, 5)
    views = [SimpleNamespace(image=np.zeros((48, 48, 3), np.uint8), raster=SimpleNamespace(face_id=np.zeros((48, 48))))]
    for teacher in (plain, many):
        (embedding,) = look_at(teacher, views)  # pyright: ignore[reportArgumentType]
        assert isinstance(embedding, Embedding)
    assert many.seen == 1


def test_the_guide_lists_the_weights():
    guide = (ROOT / "docs" / "sam.md").read_text()
    for name, file in registry.weights_files().items():
        row = next(line for line in guide.splitlines() if line.startswith(f"| `{name}` |"))
        assert f"| {file.size} |" in row and row.endswith(f"| {file.licence} |") and file.host in guide
