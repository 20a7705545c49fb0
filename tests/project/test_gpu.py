"""The program that measures a GPU: all of it, small, on whatever there is."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import nvdiffrast_fake
from support.sam import import_segment_anything

import_segment_anything()
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
gpu: Any = importlib.import_module("gpu")
checks: Any = importlib.import_module("gpu_checks")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("gpu")
    assert gpu.main(["--device", "cuda" if torch.cuda.is_available() else "cpu", "--tiny", "-o", str(folder)]) == 0
    assert (folder / "gpu.md").read_text().count("## ") == len(gpu.SECTIONS)
    return json.loads((folder / "gpu.json").read_text())


def test_every_section_says_something(report):
    assert not report["failed"]
    for name in gpu.SECTIONS:
        assert report[name], name


def test_what_the_goals_ask_for_is_measured(report):
    assert [row["goal"] for row in gpu.goals(report["trainings"])] == list(gpu.GOALS)


def test_the_stand_in_is_asked_for_second_clicks_too(report):
    teacher = next(row for row in report["trainings"] if row["run"] == "teacher, sam")
    assert teacher["views"] == 4 and teacher["prompts"] > teacher["of them pairs"] > 0
    assert teacher["look s"] > 0 and teacher["predict s"] > 0


def test_without_the_device_it_says_so(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert gpu.main(["-o", str(tmp_path / "none")]) == 2
    assert "Nothing was measured" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_failed_check_is_told_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    def wrong(device: torch.device, scale: Any) -> list[dict]:
        raise AssertionError("gradients differ")

    right = {"limits": gpu.limits, "gradients": wrong, "rasters": gpu.check_rasters}
    monkeypatch.setattr(gpu, "SECTIONS", right)
    assert gpu.main(["--device", "cpu", "--tiny", "-o", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["failed"] == {"gradients": "AssertionError: gradients differ"} and found["rasters"]
    assert "FAILED: gradients" in capsys.readouterr().out


def test_the_rasterisers_are_compared(monkeypatch):
    """By a stand-in for nvdiffrast, then by one that shows the picture upside down."""
    scale, cpu, cameras = gpu.Scale(True), torch.device("cpu"), checks.sphere_cameras(20)
    scale.repeats = 1
    monkeypatch.setattr(checks, "sphere_cameras", lambda count: cameras[:2])
    nvdiffrast_fake.install(monkeypatch)
    (row,) = gpu.check_rasters(cpu, scale)
    assert row["same face"] >= 0.999 and row["nvdiffrast ms"] > 0
    nvdiffrast_fake.install(monkeypatch, lambda out: out.flip(1))
    with pytest.raises(AssertionError, match="sees something else"):
        gpu.check_rasters(cpu, scale)


@pytest.mark.parametrize("section", ["gradients", "answers"])
def test_the_checks_can_fail(monkeypatch, section):
    """A device that computes something else: the second field, or the second segmenter, is another one."""
    scale, cpu = gpu.Scale(True), torch.device("cpu")
    if section == "gradients":
        real, calls = checks.FieldLoss, []

        class Wrong(real):
            def __call__(self, f):
                calls.append(1)
                return super().__call__(f) * (1 if len(calls) % 2 else 1.1)

        monkeypatch.setattr(checks, "FieldLoss", Wrong)
    else:
        real_segment, count = checks.iseg.Segmenter.segment, []

        def segment(self, *inputs, **keywords):
            count.append(1)
            answer = real_segment(self, *inputs, **keywords)
            return answer if len(count) % 2 else np.float32(1.0) - answer

        monkeypatch.setattr(checks.iseg.Segmenter, "segment", segment)
    with pytest.raises(AssertionError, match="relative error|same side"):
        gpu.SECTIONS[section](cpu, scale)
