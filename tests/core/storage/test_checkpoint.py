"""Interrupted trainings go on to the model of a whole run, whatever ended them and whatever became of their files."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.shapes import dumbbell, tiny_settings, write_off

import iseg_core as iseg
from iseg_core.batch.checkpoints import keeping
from iseg_core.batch.library import FAILED, Entry
from iseg_core.batch.run import _LibraryRun
from iseg_core.bench.oracle import NoisyOracle
from iseg_core.cli import main
from iseg_core.progress import Progress
from iseg_core.storage import checkpoint as storage_checkpoint
from iseg_core.storage.checkpoint import Checkpoint, CheckpointState, UnusableCheckpoint
from iseg_core.teachers.geometric import GeometricTeacher

MESH = dumbbell(2)
SHORT = tiny_settings()
STAGES = ("observe", "field", "decoder")


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write after every step, so that each is a place to go on from."""
    monkeypatch.setattr(storage_checkpoint, "INTERVAL", 0.0)


@pytest.fixture(scope="module")
def whole() -> iseg.Model:
    """The model of a run that nothing interrupts."""
    return iseg.train(MESH, preset=SHORT)


class Stop(Exception):
    pass


def run(folder: Path, stop: tuple[str, int] | None = None, **changes: Any) -> tuple[iseg.Model | None, list[str]]:
    """Train, up to the n-th report of a stage where asked to; returns the model and the stage of each report."""
    reports: list[str] = []

    def progress(progress: Progress) -> None:
        reports.append(progress.stage)
        if stop is not None and reports.count(stop[0]) == stop[1]:
            raise Stop

    arguments: dict[str, Any] = {"preset": SHORT} | changes
    try:
        return iseg.train(MESH, progress=progress, checkpoint=Checkpoint(folder), **arguments), reports
    except Stop:
        return None, reports


def assert_same(one: iseg.Model | None, two: iseg.Model) -> None:
    assert one is not None and one.networks.keys() == two.networks.keys()
    assert all(np.array_equal(one.networks[name], two.networks[name]) for name in two.networks)
    assert np.array_equal(one.features, two.features)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*"))


@pytest.mark.parametrize("report", [2, 3, 5, 6])
@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_stopped_anywhere_ends_with_the_same_model(tmp_path, whole, stage, report):
    stopped, before = run(tmp_path, (stage, report))
    assert stopped is None
    model, after = run(tmp_path)
    assert_same(model, whole)
    for earlier in STAGES[: STAGES.index(stage)]:
        assert after.count(earlier) == 2  # begun, and found to be done
    steps = {"observe": SHORT.views, "field": SHORT.field_steps, "decoder": SHORT.decoder_steps}[stage]
    assert after.count(stage) == 2 + steps - (report - 2)  # the step that was told last was not done again


def test_a_run_that_stops_again_and_again(tmp_path, whole):
    for stage, report in [("observe", 3), ("observe", 4), ("field", 3), ("field", 4), ("decoder", 4), ("decoder", 5)]:
        assert run(tmp_path, (stage, report))[0] is None
    assert_same(run(tmp_path)[0], whole)


def test_votes_of_a_teacher_that_proposes_pairs_come_back(tmp_path):
    """The noisy oracle answers in 2D alone, so pairs and priors decide what later views are asked."""

    def by_height(model: iseg.Model) -> NoisyOracle:
        return NoisyOracle(model, (model.proxy.vertices[:, 2] > 0).astype(int))

    changes: dict[str, Any] = {
        "teacher": by_height,
        "preset": replace(SHORT, second_clicks=3, views=8),
    }
    plain = iseg.train(MESH, **changes)
    assert run(tmp_path, ("observe", 7), **changes)[0] is None
    assert_same(run(tmp_path, **changes)[0], plain)


def test_once_the_views_are_summed_up_the_teacher_is_not_asked_again(tmp_path, whole, monkeypatch):
    assert run(tmp_path, ("field", 2))[0] is None
    for question in ("look", "predict", "regions"):
        monkeypatch.setattr(GeometricTeacher, question, lambda *_: pytest.fail("it was asked"))
    assert_same(run(tmp_path)[0], whole)


def test_little_is_written_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(storage_checkpoint, "INTERVAL", 1e9)
    writes: list[str] = []
    write = storage_checkpoint._write
    monkeypatch.setattr(
        storage_checkpoint, "_write", lambda path, state: (writes.append(path.name), write(path, state))
    )
    checkpoint = Checkpoint(tmp_path)
    iseg.train(MESH, preset=SHORT, checkpoint=checkpoint)
    assert writes == list(STAGES)  # the end of each
    assert files(tmp_path) == sorted(STAGES)
    checkpoint.remove()
    assert not tmp_path.exists()


