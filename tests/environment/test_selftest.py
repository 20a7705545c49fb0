"""The test that an engine makes of itself, and what is said about it."""

import sys

import pytest
from support.engine import FAKE


def test_the_report_of_an_engine(iseg, tmp_path):
    command, environment = iseg.tasks.local_command(sys.executable, str(iseg.place))
    report = iseg.engine.selftest.test(command, environment | {"OMP_NUM_THREADS": "1"}, tmp_path / "log", lambda: None)
    assert report["click"] > 0
    lines = iseg.engine.selftest.words(report, managed=True)
    assert "torch 2." in lines[0].text and "cpu" in lines[1].text and "geometric" in lines[-1].text
    assert not [line for line in lines if line.good is False]


def test_a_folder_that_blender_works_in_changes_nothing(iseg, tmp_path, monkeypatch):
    (tmp_path / "iseg_core").mkdir()
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command, environment = iseg.tasks.local_command(sys.executable, str(iseg.place))
    client = iseg.core.EngineClient(command, environment)
    client.ask("state", {"mesh": "0" * 64}, timeout=60)
    client.close()


def test_an_engine_that_lacks_something(iseg):
    report = {
        "findings": [
            {"topic": "scipy", "value": "missing.", "remedy": "Get it: pip.", "required": True},
            {"topic": "torchvision", "value": "missing.", "remedy": "pip.", "required": False},
        ],
        "teachers": [{"name": "geometric", "missing": "scipy: missing."}],
    }
    texts = {line.text: line.good for line in iseg.engine.selftest.words(report, managed=True)}
    assert texts["scipy: missing. Press Repair."] is False
    assert (
        texts["torchvision: missing. Only the SAM teachers need it: tick With Segment Anything and press Repair."]
        is None
    )
    assert texts["Teachers at hand: none; not at hand: geometric"] is False
    report["findings"][0]["remedy"] = "Install https://a.b/vc_redist.x64.exe."  # which no button does
    assert any("vc_redist" in line.text for line in iseg.engine.selftest.words(report, managed=True))
    report["findings"][0]["remedy"] = "Get it: pip."
    assert any("Get it: pip." in line.text for line in iseg.engine.selftest.words(report, managed=False))
    conversation = iseg.engine.selftest.examining()
    next(conversation)
    with pytest.raises(StopIteration):  # no click is tried
        conversation.send(iseg.tasks.Reply(report, {}))


def test_an_engine_that_dies(iseg, tmp_path):
    with pytest.raises(iseg.core.EngineError, match="last words"):
        iseg.engine.selftest.test([*FAKE, "dies"], {}, tmp_path / "log", lambda: None)


def test_a_test_that_is_cancelled(iseg, tmp_path):
    def stop():
        raise iseg.core.Cancelled("Stopped.")

    with pytest.raises(iseg.core.Cancelled):
        iseg.engine.selftest.test([*FAKE, "silent"], {}, tmp_path / "log", stop)
