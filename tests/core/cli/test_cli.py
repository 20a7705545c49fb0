"""The command line: what is passed on, what is written, and the one sentence that every failure ends with."""

import dataclasses
import io
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from support.models import make_model

import iseg_core
from iseg_core import doctor
from iseg_core.cli import display as cli_display
from iseg_core.cli import main
from iseg_core.clicks.click import SurfacePoint
from iseg_core.errors import Cancelled, ClickError, SettingsError, WeightsError
from iseg_core.formats.load import as_mesh
from iseg_core.geometry.domain import Domain
from iseg_core.progress import Progress
from iseg_core.render import figures
from iseg_core.storage import trained_model
from iseg_core.storage.checkpoint import Checkpoint
from iseg_core.storage.trained_model import Model
from iseg_core.teachers import registry, weights
from iseg_core.training import settings as training_settings

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("numpy", "scipy", "torch", "trimesh", "embreex", "PIL", "rich", "safetensors", "ray")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints go here, not to the user's."""
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def replace(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts something else in the place of a name of the public API."""

    def put(**names: object) -> None:
        for name, value in names.items():
            monkeypatch.setitem(vars(iseg_core), name, value)

    return put


class FakeSegmenter:
    """Remembers what it was asked; the first vertices are inside."""

    def __init__(self, model: Model | None = None, device: str = "auto"):
        self.model, self.device, self.plainly = model, device, False
        FakeSegmenter.last = self

    @property
    def plain(self) -> "FakeSegmenter":
        self.plainly = True
        return self

    def segment(self, clicks: list[tuple[int, bool]], granularity: str, domain: str) -> np.ndarray:
        self.clicks, self.granularity, self.domain = clicks, granularity, domain
        return np.array([0.9, 0.6, 0.2, 0.1], dtype=np.float32)  # [V] or [F]


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "in" / "model.iseg"
    path.parent.mkdir()
    make_model().save(path)
    return str(path)


def output(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return out, err


def usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit:
        main.main(arguments)
    assert exit.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


# help


@pytest.mark.parametrize(
    "arguments", [[], ["train"], ["batch"], ["segment"], ["transfer"], ["info"], ["doctor"], ["fetch"], ["cache"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]):
    code = (
        "import sys\nfrom iseg_core.cli.main import main\n"
        f"try: main({[*arguments, '--help']!r})\nexcept SystemExit as end: assert not end.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: " in result.stdout
    assert result.stderr.strip() == "[]"


def test_python_m():
    result = subprocess.run(
        [sys.executable, "-m", "iseg_core", "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == f"iSeg {iseg_core.__version__}"


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert "COMMAND" in usage_error([], capsys)


# train


def test_train_passes_everything_on_and_saves(tmp_path: Path, replace, capsys: pytest.CaptureFixture[str]):
    asked = {}

    def train(mesh, *, progress, **settings):
        asked.update(settings, mesh=mesh)
        progress(Progress("observe", 0.25, 3.0))
        progress(Progress("observe", 0.26, 3.0))
        progress(Progress("fit", 1.0, 0.0))
        return make_model()

    replace(train=train)
    path = tmp_path / "m.iseg"
    options = ["--teacher", "sam_vit_b", "--preset", "draft", "--seed", "7", "--device", "cpu"]
    assert main.main(["train", "chair.obj", "-o", str(path), *options]) == 0
    assert isinstance(asked.pop("checkpoint"), Checkpoint)
    assert asked == {"mesh": "chair.obj", "teacher": "sam_vit_b", "preset": "draft", "seed": 7, "device": "cpu"}
    assert Model.load(path).info == make_model().info
    out, err = output(capsys)
    assert f"{path}: 4 vertices, trained in" in out
    assert err.splitlines() == ["start: 0 %", "observe: 25 %, 3 s left", "fit: 100 %, 0 s left"]


def test_train_defaults_and_weights_by_path(tmp_path: Path, replace, capsys: pytest.CaptureFixture[str]):
    teachers = []
    replace(train=lambda mesh, teacher, **_: teachers.append(teacher) or make_model())
    path = str(tmp_path / "m.iseg")
    assert main.main(["train", "chair.obj", "-o", path]) == 0
    assert main.main(["train", "chair.obj", "-o", path, "--weights", "sam.pth"]) == 0
    assert teachers == ["geometric", "sam.pth"]
    error = usage_error(["train", "chair.obj", "-o", path, "--weights", "sam.pth", "--teacher", "sam_vit_b"], capsys)
    assert "not allowed with" in error


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "Cancelled; no model was written. The same command goes on"),
        (Cancelled("Training was cancelled; no model was written."), 130, "Training was cancelled"),
        (SettingsError("There is no preset 'x'."), 2, "error: There is no preset 'x'."),
        (WeightsError("No weights. Fetch them."), 1, "error: No weights. Fetch them."),
        (OSError(28, "No space left on device"), 1, "error: No space left on device. Nothing was written."),
        (PermissionError(13, "Permission denied", "x.obj"), 1, "error: x.obj: Permission denied."),
        (MemoryError(), 1, "error: there is not enough memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: ..."), 1, "error: there is not enough memory."),
        (OSError(12, "Cannot allocate memory"), 1, "error: there is not enough memory."),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 1, "error: the Python package torch is missing"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_failures_are_one_sentence_and_leave_no_file(
    tmp_path: Path, replace, capsys: pytest.CaptureFixture[str], failure: BaseException, code: int, sentence: str
):
    def train(*_, **__):
        raise failure

    replace(train=train)
    assert main.main(["train", "chair.obj", "-o", str(tmp_path / "m.iseg")]) == code
    out, err = output(capsys)
    assert out == ""
    assert err.splitlines()[-1].startswith(sentence) and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_saving_leaves_no_file(
    tmp_path: Path, replace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    replace(train=lambda *_, **__: make_model())
    monkeypatch.setattr("iseg_core.system.atomic_file.os.fsync", interrupt)
    assert main.main(["train", "chair.obj", "-o", str(tmp_path / "m.iseg")]) == 130
    assert output(capsys)[1].splitlines()[-1].startswith("Cancelled; no model was written.")
    assert not list(tmp_path.iterdir())


def test_our_own_defects_are_not_hidden(tmp_path: Path, replace):
    def train(*_, **__):
        raise ZeroDivisionError

    replace(train=train)
    with pytest.raises(ZeroDivisionError):
        main.main(["train", "chair.obj", "-o", str(tmp_path / "m.iseg")])


def test_places_that_cannot_be_written_to_are_known_before_training(tmp_path: Path, replace, capsys):
    replace(train=lambda *_, **__: pytest.fail("trained in vain"))
    assert "there is no folder" in usage_error(["train", "a.obj", "-o", str(tmp_path / "no" / "m.iseg")], capsys)
    assert "is a folder" in usage_error(["train", "a.obj", "-o", str(tmp_path)], capsys)
    assert "required: -o" in usage_error(["train", "a.obj"], capsys)


def test_the_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with cli_display.Display() as display:
        display(Progress("observe", 0.5, 12.0))
    err = output(capsys)[1]
    assert "observe" in err and "50%" in err and "12 s left" in err


# segment


def test_segment_a_model(model: str, tmp_path: Path, replace, capsys: pytest.CaptureFixture[str]):
    replace(Segmenter=FakeSegmenter)
    files = [tmp_path / name for name in ("p.npy", "p.ply", "p.png")]
    arguments = ["--positive", "3", "1", "--negative", "0", "--granularity", "fine", "--device", "cpu"]
    outputs = ["-o", str(files[0]), "--ply", str(files[1]), "--png", str(files[2])]
    assert main.main(["segment", model, *arguments, *outputs]) == 0
    asked = FakeSegmenter.last
    assert asked.clicks == [(3, True), (1, True), (0, False)] and asked.granularity == "fine" and asked.device == "cpu"
    assert asked.model is not None and asked.model.mesh.hash == make_model().mesh.hash

    probability = np.load(files[0])
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability, [0.9, 0.6, 0.2, 0.1])
    assert len(trimesh.load_mesh(files[1], process=False).vertices) == 4
    assert Image.open(files[2]).size == (1200, 800)
    assert "2 of 4 vertices (50.0 %)" in output(capsys)[0]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "p.npy", "p.ply", "p.png"}


def test_clicks_keep_their_order(model: str, replace):
    replace(Segmenter=FakeSegmenter)
    assert main.main(["segment", model, "--positive", "3", "--negative", "0", "1", "--pos", "2"]) == 0
    assert FakeSegmenter.last.clicks == [(3, True), (0, False), (1, False), (2, True)]
    assert main.main(["segment", model, "--positive", "3"]) == 0
    assert FakeSegmenter.last.clicks == [(3, True)]  # nothing stays from one command to the next


def test_points_of_the_surface_are_clicks(model: str, tmp_path: Path, replace, capsys: pytest.CaptureFixture[str]):
    replace(Segmenter=FakeSegmenter)
    arguments = ["--positive", "f1:.2,.3,.5", "2", "--negative", "f0:1,0,0", "--png", str(tmp_path / "p.png")]
    assert main.main(["segment", model, *arguments]) == 0
    points = [SurfacePoint(1, (0.2, 0.3, 0.5)), 2, SurfacePoint(0, (1, 0, 0))]
    assert FakeSegmenter.last.clicks == list(zip(points, (True, True, False), strict=True))
    assert (tmp_path / "p.png").exists()
    for wrong in ("f", "f1", "f1:", "f1:1,0", "f1:1,0,0,0", "fx:1,0,0", "1.5", "vertex", "f1.5:1,0,0"):
        said = usage_error(["segment", model, "--positive", wrong], capsys)
        assert f"argument --positive: {wrong} is neither a vertex" in said
    assert "sum to 1.1" in usage_error(["segment", model, "--positive", "f1:.2,.4,.5"], capsys)
    assert main.main(["segment", model, "--positive", "f99:1,0,0", "--png", str(tmp_path / "q.png")]) == 1
    assert "There is no face 99" in output(capsys)[1] and not (tmp_path / "q.png").exists()


@pytest.mark.parametrize("command", ["segment", "transfer"])
def test_faces_are_answered_where_they_are_asked_for(
    model: str, tmp_path: Path, replace, capsys: pytest.CaptureFixture[str], command: str
):
    class Transferring(FakeSegmenter):
        def transfer(self, source, clicks, granularity, domain):
            return self.segment(clicks, granularity, domain)

    replace(Segmenter=Transferring)
    files = [tmp_path / name for name in ("p.npy", "p.ply", "p.png")]
    outputs = ["-o", str(files[0]), "--ply", str(files[1]), "--png", str(files[2])]
    models = [model] * (1 if command == "segment" else 2)
    assert main.main([command, *models, "--domain", "face", "--positive", "f1:.2,.3,.5", *outputs]) == 0
    assert FakeSegmenter.last.domain == "face" and np.load(files[0]).shape == (4,)
    coloured = trimesh.load_mesh(files[1], process=False).metadata["_ply_raw"]["face"]["properties"]
    assert "red" in coloured and "probability" in coloured
    assert "2 of 4 faces" in output(capsys)[0] and files[2].exists()
    assert "invalid choice: 'edge'" in usage_error(["segment", model, "--positive", "1", "--domain", "edge"], capsys)
    for domain in Domain:
        assert main.main(["segment", model, "--positive", "1", "--domain", domain]) == 0


def test_the_dot_of_a_point_is_at_the_point(model: str, tmp_path: Path, replace, monkeypatch: pytest.MonkeyPatch):
    dots = []
    draw = figures.draw_views
    monkeypatch.setattr(figures, "draw_views", lambda *a, **k: dots.extend(a[3]) or draw(*a, **k))
    replace(Segmenter=FakeSegmenter)
    clicks = ["--positive", "f1:.2,.3,.5", "--negative", "2"]
    assert main.main(["segment", model, *clicks, "--png", str(tmp_path / "p.png")]) == 0
    mesh = make_model().mesh
    expected = [np.array([0.2, 0.3, 0.5]) @ mesh.vertices[mesh.faces[1]], mesh.vertices[2]]
    assert [include for _, include in dots] == [True, False]
    np.testing.assert_allclose([place for place, _ in dots], expected)


def test_the_threshold_counts(model: str, replace, capsys: pytest.CaptureFixture[str]):
    replace(Segmenter=FakeSegmenter)
    assert main.main(["segment", model, "--positive", "0", "--threshold", "0.15"]) == 0
    assert "3 of 4 vertices" in output(capsys)[0]
    for wrong in ("1.5", "some", "nan"):
        assert "neither auto nor a number" in usage_error(
            ["segment", model, "--positive", "0", "--threshold", wrong], capsys
        )


def test_segment_instant(tmp_path: Path, replace):
    meshes = []
    mesh = make_model().mesh
    heard = []
    replace(
        load_mesh=lambda path, marks: heard.append(marks) or mesh,
        instant=lambda mesh: meshes.append(mesh) or FakeSegmenter(),
    )
    assert main.main(["segment", "--instant", "chair.obj", "--positive", "1", "--ply", str(tmp_path / "p.ply")]) == 0
    assert meshes == [mesh]
    np.testing.assert_array_equal(trimesh.load_mesh(tmp_path / "p.ply", process=False).vertices, mesh.vertices)
    assert main.main(["segment", "--instant", "chair.obj", "--positive", "1", "--ignore-marks"]) == 0
    assert heard == [True, False]


def test_train_can_leave_the_marks_of_the_file_aside(tmp_path: Path, replace):
    lines = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "v 1 1 1", "usemtl a", "f 1 2 3", "usemtl b", "f 2 3 4"]
    (tmp_path / "a.obj").write_text("\n".join(lines))
    meshes = []
    replace(train=lambda mesh, **_: meshes.append(as_mesh(mesh)) or make_model())
    for more in ([], ["--ignore-marks"]):
        assert main.main(["train", str(tmp_path / "a.obj"), "-o", str(tmp_path / "m.iseg"), *more]) == 0
    assert meshes[1].labels is None and np.array_equal(meshes[0].labels, [0, 1])


def test_a_size_is_a_number_and_plain_is_the_decoders_own(model: str, replace):
    replace(Segmenter=FakeSegmenter)
    for arguments, size, plainly in ((["--granularity", ".75"], 0.75, False), (["--plain"], "part", True)):
        assert main.main(["segment", model, "--positive", "3", *arguments]) == 0
        assert (FakeSegmenter.last.granularity, FakeSegmenter.last.plainly) == (size, plainly)


def test_segment_usage(model: str, capsys: pytest.CaptureFixture[str]):
    assert "there is no click" in usage_error(["segment", model], capsys)
    assert "MODEL --instant is required" in usage_error(["segment", "--positive", "1"], capsys)
    assert "not allowed with" in usage_error(["segment", model, "--instant", "a.obj", "--positive", "1"], capsys)
    for wrong in ("big", "1.5", "nan"):
        words = usage_error(["segment", model, "--positive", "1", "--granularity", wrong], capsys)
        assert f"{wrong} is neither one of fine, part, whole nor a number from 0 to 1" in words


def test_transfer(model: str, tmp_path: Path, replace, capsys: pytest.CaptureFixture[str]):
    class Transferring(FakeSegmenter):
        def transfer(self, source, clicks, granularity, domain):
            self.source = source
            return self.segment(clicks, granularity, domain)

    replace(Segmenter=Transferring)
    other = dataclasses.replace(make_model(), mesh=make_model().mesh)
    other.mesh = dataclasses.replace(other.mesh, vertices=other.mesh.vertices * 2)
    other.save(target := tmp_path / "in" / "other.iseg")
    files = [tmp_path / name for name in ("p.npy", "p.ply", "p.png")]
    outputs = ["-o", str(files[0]), "--ply", str(files[1]), "--png", str(files[2])]
    arguments = ["--negative", "0", "--positive", "2", "--granularity", "whole", "--device", "cpu"]
    assert main.main(["transfer", model, str(target), *arguments, *outputs]) == 0
    asked: Transferring = FakeSegmenter.last  # type: ignore[assignment]
    assert asked.clicks == [(0, False), (2, True)] and asked.granularity == "whole" and asked.device == "cpu"
    assert asked.model is not None and asked.model.mesh.hash == other.mesh.hash
    assert asked.source.model.mesh.hash == make_model().mesh.hash
    np.testing.assert_array_equal(trimesh.load_mesh(files[1], process=False).vertices, other.mesh.vertices)
    out, err = output(capsys)
    assert "2 of 4 vertices (50.0 %)" in out and "belong to one shape" in err
    assert files[0].exists() and files[2].exists()
    assert main.main(["transfer", model, model, "--positive", "1"]) == 0
    assert output(capsys)[1] == ""
    assert "there is no click" in usage_error(["transfer", model, model], capsys)
    assert "TARGET" in usage_error(["transfer", model, "--positive", "1"], capsys)


def test_a_refused_click_is_one_sentence(model: str, tmp_path: Path, replace, capsys: pytest.CaptureFixture[str]):
    class Refusing(FakeSegmenter):
        def segment(self, clicks, granularity, domain):
            raise ClickError("There is no vertex 9.")

    replace(Segmenter=Refusing)
    assert main.main(["segment", model, "--positive", "9", "-o", str(tmp_path / "p.npy")]) == 1
    assert output(capsys) == ("", "error: There is no vertex 9.\n")
    assert not (tmp_path / "p.npy").exists()


def test_ctrl_c_in_the_last_file_leaves_none(
    model: str, tmp_path: Path, replace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    replace(Segmenter=FakeSegmenter)
    monkeypatch.setattr("iseg_core.render.figures.draw_views", interrupt)
    outputs = ["-o", str(tmp_path / "p.npy"), "--ply", str(tmp_path / "p.ply"), "--png", str(tmp_path / "p.png")]
    assert main.main(["segment", model, "--positive", "0", *outputs]) == 130
    assert output(capsys)[1] == "Cancelled; nothing was written.\n"
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


def test_a_file_that_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for command in (["segment", str(tmp_path / "x"), "--positive", "1"], ["info", str(tmp_path / "x")]):
        assert main.main(command) == 1
        assert "error: There is no file" in output(capsys)[1]


# info


def test_info_says_what_the_file_is(model: str, capsys: pytest.CaptureFixture[str]):
    assert main.main(["info", model]) == 0
    out = output(capsys)[0]
    for said in ("4 vertices, 4 faces", make_model().mesh.hash[:16], "3 vertices, 1 faces", "geometric", "fit 1.2"):
        assert said in out
    assert "32 weights on 5 features" in out  # 15 + 1 + 16


def test_info_needs_no_torch(model: str):
    code = f"import sys; sys.modules['torch'] = None\nfrom iseg_core.cli.main import main; main(['info', {model!r}])"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_that_the_terminal_cannot_show_end_no_command(model: str, monkeypatch: pytest.MonkeyPatch, encoding: str):
    named = Path(model).rename(Path(model).with_name("模型.iseg"))
    screen = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", None)
    assert main.main(["info", str(named)]) == 0
    screen.flush()
    shown = screen.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert ("模型.iseg" if encoding == "utf-8" else "\\u6a21\\u578b.iseg") in shown


# doctor


def test_doctor_reports_this_machine(capsys: pytest.CaptureFixture[str]):
    assert main.main(["doctor"]) == 0
    out = output(capsys)[0]
    assert np.__version__ in out and "embree      works" in out and "Ready" in out
    assert "python -m iseg_core fetch sam_vit_b" in out or "sam_vit_b_01ec64.pth" in out


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "embreex", None)
    monkeypatch.setattr(doctor, "REQUIRED", ("numpy", "no-such-package"))
    assert main.main(["doctor"]) == 1
    out = output(capsys)[0]
    assert "! no-such-package" in out and "! rasteriser embree" in out and "pip install iseg-core" in out
    assert out.splitlines()[-1] == "Not ready: no-such-package, rasteriser embree."


def test_doctor_without_what_names_the_cache(monkeypatch: pytest.MonkeyPatch):
    """It never raises for what is missing."""
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    found = doctor.examine()[-1]
    assert (found.topic, found.value) == ("cache", "unknown, for platformdirs is missing.") and found.remedy


def test_doctor_on_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path))

    def finding() -> doctor.Finding:
        return next(f for f in doctor.examine() if f.topic == "weights sam_vit_b")

    assert "fetch sam_vit_b` (375 MB, Apache-2.0)" in (finding().remedy or "")
    official = registry.weights_files()["sam_vit_b"]
    path = weights.weights_folder() / official.file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert "wrong length" in finding().value and finding().remedy
    with open(path, "r+b") as file:
        file.truncate(official.bytes)  # sparse: no space is used
    assert finding().value == str(path) and finding().remedy is None


def test_doctor_knows_the_declared_dependencies():
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in requirements}

    assert names(project["dependencies"]) == set(doctor.REQUIRED)
    for extra in registry.extras():
        assert names(project["optional-dependencies"][extra.name]) == set(extra.packages)
    assert names(project["optional-dependencies"]["cluster"]) == set(doctor.CLUSTER)


# fetch


def test_fetch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def fetch(name: str, progress) -> str:
        progress(Progress("download", 0.5, 10.0))
        return f"/cache/{name}"

    monkeypatch.setattr(weights, "fetch", fetch)
    assert main.main(["fetch", "sam_vit_b"]) == 0
    out, err = output(capsys)
    assert "/cache/sam_vit_b is complete" in out and "download: 50 %, 10 s left" in err


def test_an_interrupted_fetch_says_that_it_can_go_on(monkeypatch: pytest.MonkeyPatch, capsys):
    def fetch(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "fetch", fetch)
    assert main.main(["fetch", "sam_vit_b"]) == 130
    assert "the same command goes on from there" in output(capsys)[1]


def test_fetch_of_an_unknown_name(capsys: pytest.CaptureFixture[str]):
    assert main.main(["fetch", "sam_vit_z"]) == 1
    assert "sam_vit_b, sam_vit_l, sam_vit_h" in output(capsys)[1]


# the engine itself


@pytest.fixture
def mesh_file(tmp_path: Path) -> str:
    """A capsule of 146 vertices."""
    path = tmp_path / "in" / "capsule.off"
    path.parent.mkdir()
    trimesh.creation.capsule(count=[12, 12]).export(path)
    return str(path)


def test_a_mesh_is_trained_asked_and_described(
    mesh_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    draft = training_settings.PRESETS["draft"]
    short = dataclasses.replace(draft.settings, views=6, field_steps=4, decoder_steps=4)
    monkeypatch.setitem(training_settings.PRESETS, "draft", dataclasses.replace(draft, settings=short))
    model, first, again = str(tmp_path / "m.iseg"), str(tmp_path / "first.npy"), str(tmp_path / "again.npy")
    assert main.main(["train", mesh_file, "-o", model, "--preset", "draft", "--device", "cpu"]) == 0
    assert "decoder: 100 %" in output(capsys)[1]
    for path in (first, again):
        clicks = ["--positive", "0", "--negative", "140"]
        assert main.main(["segment", model, *clicks, "-o", path, "--threshold", "auto"]) == 0
    probability = np.load(first)  # [V]
    assert probability.shape == (len(trimesh.load_mesh(mesh_file, process=False).vertices),)
    assert probability[0] > 0.5 > probability[140]
    assert Path(first).read_bytes() == Path(again).read_bytes()
    assert main.main(["info", model]) == 0
    assert "geometric" in output(capsys)[0]


def test_a_mesh_is_asked_at_once(mesh_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "p.npy"
    assert main.main(["segment", "--instant", mesh_file, "--positive", "0", "-o", str(path)]) == 0
    assert np.load(path)[0] > 0.5
    assert main.main(["segment", "--instant", mesh_file, "--positive", "146"]) == 1
    assert "There is no vertex 146" in output(capsys)[1]
    assert main.main(["segment", "--instant", str(tmp_path / "none.off"), "--positive", "0"]) == 1
    assert output(capsys)[1].startswith("error: ")


@pytest.mark.parametrize("wrong", [["--teacher", "nobody"], ["--preset", "fast"], ["--device", "abacus"]])
def test_wrong_settings_are_usage_errors(
    mesh_file: str, tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main.main(["train", mesh_file, "-o", str(tmp_path / "m.iseg"), *wrong]) in (1, 2)
    assert output(capsys)[1].splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "m.iseg").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_ends_training_at_once_and_leaves_no_file(mesh_file: str, tmp_path: Path):
    # As `-m iseg_core`, but for a shell that runs these tests in the background: what that starts does not hear Ctrl-C.
    script = "import signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script += "from iseg_core.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ["train", mesh_file, "-o", str(tmp_path / "m.iseg"), "--preset", "paper"]
    command = [sys.executable, "-c", script, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("observe"):  # a run that is well under way, of several minutes
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    assert err.splitlines()[-1].startswith("Cancelled; no model was written.") and "Traceback" not in err
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


# the public names


def test_train_is_a_function_whatever_modules_were_imported():
    import iseg_core.training.train  # noqa: F401

    assert iseg_core.train is iseg_core.training.train.train


def test_unknown_names_are_attribute_errors():
    assert not hasattr(iseg_core, "no_such_name")
    assert iseg_core.load is trained_model.load and isinstance(iseg_core.__version__, str)
    assert set(iseg_core.__all__) <= set(dir(iseg_core))