def test_it_is_time_when_the_next_step_would_end_too_late(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(storage_checkpoint, "INTERVAL", 10.0)
    monkeypatch.setattr(storage_checkpoint.time, "monotonic", lambda: now[0])
    checkpoint, written = Checkpoint(tmp_path), []
    checkpoint.of({})

    def state() -> CheckpointState:
        written.append(now[0])
        return CheckpointState({}, {"x": np.zeros(1)})

    for seconds in (4, 4, 4, 1, 1, 1, 1, 5, 20):
        now[0] += seconds
        checkpoint.keep("observe", state)
    assert written == [8, 21, 41]


@pytest.mark.parametrize("changes", [{"seed": 1}, {"preset": replace(SHORT, field_steps=6)}])
def test_another_training_is_not_gone_on_from(tmp_path, changes):
    arguments: dict[str, Any] = {"preset": SHORT} | changes
    plain = iseg.train(MESH, **arguments)
    assert run(tmp_path, ("decoder", 4))[0] is None
    model, reports = run(tmp_path, **changes)
    assert_same(model, plain)
    assert reports.count("observe") == SHORT.views + 2


def test_references_keep_nothing(tmp_path):
    run(tmp_path, objective="rendered")
    run(tmp_path, joint=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("damage", ["cut", "byte", "junk", "empty", "folder", "absent"])
def test_a_damaged_checkpoint_counts_as_absent(tmp_path, whole, stage, damage):
    assert run(tmp_path, ("decoder", 4))[0] is None
    [path] = tmp_path.glob(f"*/{stage}")
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "byte":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif damage == "junk":
        path.write_bytes(np.random.default_rng(0).bytes(1000))
    elif damage == "empty":
        path.touch()
    elif damage == "folder":
        path.mkdir()
    model, reports = run(tmp_path)
    assert_same(model, whole)
    assert reports.count("observe") == (SHORT.views + 2 if stage == "observe" else 2)


@pytest.mark.parametrize("stage", STAGES)
def test_a_checkpoint_that_fits_nothing_is_removed_and_the_run_begins_anew(tmp_path, whole, stage):
    assert run(tmp_path, ("decoder", 4))[0] is None
    [path] = tmp_path.glob(f"*/{stage}")
    for state in (
        CheckpointState({}, {}),
        CheckpointState({"done": "x", "click_sets": [[1]], "groups": 3}, {"generator": np.zeros(3)}),
        CheckpointState(storage_checkpoint._read(path).record, {}),  # pyright: ignore[reportOptionalMemberAccess]
    ):
        storage_checkpoint._write(path, state)
        model, reports = run(tmp_path)
        assert_same(model, whole)
        assert reports.count("observe") >= SHORT.views + 2 and reports.count("decoder") >= SHORT.decoder_steps + 2


def test_a_restore_that_fails_says_so_and_leaves_nothing(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    checkpoint.of({"mesh": "m"})
    checkpoint.keep("field", lambda: CheckpointState({"done": 1}, {"x": np.arange(3)}))

    def fail(state: CheckpointState) -> None:
        assert state.record == {"done": 1} and state.arrays["x"].tolist() == [0, 1, 2]
        raise KeyError("weight")

    with pytest.raises(UnusableCheckpoint):
        checkpoint.load("field", fail)
    assert not tmp_path.exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), MemoryError()])
def test_no_room_costs_the_checkpoint_alone(tmp_path, whole, monkeypatch, failure):
    def full(*_: object) -> None:
        raise failure

    monkeypatch.setattr("iseg_core.system.atomic_file.os.fsync", full)
    assert_same(run(tmp_path)[0], whole)
    assert files(tmp_path) == []


def test_no_room_for_a_copy_of_the_state_costs_the_checkpoint_alone(tmp_path):
    def full() -> CheckpointState:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    checkpoint = Checkpoint(tmp_path)
    checkpoint.of({"mesh": "m"})
    checkpoint.keep("field", full, last=True)
    assert files(tmp_path) == []


def test_a_fit_that_diverged_leaves_no_checkpoint(tmp_path, monkeypatch, capsys):
    """Of the command and of a library's mesh; the engine's is tested with the others of the engine."""
    path, train = tmp_path / "mesh.off", iseg.train
    write_off(path, MESH)

    def diverged(mesh: Any, checkpoint: Checkpoint, **_: Any) -> iseg.Model:
        model = train(mesh, preset=SHORT, checkpoint=checkpoint)
        assert list(tmp_path.rglob("*.checkpoint"))
        model.features[:] = np.nan
        return model

    monkeypatch.setenv("ISEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(iseg, "train", diverged)
    assert main.main(["train", str(path), "-o", str(tmp_path / "model.iseg")]) == 1
    assert "not finite. Train the mesh again" in capsys.readouterr().err

    with keeping(tmp_path) as kept:
        model, results = diverged(MESH, kept.place("mesh").open()), []
        attempts = SimpleNamespace(entry=Entry("mesh", path), count=1, mesh=MESH)
        command: Any = SimpleNamespace(job=SimpleNamespace(folder=tmp_path), checkpoints=kept, _end=results.append)
        _LibraryRun._keep(command, attempts, model, "host")  # pyright: ignore[reportArgumentType]
        assert results[0].status == FAILED and "not finite" in results[0].reason
    assert not list(tmp_path.rglob("*.checkpoint")) and not list(tmp_path.rglob("*.iseg"))


TRAIN = """
import sys
sys.path[:0] = sys.argv[1:3]
import iseg_core as iseg
from iseg_core.storage import checkpoint
from support.shapes import dumbbell, tiny_settings
checkpoint.INTERVAL = 0.0
kept = checkpoint.Checkpoint(sys.argv[3])
def tell(progress):
    print(progress.stage, flush=True)
model = iseg.train(dumbbell(2), preset=tiny_settings(), progress=tell, checkpoint=kept)
model.save(sys.argv[4])
kept.remove()
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_process_killed_at_any_moment_is_gone_on_from(tmp_path, whole):
    tests = Path(__file__).resolve().parents[2]
    saved = tmp_path / "model.iseg"
    command = [sys.executable, "-c", TRAIN, str(tests.parent), str(tests), str(tmp_path / "kept"), str(saved)]
    for stage, wait in (("observe", 0.01), ("field", 0.0), ("decoder", 0.003)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == stage:
                break
        time.sleep(wait)
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)
        process.stdout.close()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert_same(iseg.load(saved), whole)
    assert files(tmp_path / "kept") == []
