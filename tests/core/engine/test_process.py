"""The real engine as a process of its own: what it answers, that it can be stopped, and that it ends."""

import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.engine import (
    PARENT,
    PATIENT,
    TINY,
    alive,
    icosphere,
    parent_command,
    parent_of_an_engine,
    tiny_engine,
    until,
)

import iseg_core as iseg
from iseg_core.clicks.simulated_user import FaceTarget
from iseg_core.engine.client import EngineClient, EngineState
from iseg_core.engine.messages import ProposeResult
from iseg_core.engine.protocol import PROTOCOL, Message, encode, read, write
from iseg_core.errors import (
    Cancelled,
    ClickError,
    EngineError,
    MeshError,
    MessageError,
    ModelFileError,
    SettingsError,
    UnknownMeshError,
)
from iseg_core.inference.threshold import otsu

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are inspected and killed as POSIX does")
SOON = 5.0  # seconds within which the engine has ended: a promise
TINY_MODEL = {"teacher": "geometric", "preset": "tiny", "seed": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `engine` keeps its models (models/) and its log."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[EngineClient]:
    """One engine for the tests that leave it as it was."""
    with tiny_engine(folder, "noisy", log=folder / "engine.log") as engine:
        yield engine


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EngineClient]:
    """An engine for one test."""
    with tiny_engine(tmp_path) as engine:
        yield engine


def open_mesh(engine: EngineClient, stretch: float = 1.0) -> str:
    return engine.ask("open_mesh", arrays=icosphere(stretch), timeout=PATIENT).fields["mesh"]


def begin_endless(engine: EngineClient, mesh: str) -> int:
    """A training that would not end, under way in its longest stage."""
    id = engine.request("train", {"mesh": mesh, "preset": "endless"})
    until(lambda: any(e.id == id and e.fields["stage"] == "field" for e in engine.pump() if e.kind == "progress"))
    return id


def test_a_mesh_is_opened_asked_trained_and_asked(engine: EngineClient, folder: Path):
    arrays = icosphere()
    mesh = iseg.Mesh(arrays["vertices"].astype(float), arrays["faces"])
    opened = engine.ask("open_mesh", arrays=arrays, timeout=PATIENT).fields
    assert opened["mesh"] == mesh.hash and opened["topology"] == mesh.topology_hash
    assert (opened["vertices"], opened["faces"], opened["models"]) == (162, 320, [])
    assert engine.state is EngineState.READY and engine.notice == "" and alive(engine.engine["pid"])

    clicks = [[3, True], [90, True], [0, False], [[200, 0.25, 0.25, 0.5], True]]
    prompts = [(3, True), (90, True), (0, False), (iseg.SurfacePoint(200, (0.25, 0.25, 0.5)), True)]
    answer = engine.ask("query", {"mesh": mesh.hash, "clicks": clicks, "granularity": "fine"}, timeout=PATIENT)
    expected = iseg.instant(mesh).segment(prompts, granularity="fine")  # [V]
    assert answer.arrays["probability"].dtype == np.float32
    assert np.array_equal(answer.arrays["probability"], expected)
    assert answer.fields["threshold"] == otsu(expected) and answer.fields["milliseconds"] >= 0

    with pytest.raises(ModelFileError, match="Train the mesh"):
        engine.ask("query", {"mesh": mesh.hash, "clicks": clicks, "model": TINY_MODEL}, timeout=PATIENT)
    stages = []
    request = {"mesh": mesh.hash, "preset": "tiny", "device": "cpu"}
    trained = engine.ask("train", request, timeout=PATIENT, progress=lambda p: stages.append(p.stage)).fields
    assert not trained["cached"] and trained["unsaved"] is None and "decoder" in trained["seconds"]
    assert set(stages) <= {"wait", "start", "surface", "observe", "field", "decoder"} and stages
    again = engine.ask("train", request, timeout=PATIENT).fields
    assert again["cached"] and again["created"] == trained["created"]
    models = engine.ask("state", {"mesh": mesh.hash}, timeout=PATIENT).fields["models"]
    assert models == [TINY_MODEL | {"created": trained["created"]}]

    [file] = (folder / "models").glob("*.iseg")
    answer = engine.ask("query", {"mesh": mesh.hash, "clicks": clicks, "model": TINY_MODEL}, timeout=PATIENT)
    expected = iseg.Segmenter(iseg.load(file)).segment(prompts)  # [V]
    assert np.allclose(answer.arrays["probability"], expected, atol=1e-6)
    query = {"mesh": mesh.hash, "clicks": clicks, "model": TINY_MODEL, "plain": True}
    plain = engine.ask("query", query, timeout=PATIENT)
    expected = iseg.Segmenter(iseg.load(file), refine=False).segment(prompts)  # [V]
    assert np.allclose(plain.arrays["probability"], expected, atol=1e-6)
    assert not np.allclose(plain.arrays["probability"], answer.arrays["probability"], atol=1e-6)
    assert plain.fields["sizes"] == [0.25, 0.5, 0.75] and 0.5 in answer.fields["sizes"]

    log = engine.log.path.read_text()  # pyright: ignore[reportOptionalMemberAccess]
    assert f"iSeg {iseg.__version__}" in log and "162 vertices" in log and "decoder" in log
    assert "torch " in log and "device " in log and "Traceback" not in log
    for line in ("a print", "a write to descriptor 1", "a line of the C library", "a child process"):
        assert line in log  # what libraries print is in the log, and broke no frame
    assert not re.search(r"\d\.\d{4}", log)  # no coordinates


