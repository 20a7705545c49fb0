"""The client against processes that are not what they should be, and without any: log, environment, import."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support.engine import FAKE, PATIENT, alive, until

import iseg_core
from iseg_core import errors
from iseg_core.engine import client, log
from iseg_core.engine.client import EngineClient, EngineState, as_error
from iseg_core.engine.connection import clean_environment
from iseg_core.engine.log import Log
from iseg_core.engine.protocol import Message
from iseg_core.errors import Cancelled, EngineError, MessageError


def fake(mode: str, **settings) -> EngineClient:
    return EngineClient([*FAKE, mode], **settings)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("echo", "'hello' that makes no sense"),
        ("dies", "exit code 1.*first words.*last words"),
        ("banner", "begins with 'Welcome to gpubo'"),
        ("version", "iSeg 0.0.1 and speaks protocol 99.*same version"),
        ("refuses", "I did not understand you"),
        ("truncated", "in the middle of a message"),
        ("killed", "SIGKILL.*starts again"),
        ("garbage", "begins with 'garbage, garbage'"),
        ("oversized", "announces"),
        ("huge array", "larger than what was sent"),
        ("wrong kind", "'surprise' that makes no sense"),
        ("wrong progress", "'progress' that makes no sense"),
        ("wrong error", "'error' that makes no sense"),
        ("closes its output", "closed its output"),
    ],
)
def test_a_broken_engine_becomes_a_reason(mode: str, reason: str):
    with fake(mode) as engine:
        id = engine.request("state")
        with pytest.raises(EngineError, match=f"(?s){reason}"):
            engine.wait(id, PATIENT)
        until(lambda: engine.state is EngineState.CRASHED)
        assert engine.pid is None
        with pytest.raises(EngineError, match=f"(?s){reason}"):  # it was started again, and broke again
            engine.ask("state", timeout=PATIENT)


def test_an_engine_that_says_nothing_is_given_up():
    with fake("silent", patience=0.5) as engine:
        id = engine.request("state")
        pid = until(lambda: engine.pid)
        with pytest.raises(EngineError, match="did not answer within"):
            engine.wait(id, PATIENT)
        assert not alive(pid)


def test_a_command_that_is_not_there():
    with EngineClient(["/no/such/program"]) as engine:
        with pytest.raises(EngineError, match="cannot be started: /no/such/program: No such file"):
            engine.ask("state", timeout=PATIENT)
        assert engine.state is EngineState.CRASHED


@pytest.mark.parametrize("thread", ["keeper", "reader", "log"])
def test_no_room_for_a_thread_ends_the_requests_and_leaves_no_process(thread: str, monkeypatch: pytest.MonkeyPatch):
    start, pids = threading.Thread.start, []

    def full(self: threading.Thread) -> None:
        if self.name == f"iseg engine {thread}":
            if thread != "keeper":  # there is a process already, which the client may learn of a moment later
                pids.append(until(lambda: engine.pid))
            raise RuntimeError("can't start new thread")
        start(self)

    with fake("silent") as engine:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", full)
            with pytest.raises(EngineError, match="cannot be started.*new thread.*[Cc]lose other programs"):
                engine.ask("state", timeout=PATIENT)
        until(lambda: engine.state is (EngineState.STOPPED if thread == "keeper" else EngineState.CRASHED))
        assert engine.pid is None and (thread == "keeper" or not alive(pids[0]))
        engine.start()  # there is room again
        assert engine.state is EngineState.STARTING


def test_answers_that_memory_has_no_room_for_end_the_requests(monkeypatch: pytest.MonkeyPatch):
    def full(message: Message) -> None:
        raise MemoryError

    monkeypatch.setattr(iseg_core.engine.connection, "_check_answer", full)  # pyright: ignore
    with fake("truncated") as engine, pytest.raises(EngineError, match="cannot be read: MemoryError"):
        engine.ask("state", timeout=PATIENT)


def test_an_engine_that_takes_nothing_blocks_nobody_and_is_ended_by_force():
    engine = fake("takes nothing")
    arrays = {"vertices": np.zeros((100_000, 3))}
    ids = [engine.request("open_mesh", arrays=arrays) for _ in range(20)]  # far more than a pipe holds
    pid = until(lambda: engine.pid)
    until(lambda: engine.state is EngineState.READY)
    with pytest.raises(TimeoutError, match="has not answered"):
        engine.wait(ids[0], 0.05)
    engine.cancel(ids[1])
    with pytest.raises(Cancelled):
        engine.wait(ids[1], PATIENT)
    engine.close(timeout=0.2)
    assert not alive(pid) and engine.state is EngineState.STOPPED
    with pytest.raises(EngineError, match="stopped"):
        engine.wait(ids[0], PATIENT)


def test_too_much_to_send_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(iseg_core.engine.connection, "PAYLOAD_LIMIT", 1_000_000)  # pyright: ignore
    monkeypatch.setattr(client, "OPEN_LIMIT", 10)
    with fake("takes nothing") as engine:
        first = engine.request("open_mesh", arrays={"x": np.zeros(1_000_000, np.uint8)})
        with pytest.raises(EngineError, match="not yet taken"):
            engine.request("open_mesh", arrays={"x": np.zeros(1_000_000, np.uint8)})
        engine.cancel(first)  # passes all the same
        for _ in range(9):
            engine.request("state")
        with pytest.raises(EngineError, match="unanswered"):
            engine.request("state")


def test_a_request_that_cannot_be_sent_starts_nothing():
    with fake("silent") as engine:
        with pytest.raises(MessageError, match="not JSON"):
            engine.request("query", {"clicks": np.zeros(3)})
        assert engine.state is EngineState.STOPPED and engine.pump() == []
        with pytest.raises(EngineError, match="no request 5"):
            engine.wait(5)


def test_pump_hands_out_each_event_once():
    with fake("dies") as engine:
        ids = [engine.request("state") for _ in range(3)]
        events = []
        until(lambda: events.extend(engine.pump()) or len([e for e in events if e.kind == "error"]) == 3)
        assert sorted(e.id for e in events if e.kind == "error") == sorted(ids)
        until(lambda: events.extend(engine.pump()) or events[-1].kind == "state" or engine.state is EngineState.CRASHED)
        engine.pump()
        assert engine.pump() == []


def test_errors_come_back_as_what_they_were():
    def travelled(type: str) -> Exception:
        return as_error(Message("error", 1, {"type": type, "sentence": "Do this."}, {}))

    for name in ("MeshError", "Cancelled", "Superseded", "MessageError", "WeightsError"):
        error = travelled(name)
        assert type(error) is getattr(errors, name) and str(error) == "Do this."
    for name in ("InternalError", "OSError", "__doc__", "os", "IsegErrorX"):
        assert type(travelled(name)) is EngineError


def test_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "CONDA_PREFIX", "CONDA_SHLVL", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "host")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    kept = clean_environment({"PYTHONPATH": "mine"})
    assert "host" not in kept.values()
    assert kept["PYTHONPATH"] == "mine" and kept["CUDA_VISIBLE_DEVICES"] == "1" and "PATH" in kept


def test_the_log_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log, "FILE_LIMIT", 1000)
    path = tmp_path / "new folder" / "engine.log"
    kept = Log(path)
    for i in range(100):
        kept.append(f"line {i:03}, some text\n".encode())
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["engine.log", "engine.log.1"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert path.read_text().endswith("line 099, some text\n")
    assert kept.last_lines(2) == ["line 098, some text", "line 099, some text"]
    kept.forget()
    assert kept.last_lines() == []


def test_a_log_that_cannot_be_written_harms_nothing(tmp_path: Path):
    kept = Log(tmp_path)  # a folder
    kept.append(b"x" * 100_000)
    assert len(kept.last_lines()[0]) < 100_000
    Log(None).append(b"text")


def test_it_imports_in_blender_where_the_package_has_another_name(tmp_path: Path):
    """Standard library, numpy, and of iSeg only what is as light."""
    source = Path(iseg_core.__file__).parent
    target = tmp_path / "bl_ext" / "user_default" / "iseg" / "iseg_core"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("numpy", "bl_ext"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
import bl_ext.user_default.iseg.iseg_core.engine.client as client
prefix = "bl_ext.user_default.iseg.iseg_core."
print(*sorted(name.removeprefix(prefix) for name in sys.modules if name.startswith(prefix)))
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    engine = {"engine", "engine.client", "engine.connection", "engine.log", "engine.messages", "engine.protocol"}
    words = {"clicks", "clicks.click", "teachers", "teachers.registry", "training", "training.settings"}
    assert set(result.stdout.split()) == engine | words | {
        "errors",
        "geometry",
        "geometry.domain",
        "progress",
        "version",
    }


@pytest.mark.parametrize(
    ("said", "shown"), [("", "gave no reason"), ("\0\u202e ", "gave no reason"), ("No\0.\nDo.", "^No.\nDo.$")]
)
def test_an_error_always_says_something_that_can_be_shown(said, shown):
    error = as_error(Message("error", 1, {"type": "EngineError", "sentence": said}, {}))
    with pytest.raises(EngineError, match=shown):
        raise error