def test_a_model_outlives_the_process_that_trained_it(tmp_path: Path):
    with tiny_engine(tmp_path) as engine:
        mesh = open_mesh(engine)
        engine.ask("train", {"mesh": mesh, "preset": "tiny"}, timeout=PATIENT)
    with tiny_engine(tmp_path) as engine:
        query = {"mesh": mesh, "clicks": [[3, True]], "model": TINY_MODEL}
        assert engine.ask("query", query, timeout=PATIENT).arrays["probability"][3] >= 0.5  # without opening the mesh
        with pytest.raises(UnknownMeshError, match="Open it again"):
            engine.ask("query", {"mesh": mesh, "clicks": [[3, True]]}, timeout=PATIENT)


def test_clicks_are_proposed_for_a_part(engine: EngineClient):
    arrays = icosphere()
    seg = iseg.instant((arrays["vertices"], arrays["faces"]))
    part = seg.segment(clicks=[(3, True), (90, False)])  # [V]
    chosen = (part >= otsu(part)).astype(np.uint8)  # [V]
    request = {"mesh": open_mesh(engine)}
    proposed = engine.ask("propose", request, {"chosen": chosen}, timeout=PATIENT).fields
    target = FaceTarget.of_vertices(seg.model.mesh, chosen != 0)  # its faces are large
    clicks = ProposeResult.from_fields(proposed).clicks
    answer = seg.segment(clicks=clicks, domain="face")  # [F]
    assert target.iou((answer >= otsu(answer)).astype(np.float32)) == proposed["iou"] > 0.5
    fixed = engine.ask("propose", request | {"threshold": 0.999}, {"chosen": chosen}, timeout=PATIENT).fields
    answer = seg.segment(clicks=ProposeResult.from_fields(fixed).clicks, domain="face")  # [F]
    assert target.iou((answer >= 0.999).astype(np.float32)) == fixed["iou"]

    with pytest.raises(ClickError, match="choose the faces of a part"):
        engine.ask("propose", request, {"chosen": np.zeros(162, np.uint8)}, timeout=PATIENT)
    faces = np.zeros(320, np.uint8)
    with pytest.raises(ClickError, match="No face is chosen: choose the faces of a part"):
        engine.ask("propose", request, {"chosen_faces": faces}, timeout=PATIENT)
    wrong = ({}, {"chosen": chosen[:-1]}, {"chosen": chosen.astype(np.float32)})
    for arrays in (*wrong, {"chosen_faces": chosen}, {"chosen": chosen, "chosen_faces": faces}):
        with pytest.raises(MessageError, match="uint8"):
            engine.ask("propose", request, arrays, timeout=PATIENT)
    with pytest.raises(MessageError, match="threshold"):
        engine.ask("propose", request | {"threshold": "0.5"}, {"chosen": chosen}, timeout=PATIENT)
    with pytest.raises(UnknownMeshError):
        engine.ask("propose", {"mesh": "0" * 64}, {"chosen": chosen}, timeout=PATIENT)


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        ("query", {"clicks": [[162, True]]}, ClickError),
        ("query", {"clicks": [[-1, True]]}, ClickError),
        ("query", {"clicks": [[2**60, True]]}, ClickError),
        ("query", {"clicks": [[1, True], [1, False]]}, ClickError),
        ("query", {"clicks": [[1, 1]]}, MessageError),
        ("query", {"clicks": [[1.0, True]]}, MessageError),
        ("query", {"clicks": [None]}, MessageError),
        ("query", {"clicks": {}}, MessageError),
        ("query", {"clicks": [[[320, 1, 0, 0], True]]}, ClickError),
        ("query", {"clicks": [[[0, 1, 1, 0], True]]}, MessageError),
        ("query", {"clicks": [[[0, 1, 0], True]]}, MessageError),
        ("query", {}, MessageError),
        ("query", {"clicks": [[1, True]], "granularity": "huge"}, SettingsError),
        ("query", {"clicks": [[1, True]], "granularity": 3}, SettingsError),
        ("query", {"clicks": [[1, True]], "granularity": [3]}, MessageError),
        ("query", {"clicks": [[1, True]], "plain": True}, SettingsError),
        ("query", {"clicks": [[1, True]], "model": "tiny"}, MessageError),
        ("query", {"clicks": [[1, True]], "model": {"preset": 3}}, MessageError),
        ("query", {"clicks": [[1, True]], "model": {"preset": "../../x", "seed": 1}}, ModelFileError),
        ("query", {"clicks": [[1, True]], "mesh": "*"}, MessageError),
        ("query", {"clicks": [[1, True]], "mesh": "0" * 64}, UnknownMeshError),
        ("state", {"mesh": None}, MessageError),
        ("train", {"preset": "nope"}, SettingsError),
        ("train", {"preset": "tiny", "device": "abacus"}, SettingsError),
        ("train", {"seed": -1}, MessageError),
        ("train", {"seed": "0"}, MessageError),
        ("train", {"mesh": "0" * 64}, UnknownMeshError),
        ("fetch", {"name": 3}, MessageError),
        ("fetch", {"name": "sam_vit_x"}, iseg.WeightsError),
        ("open_mesh", {}, MessageError),
        ("sing", {}, MessageError),
    ],
)
def test_a_wrong_request_is_answered_in_words(engine: EngineClient, kind: str, fields: dict[str, Any], error: type):
    mesh = open_mesh(engine)
    with pytest.raises(error) as caught:
        engine.ask(kind, {"mesh": mesh} | fields, timeout=PATIENT)
    assert type(caught.value) is error and "Internal" not in str(caught.value)
    assert engine.ask("state", {"mesh": mesh}, timeout=PATIENT).fields["open"]


def test_a_bad_mesh_is_refused_in_words(engine: EngineClient):
    arrays = icosphere()
    arrays["vertices"][5, 1] = np.nan
    with pytest.raises(MeshError, match="NaN"):
        engine.ask("open_mesh", arrays=arrays, timeout=PATIENT)
    with pytest.raises(MessageError, match="arrays vertices"):
        engine.ask("open_mesh", arrays={"vertices": arrays["vertices"]}, timeout=PATIENT)


def test_doctor_says_what_is_at_hand(engine: EngineClient):
    report = engine.ask("doctor", timeout=PATIENT).fields
    assert {"iSeg", "Python", "torch"} <= {finding["topic"] for finding in report["findings"]}
    missing = {teacher["name"]: teacher["missing"] for teacher in report["teachers"]}
    assert missing["geometric"] == ""
    assert "375 MB" in missing["sam_vit_b"]


def test_free_memory_forgets_meshes_and_keeps_models(engine: EngineClient):
    mesh = open_mesh(engine, 1.5)
    engine.ask("query", {"mesh": mesh, "clicks": [[3, True]]}, timeout=PATIENT)
    resident = engine.ask("free", timeout=PATIENT).fields["resident"]
    assert resident is None or resident > 0
    assert not engine.ask("state", {"mesh": mesh}, timeout=PATIENT).fields["open"]
    assert open_mesh(engine, 1.5) == mesh


def test_a_training_that_was_killed_goes_on(own: EngineClient, tmp_path: Path):
    mesh = open_mesh(own)
    begin_endless(own, mesh)
    own.pump()
    [checkpoint] = (tmp_path / "models" / "checkpoints").iterdir()
    assert [path.name for path in checkpoint.iterdir()] == ["observe"]
    os.kill(own.engine["pid"], signal.SIGKILL)
    until(lambda: own.state is EngineState.CRASHED)
    before = (checkpoint / "observe").stat().st_mtime_ns
    own.cancel(begin_endless(own, open_mesh(own)))
    assert (checkpoint / "observe").stat().st_mtime_ns == before  # not written again: it was not done again


def test_the_cache_is_described_and_cleared(own: EngineClient, tmp_path: Path):
    mesh = open_mesh(own)
    own.ask("train", {"mesh": mesh, "preset": "tiny"}, timeout=PATIENT)
    query = {"mesh": mesh, "clicks": [[3, True]], "model": TINY_MODEL}
    own.ask("query", query, timeout=PATIENT)
    held = own.ask("cache", timeout=PATIENT).fields
    [model] = (tmp_path / "models").glob("*.iseg")
    assert held["folder"] == str(tmp_path / "models") and held["limit"] > 1e9
    assert (held["models"], held["checkpoints"], held["bytes"]) == (1, 0, model.stat().st_size)
    assert own.ask("cache", {"clear": True}, timeout=PATIENT).fields["models"] == 1
    assert own.ask("cache", timeout=PATIENT).fields["bytes"] == 0
    assert own.ask("state", {"mesh": mesh}, timeout=PATIENT).fields["models"] == []
    with pytest.raises(ModelFileError, match="Train the mesh"):
        own.ask("query", query, timeout=PATIENT)
    with pytest.raises(MessageError, match="clear: true or false"):
        own.ask("cache", {"clear": 1}, timeout=PATIENT)


def test_queries_are_answered_while_a_training_runs_and_cancel_ends_it(own: EngineClient):
    mesh, other = open_mesh(own), open_mesh(own, 1.5)
    training = begin_endless(own, mesh)
    for handle in (mesh, other):
        answer = own.ask("query", {"mesh": handle, "clicks": [[3, True]]}, timeout=PATIENT)
        assert answer.arrays["probability"][3] >= 0.5
    waiting = own.request("train", {"mesh": other, "preset": "tiny"})
    until(lambda: any(e.id == waiting and e.fields["stage"] == "wait" for e in own.pump() if e.kind == "progress"))
    own.cancel(training)
    with pytest.raises(Cancelled):
        own.wait(training, PATIENT)
    assert not own.wait(waiting, PATIENT).fields["cached"]  # so the first has really ended
    assert own.ask("state", {"mesh": mesh}, timeout=PATIENT).fields["models"] == []
    own.cancel(training)  # as nothing is left to cancel, nothing happens
    assert own.state is EngineState.READY


class Trickle(http.server.BaseHTTPRequestHandler):
    """A server of weights that hardly moves."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "375042383")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 1000)
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_download_is_cancelled(tmp_path: Path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Trickle)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tiny_engine(tmp_path, f"http://127.0.0.1:{server.server_port}/") as engine:
        fetching = engine.request("fetch", {"name": "sam_vit_b"})
        part = tmp_path / "weights" / "sam_vit_b_01ec64.pth.part"
        until(lambda: part.is_file() and part.stat().st_size > 2000)
        engine.cancel(fetching)
        with pytest.raises(Cancelled):
            engine.wait(fetching, PATIENT)
        with pytest.raises(MessageError):  # the lane goes on: it has ended the download and takes the next request
            engine.ask("fetch", {"name": None}, timeout=PATIENT)
    server.shutdown()


def test_a_killed_engine_says_why_and_starts_again(own: EngineClient):
    mesh = open_mesh(own)
    training = begin_endless(own, mesh)
    own.pump()
    os.kill(own.engine["pid"], signal.SIGKILL)
    with pytest.raises(EngineError, match="SIGKILL.*memory"):
        own.wait(training, PATIENT)
    until(lambda: own.state is EngineState.CRASHED)
    assert "SIGKILL" in own.reason and "starts again" in own.reason
    assert [e.fields["state"] for e in own.pump() if e.kind == "state"] == ["crashed"]
    with pytest.raises(UnknownMeshError):  # a new process, which knows nothing
        own.ask("query", {"mesh": mesh, "clicks": [[3, True]]}, timeout=PATIENT)
    assert own.state is EngineState.READY and own.reason == ""
    assert open_mesh(own) == mesh
    own.ask("query", {"mesh": mesh, "clicks": [[3, True]]}, timeout=PATIENT)


def test_close_ends_the_process_in_the_middle_of_a_training(own: EngineClient):
    training = begin_endless(own, open_mesh(own))
    pid = own.engine["pid"]
    own.close(timeout=PATIENT)
    assert not alive(pid) and own.state is EngineState.STOPPED and own.pid is None
    with pytest.raises(EngineError, match="stopped"):
        own.wait(training, PATIENT)


def test_the_engine_ends_when_its_parent_is_killed(tmp_path: Path):
    parent, engine = parent_of_an_engine(tmp_path)
    parent.kill()
    parent.wait()
    until(lambda: not alive(engine))


FORGETFUL = PARENT.rpartition("time.sleep")[0] + "# and no close\n"


def test_a_script_that_forgets_to_close_leaves_no_engine(tmp_path: Path):
    result = subprocess.run(parent_command(FORGETFUL, tmp_path), capture_output=True, text=True, timeout=PATIENT)
    assert result.returncode == 0, result.stderr
    assert not alive(int(result.stdout))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_person_at_a_terminal_is_told_who_should_start_it():
    master, slave = os.openpty()
    result = subprocess.run(TINY, stdin=slave, capture_output=True, text=True, timeout=PATIENT)
    os.close(master)
    os.close(slave)
    assert result.returncode == 1 and result.stdout == "" and "Blender starts it" in result.stderr


class Raw:
    """The engine without a client: frames by hand."""

    def __init__(self, folder: Path):
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ISEG_CACHE": str(folder)}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            TINY, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0, env=environment
        )
        assert self.process.stdin and self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, kind: str, id: int, fields: dict[str, Any] | None = None, arrays: Any = None) -> None:
        write(self.stdin, encode(Message(kind, id, fields or {}, arrays or {})))  # pyright: ignore[reportArgumentType]

    def answer(self, id: int) -> Message:
        """The one result or error with this id; progress on the way is skipped."""
        while True:
            message = read(self.stdout)  # pyright: ignore[reportArgumentType]
            assert message is not None, f"the engine ended with {self.process.wait()}"
            if message.id == id and message.kind != "progress":
                return message

    def hello(self) -> Message:
        self.send("hello", 1, {"protocol": PROTOCOL, "version": "0", "cache": None})
        return self.answer(1)


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Raw]:
    engine = Raw(tmp_path)
    yield engine
    engine.process.kill()
    engine.process.wait()
    engine.stdin.close()
    engine.stdout.close()


@pytest.mark.parametrize("stage", [None, "start", "field"])
def test_the_engine_ends_soon_after_its_input_whatever_it_does(raw: Raw, stage: str | None):
    """The mechanism of every system; Linux' own does not act here, for the parent lives."""
    raw.hello()
    if stage is not None:
        raw.send("open_mesh", 2, arrays=icosphere())
        raw.send("train", 3, {"mesh": raw.answer(2).fields["mesh"], "preset": "endless"})
        while (message := read(raw.stdout)) and message.fields.get("stage") != stage:  # pyright: ignore
            pass
    raw.stdin.close()
    assert raw.process.wait(SOON) == 0


def test_the_engine_itself_answers_a_cancel(raw: Raw):
    raw.hello()
    raw.send("open_mesh", 2, arrays=icosphere())
    raw.send("train", 3, {"mesh": raw.answer(2).fields["mesh"], "preset": "endless"})
    while (message := read(raw.stdout)) and message.fields.get("stage") != "field":  # pyright: ignore
        pass
    raw.send("cancel", 4, {"target": 3})
    assert raw.answer(3).fields["type"] == "Cancelled"
    assert raw.answer(4).fields == {"cancelled": True}
    for id, target in enumerate((3, 99, "3", None, {}), start=5):
        raw.send("cancel", id, {"target": target})
        assert raw.answer(id).fields == {"cancelled": False}
    raw.send("shutdown", 10)
    assert raw.answer(10).kind == "result"
    assert raw.process.wait(PATIENT) == 0


def test_malformed_messages_are_answered_and_the_engine_goes_on(raw: Raw):
    raw.send("state", 1, {"mesh": "0" * 64})
    assert "hello" in raw.answer(1).fields["sentence"]
    assert raw.hello().fields["version"] == iseg.__version__
    for id, text in (
        (0, b"{"),
        (0, b"[]"),
        (7, b'{"id":7}'),
        (8, b'{"kind":"query","id":8,"fields":{},"arrays":[[]]}'),
    ):
        raw.stdin.write(b"iSeg" + len(text).to_bytes(4, "little") + (5).to_bytes(8, "little") + text + b"12345")
        assert raw.answer(id).fields["type"] == "MessageError"
    raw.send("state", 9, {"mesh": "0" * 64})
    assert raw.answer(9).fields == {"open": False, "models": []}


def test_what_is_not_the_protocol_ends_the_engine_with_a_sentence(raw: Raw):
    raw.hello()
    raw.stdin.write(b"GET / HTTP/1.1\r\n\r\n")
    assert "not iSeg's protocol" in raw.answer(0).fields["sentence"]
    assert raw.process.wait(PATIENT) == 2


def test_another_protocol_is_refused_in_a_sentence(raw: Raw):
    raw.send("hello", 1, {"protocol": 99, "version": "9.9"})
    sentence = raw.answer(1).fields["sentence"]
    assert "iSeg 9.9" in sentence and "protocol 99" in sentence and "same version" in sentence
    assert raw.process.wait(PATIENT) == 0


def test_two_engines_share_one_cache_and_one_log(tmp_path: Path):
    log = tmp_path / "engine.log"
    with tiny_engine(tmp_path, log=log) as first, tiny_engine(tmp_path, log=log) as second:
        both = (first, second)
        mesh = open_mesh(first)
        assert open_mesh(second) == mesh and first.engine["pid"] != second.engine["pid"]
        ids = [engine.request("train", {"mesh": mesh, "preset": "tiny"}) for engine in both]
        for engine, id in zip(both, ids, strict=True):
            engine.wait(id, PATIENT)
        query = {"mesh": mesh, "clicks": [[3, True]], "model": TINY_MODEL}
        one, two = (engine.ask("query", query, timeout=PATIENT).arrays["probability"] for engine in both)
        assert np.array_equal(one, two)
        assert [path.suffix for path in (tmp_path / "models").iterdir()] == [".iseg"]
    assert log.read_text().count("engine started") == 2 and "trained on" in log.read_text()


def test_variables_of_the_host_do_not_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path / "nowhere"))  # a Python that sees this does not even start
    monkeypatch.setenv("CONDA_PREFIX", str(tmp_path))
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    with tiny_engine(tmp_path) as engine:
        assert open_mesh(engine)


def test_the_command_line_starts_the_engine(tmp_path: Path):
    root = str(Path(iseg.__file__).resolve().parent.parent)
    command = [sys.executable, "-m", "iseg_core", "engine"]
    with EngineClient(command, {"PYTHONPATH": root}, cache=tmp_path) as engine:
        assert engine.ask("state", {"mesh": "0" * 64}, timeout=PATIENT).fields == {"open": False, "models": []}
