"""The engine's environment as the extension makes it, with a uv that fails in every way; without Blender or a network.

The modules under test are those of the zip, unpacked as Blender does it.
"""

import hashlib
import http.server
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from engine_support import FAKE, alive, until

import build

HERE = Path(__file__).resolve().parent
REPORT = {"findings": [], "teachers": [{"name": "geometric", "missing": ""}]}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the uv of these tests is a script with a #! line")


@pytest.fixture(scope="module")
def iseg(tmp_path_factory) -> Any:
    """The modules of the unpacked zip that need no Blender; bpy is not there, so none of them imports it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(build.extension(folder)) as archive:
        archive.extractall(folder)
    package = ModuleType("iseg_unpacked")
    package.__path__ = [str(folder)]
    sys.modules["iseg_unpacked"] = package
    names = ("folder", "job", "make", "says", "uv")
    modules = {name: importlib.import_module(f"iseg_unpacked.environment.{name}") for name in names}
    others = {name: importlib.import_module(f"iseg_unpacked.{name}") for name in ("core", "engine", "selftest")}
    return SimpleNamespace(place=folder, **modules, **others)


@pytest.fixture
def fake(tmp_path, monkeypatch) -> Any:
    """uv on the PATH."""
    tools = tmp_path / "tools"
    tools.mkdir()
    program = tools / "uv"
    program.write_text(f"#!{sys.executable}\n" + (HERE / "uv_fake.py").read_text())
    program.chmod(0o755)
    for name in list(os.environ):
        if name.startswith("UV_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_UV", str(tools))
    (tools / "plan").write_text("{}")

    def calls() -> list[dict]:
        path = tools / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def plan(**steps: dict) -> None:
        (tools / "plan").write_text(json.dumps(steps))

    return SimpleNamespace(program=program, calls=calls, plan=plan)


@pytest.fixture
def folder(iseg, tmp_path) -> Any:
    return iseg.folder.Folder(tmp_path / "mit Leerzeichen, ümlaut" / "engine", locks(tmp_path), "1.0.0")


def locks(tmp_path: Path) -> dict[str, Path]:
    found = {part: tmp_path / f"{part} lock.txt" for part in ("engine", "sam")}
    for part, path in found.items():
        if not path.exists():
            path.write_text(f"torch==2.13.0\n# {part}\n")
    return found


def begin(iseg, folder, parts=("engine",), check=lambda python, job: REPORT, own_python=None) -> Any:
    order = iseg.make.Order(parts, check, own_python)
    return iseg.job.Job(lambda job: iseg.make.make(folder, order, job))


def done(job: Any) -> Any:
    job.wait()
    assert job.error is None, job.error
    return job.result


def failed(job: Any, *words: str) -> None:
    job.wait()
    for word in words:
        assert word in str(job.error)


# ---- How it stands ----


def test_made_from_nothing(iseg, fake, folder):
    State = iseg.folder.State
    assert folder.state(("engine",)) is State.NOT_MADE and folder.is_empty() and folder.current() is None
    assert not folder.path.exists()  # looking writes nothing
    made = done(begin(iseg, folder))
    assert made.report == REPORT and made.environment.python == folder.current().python
    assert folder.state(("engine",)) is State.READY
    assert subprocess.run([made.environment.python, "-c", "print(1)"], capture_output=True, text=True).stdout == "1\n"
    venv, pip = fake.calls()
    assert venv["step"] == "managed" and venv["arguments"][-1] == "3.11"
    assert pip["arguments"][:6] == [
        "pip",
        "install",
        "--python",
        str(made.environment.python),
        "--only-binary",
        ":all:",
    ]
    assert pip["arguments"][6:] == ["-r", str(folder.locks["engine"])]
    assert made.environment.note["bytes"] > 0


def test_another_version_lock_part_or_place_is_out_of_date_and_still_used(iseg, fake, folder, tmp_path):
    State, Folder = iseg.folder.State, iseg.folder.Folder
    done(begin(iseg, folder))
    assert Folder(folder.path, folder.locks, "1.0.1").state(("engine",)) is State.OUT_OF_DATE
    assert folder.state(("engine", "sam")) is State.OUT_OF_DATE
    folder.path.rename(tmp_path / "moved")
    moved = Folder(tmp_path / "moved", folder.locks, "1.0.0")
    assert moved.state(("engine",)) is State.OUT_OF_DATE
    (tmp_path / "moved").rename(folder.path)
    folder.locks["engine"].write_text("torch==3")
    assert folder.state(("engine",)) is State.OUT_OF_DATE and folder.current() is not None
    done(begin(iseg, folder, ("engine", "sam")))
    assert folder.state(("engine", "sam")) is State.READY
    assert folder.state(("engine",)) is State.READY  # more than is wanted


def test_without_its_python_or_a_sound_note_it_is_incomplete(iseg, fake, folder):
    State = iseg.folder.State
    environment = done(begin(iseg, folder)).environment
    note = environment.folder.with_name(environment.folder.name + ".json")
    good = note.read_text()
    for junk in ("", "[]", "null", "{}", '{"locks": 1}', good.replace('"place"', '"x"'), "[" * 100_000, "\0"):
        note.write_text(junk)
        assert folder.state(("engine",)) is State.INCOMPLETE and folder.current() is None
    note.write_text(good)
    environment.python.rename(environment.python.with_name("gone"))
    assert folder.state(("engine",)) is State.INCOMPLETE
    done(begin(iseg, folder))
    assert folder.state(("engine",)) is State.READY


# ---- What goes wrong ----

FAULTS = {
    "no Python": ({"managed": {"exit": 2, "says": "error: x"}, "venv": {"exit": 2, "says": "error: y"}}, "x"),
    "venv killed": ({"managed": {"kill": 1}, "venv": {"kill": 1}}, "signal 9"),
    "packages": (
        {"pip": {"exit": 2, "says": "error: failed to write: No space left on device (os error 28)"}},
        "Make room",
    ),
    "packages killed": ({"pip": {"kill": 1}}, "signal 9"),
}


@pytest.mark.parametrize("before", [False, True], ids=["first time", "repair"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_leaves_what_was_there(iseg, fake, folder, fault, before):
    State = iseg.folder.State
    if before:
        done(begin(iseg, folder))
    good = folder.current()
    plan, sentence = FAULTS[fault]
    fake.plan(**plan)
    failed(begin(iseg, folder), sentence)
    assert folder.current() == good
    assert folder.state(("engine",)) is (State.READY if before else State.INCOMPLETE)
    fake.plan()
    new = done(begin(iseg, folder)).environment
    assert folder.current().folder == new.folder and folder.state(("engine",)) is State.READY
    folder.tidy()
    assert sorted(path.name for path in folder.path.glob("env-*")) == [new.folder.name, new.folder.name + ".json"]


def test_an_engine_that_does_not_run_is_never_ready(iseg, fake, folder):
    def check(python, job):
        raise iseg.core.EngineError("PyTorch does not load. Repair.")

    failed(begin(iseg, folder, check=check), "PyTorch does not load")
    assert folder.state(("engine",)) is iseg.folder.State.INCOMPLETE


@pytest.mark.parametrize("before", [False, True], ids=["first time", "repair"])
def test_damaged_packages_are_not_used_again(iseg, fake, folder, before):
    """They are the same bytes on the disk as those of the environment: what damages one damages the other."""
    if before:
        done(begin(iseg, folder))
    good, packages, interpreter = folder.current(), folder.cache() / "torch", folder.path / "python" / "cpython"
    for path in (packages, interpreter):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("damaged")

    def check(python, job):
        if packages.exists():
            raise iseg.core.EngineError("PyTorch does not load.")
        return REPORT

    failed(begin(iseg, folder, check=check), "PyTorch does not load.", *["press Remove, then Install"] * before)
    assert folder.current() == good
    assert interpreter.exists() == before  # the environment that is in use runs on it
    done(begin(iseg, folder, check=check))
    assert folder.state(("engine",)) is iseg.folder.State.READY


def test_a_cancelled_test_keeps_what_has_arrived(iseg, fake, folder):
    def check(python, job):
        (folder.cache() / "torch").parent.mkdir(parents=True)
        (folder.cache() / "torch").write_text("whole")
        raise iseg.core.Cancelled("Stopped.")

    failed(begin(iseg, folder, check=check), "Stopped")
    assert (folder.cache() / "torch").exists()


def test_a_note_that_cannot_be_written(iseg, fake, folder, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(iseg.folder, "atomic_write", full)
    failed(begin(iseg, folder), "The disk is full", ".json")
    assert folder.state(("engine",)) is iseg.folder.State.INCOMPLETE


def test_a_system_python_is_accepted_where_none_can_be_fetched(iseg, fake, folder):
    fake.plan(managed={"exit": 2, "says": "error: no network"})
    done(begin(iseg, folder))
    assert [call["step"] for call in fake.calls()] == ["managed", "venv", "pip"]
    assert fake.calls()[1]["arguments"][-3:] == ["--no-managed-python", "--python", ">=3.11,<3.14"]


@pytest.mark.parametrize("step", ["managed", "pip"])
def test_cancel_ends_uv_and_its_children(iseg, fake, folder, step):
    fake.plan(**{step: {"hang": 1}})
    job = begin(iseg, folder)
    until(lambda: any(call["step"] == step for call in fake.calls()))
    call = fake.calls()[-1]
    assert alive(call["pid"]) and alive(call["child"])
    job.cancel()
    job.wait()
    assert type(job.error) is iseg.core.Cancelled
    until(lambda: not alive(call["pid"]) and not alive(call["child"]))
    assert folder.state(("engine",)) is iseg.folder.State.INCOMPLETE and not folder.is_held()
    fake.plan()
    done(begin(iseg, folder))


def test_cancel_during_the_test(iseg, fake, folder):
    testing = threading.Event()

    def check(python, job):
        testing.set()
        while True:
            job.check()
            time.sleep(0.01)

    job = begin(iseg, folder, check=check)
    testing.wait()
    job.close()
    assert job.ended and type(job.error) is iseg.core.Cancelled
    assert folder.state(("engine",)) is iseg.folder.State.INCOMPLETE


KILLED = """
import importlib, sys
from pathlib import Path
from types import ModuleType
package = ModuleType("iseg_unpacked")
package.__path__ = [sys.argv[1]]
sys.modules["iseg_unpacked"] = package
folder, job, make = (importlib.import_module(f"iseg_unpacked.environment.{name}") for name in ("folder", "job", "make"))
place = folder.Folder(Path(sys.argv[2]), {"engine": Path(sys.argv[3])}, "1.0.0")
order = make.Order(("engine",), lambda python, job: {})
job.Job(lambda job: make.make(place, order, job)).wait()
"""


@pytest.mark.parametrize("step", ["managed", "pip"])
def test_killed_in_the_middle(iseg, fake, folder, step):
    """Blender is killed while uv works on: the state says incomplete, a repair works at once, beside the old uv."""
    fake.plan(**{step: {"hang": 1}})
    arguments = [str(iseg.place), str(folder.path), str(folder.locks["engine"])]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *arguments])
    until(lambda: any(call["step"] == step for call in fake.calls()))
    assert folder.is_held()
    failed(begin(iseg, folder), "Another Blender is making")
    process.send_signal(signal.SIGKILL)
    process.wait()
    orphan = fake.calls()[-1]
    try:
        assert alive(orphan["pid"]) and not folder.is_held()
        assert folder.state(("engine",)) is iseg.folder.State.INCOMPLETE
        fake.plan()
        made = done(begin(iseg, folder)).environment
        assert folder.state(("engine",)) is iseg.folder.State.READY
        assert made.folder.name not in " ".join(orphan["arguments"])  # which may still write where it was told to
    finally:
        os.kill(orphan["pid"], signal.SIGKILL)
        os.kill(orphan["child"], signal.SIGKILL)


DIES = KILLED.replace(
    "job.Job(lambda",
    """
import os
reports, report = [], job.Job.report
def counted(self, stage, fraction):
    report(self, stage, fraction)
    reports.append(stage)
    if len(reports) == int(sys.argv[4]):
        os._exit(9)
job.Job.report = counted
job.Job(lambda""",
)


def test_an_end_at_any_moment(iseg, fake, folder, tmp_path):
    """Blender ends at the first, second, third... report of how far it is, until there is no such report any more."""
    State, stages = iseg.folder.State, 0
    while True:
        place = iseg.folder.Folder(tmp_path / str(stages) / "engine", folder.locks, "1.0.0")
        arguments = [str(iseg.place), str(place.path), str(place.locks["engine"]), str(stages + 1)]
        code = subprocess.run([sys.executable, "-c", DIES, *arguments]).returncode
        if code == 0:
            break
        assert code == 9 and place.state(("engine",)) in (State.NOT_MADE, State.INCOMPLETE)
        assert place.current() is None and not place.is_held()
        done(begin(iseg, place))
        assert place.state(("engine",)) is State.READY
        stages += 1
    assert stages >= 3 and place.state(("engine",)) is State.READY


def test_a_full_disk_is_said_before_anything_begins(iseg, fake, folder, monkeypatch):
    usage = SimpleNamespace(free=int(1e9))
    monkeypatch.setattr(iseg.make.shutil, "disk_usage", lambda path: usage)
    failed(begin(iseg, folder), "1.0 GB left", "Make room")
    assert not fake.calls()


def test_a_folder_that_cannot_be_made(iseg, fake, folder):
    folder.path.parent.write_text("a file where the folder should be")
    failed(begin(iseg, folder), "cannot be read or written")
    assert folder.state(("engine",)) is iseg.folder.State.NOT_MADE


@pytest.mark.parametrize("number", [13, 30, 1])
def test_a_folder_that_may_not_be_written_to(iseg, fake, folder, monkeypatch, number):
    def refuse(self, *arguments, **keywords):
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(iseg.folder.Path, "mkdir", refuse)
    failed(begin(iseg, folder), "Give yourself the right to write there", str(folder.path))


# ---- What uv runs with ----


def test_nothing_of_the_host_leaks(iseg, fake, folder, monkeypatch, tmp_path):
    own = tmp_path / "blender" / "python"
    (own / "bin").mkdir(parents=True)
    kept = {
        "HTTPS_PROXY": "http://proxy:1",
        "SSL_CERT_FILE": "/company.pem",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_INDEX_MIRROR_PASSWORD": "x",
        "UV_FIND_LINKS": "/wheels",
    }
    dropped = (
        "PYTHONPATH PYTHONHOME CONDA_PREFIX VIRTUAL_ENV UV_SYSTEM_PYTHON UV_PYTHON UV_CONSTRAINT UV_TARGET".split()
    )
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    for name in dropped:
        monkeypatch.setenv(name, "astray")
    monkeypatch.setenv("UV_CACHE_DIR", "/elsewhere")
    monkeypatch.setenv("PATH", f"{own / 'bin'}{os.pathsep}{os.environ['PATH']}")
    # The interpreter of the uv that is fake must survive PYTHONHOME until it is dropped: it is asked for its version.
    monkeypatch.delenv("PYTHONHOME")
    done(begin(iseg, folder, own_python=own))
    for call in fake.calls():
        environment = call["environment"]
        assert kept.items() <= environment.items()
        assert not set(dropped) & set(environment)
        assert environment["UV_TORCH_BACKEND"] == "auto"
        assert Path(environment["UV_CACHE_DIR"]).is_relative_to(folder.path)
        assert Path(environment["UV_PYTHON_INSTALL_DIR"]).is_relative_to(folder.path)
        assert str(own / "bin") not in environment["PATH"].split(os.pathsep)


@pytest.mark.parametrize("chosen, expected", [("cpu", "cpu"), ("", None)])
def test_the_users_torch_backend(iseg, fake, folder, monkeypatch, chosen, expected):
    monkeypatch.setenv("UV_TORCH_BACKEND", chosen)
    done(begin(iseg, folder))
    assert all(call["environment"].get("UV_TORCH_BACKEND") == expected for call in fake.calls())


def test_packages_for_another_torch_are_not_kept(iseg, fake, folder):
    done(begin(iseg, folder))
    first = folder.cache()
    (first / ".tmp123" / "half").mkdir(parents=True)
    (first / "archive-v0").mkdir()
    folder.tidy()
    assert [path.name for path in first.iterdir()] == ["archive-v0"]
    folder.locks["engine"].write_text("numpy==1\ntorch==2.14.0\n")
    done(begin(iseg, folder))
    folder.tidy()
    assert not first.exists() and folder.cache() != first


# ---- Removing ----


def test_remove(iseg, fake, folder):
    done(begin(iseg, folder))
    (folder.path / "mine.txt").write_text("the user's")
    fake.plan(pip={"exit": 1})
    failed(begin(iseg, folder), "uv failed")
    job = iseg.job.Job(lambda job: iseg.make.remove(folder, job))
    done(job)
    assert folder.state(("engine",)) is iseg.folder.State.NOT_MADE and folder.is_empty()
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "mine.txt"]


def test_an_interrupted_removal_leaves_nothing_that_is_ready(iseg, fake, folder):
    environment = done(begin(iseg, folder)).environment
    steps = folder.remove()
    next(steps)
    next(steps)  # the note has gone
    assert environment.python.exists() and folder.state(("engine",)) is iseg.folder.State.INCOMPLETE
    done(begin(iseg, folder))


def test_what_cannot_be_removed_is_said(iseg, fake, folder, monkeypatch):
    done(begin(iseg, folder))

    def refuse(path, **keywords):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(iseg.folder.shutil, "rmtree", refuse)
    failed(iseg.job.Job(lambda job: iseg.make.remove(folder, job)), "end what uses its files", "env-")
    assert folder.state(("engine",)) is iseg.folder.State.INCOMPLETE


# ---- uv itself ----


class Index:
    """A package index on this machine that offers a wheel of uv, and misbehaves."""

    def __init__(self, wheel: bytes, file: str):
        self.wheel, self.file, self.asked, self.kind = wheel, file, [], "json"
        self.cut: int | None = None
        self.silent = threading.Event()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked.append(self.path)
                owner.answer(self)
                self.close_connection = True

            def log_message(self, format, *args):
                pass

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.web.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.web.server_address[1]}/simple"
        self.thread = threading.Thread(target=self.web.serve_forever, args=(0.02,))
        self.thread.start()

    def answer(self, handler: Any) -> None:
        kind, body, begin = "application/octet-stream", self.wheel, 0
        if handler.path == "/simple/uv/":
            if self.kind == "silent":
                self.silent.wait(30)
                return None
            if self.kind == "404":
                return handler.send_error(404)
            listed = {"name": "uv", "files": [{"url": f"../../files/{self.file}#sha256=0", "filename": self.file}]}
            pages = {
                "json": ("application/vnd.pypi.simple.v1+json", json.dumps(listed)),
                "html": (
                    "text/html",
                    f'<a href="/other.whl">o</a><a href="/files/{self.file}#sha256=0">{self.file}</a>',
                ),
                "empty": ("text/html", "<html></html>"),
                "junk": ("application/vnd.pypi.simple.v1+json", "{}"),
            }
            kind, text = pages[self.kind]
            body = text.encode()
        elif handler.headers.get("Range"):
            begin = int(handler.headers["Range"].removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.end_headers()
        cut, self.cut = (self.cut, None) if body is self.wheel else (None, self.cut)
        handler.wfile.write(body[begin : begin + cut if cut is not None else None])


@pytest.fixture
def index(iseg, fake, monkeypatch, tmp_path) -> Any:
    """No uv on the PATH, and the fake one in a wheel of the index."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"uv-{iseg.uv.VERSION}.data/scripts/uv", fake.program.read_bytes())
        archive.writestr("padding", os.urandom(200_000))
    fake.program.unlink()
    empty = tmp_path / "nothing"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    content = buffer.getvalue()
    wheel = iseg.uv.Wheel("any", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(iseg.uv.platform, "system", lambda: "Plan9")
    monkeypatch.setattr(iseg.uv.platform, "machine", lambda: "vax")
    monkeypatch.setitem(iseg.uv.WHEELS, ("Plan9", "vax"), wheel)
    monkeypatch.setattr(sys.modules["iseg_unpacked.iseg_core.transfer"], "PAUSE", 0.0)
    server = Index(content, wheel.file)
    monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
    monkeypatch.setenv("UV_OFFLINE", "0")  # so that it is restored after a test that sets it
    yield server
    server.silent.set()
    server.web.shutdown()
    server.thread.join()
    server.web.server_close()


@pytest.mark.parametrize("kind", ["json", "html"])
def test_uv_is_fetched_checked_and_kept(iseg, fake, folder, index, kind):
    index.kind = kind
    done(begin(iseg, folder))
    assert index.asked == ["/simple/uv/", f"/files/{index.file}"]
    assert [path.name for path in (folder.path / "uv" / iseg.uv.VERSION).iterdir()] == ["uv"]
    done(begin(iseg, folder))
    assert len(index.asked) == 2


def test_a_kept_uv_that_does_not_run_is_fetched_again(iseg, fake, folder, index, monkeypatch):
    done(begin(iseg, folder))
    kept = folder.path / "uv" / iseg.uv.VERSION / "uv"
    for spoil in (lambda: kept.chmod(0o644), lambda: kept.write_text("#!/nowhere\n")):
        spoil()
        asked = len(index.asked)
        done(begin(iseg, folder))
        assert len(index.asked) == asked + 2 and os.access(kept, os.X_OK)


def test_a_uv_that_is_kept_could_be_run_from_its_first_moment(iseg, fake, folder, index, monkeypatch):
    replace, modes = os.replace, []
    monkeypatch.setattr(
        os, "replace", lambda a, b: (modes.append((Path(b).name, os.access(a, os.X_OK))), replace(a, b))
    )
    done(begin(iseg, folder))
    assert ("uv", True) in modes


def test_an_index_with_a_name(iseg, fake, folder, index, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"company={index.url}/")
    done(begin(iseg, folder))


def test_uv_on_a_connection_that_breaks(iseg, fake, folder, index):
    index.cut = 70_000
    done(begin(iseg, folder))
    assert len(index.asked) == 3


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda index: setattr(index, "wheel", index.wheel[:-1] + b"x"), "is not the official file"),
        (lambda index: setattr(index, "wheel", index.wheel + b"x"), "does not offer the official file"),
        (lambda index: setattr(index, "kind", "404"), "404"),
        (lambda index: setattr(index, "kind", "empty"), "does not offer uv-"),
        (lambda index: setattr(index, "kind", "junk"), "does not answer as a package index does"),
        (lambda index: os.environ.update(UV_DEFAULT_INDEX="http://127.0.0.1:9/simple"), "cannot be reached"),
        (lambda index: os.environ.update(UV_DEFAULT_INDEX="http://example.com/simple"), "over HTTPS only"),
        (lambda index: os.environ.update(UV_OFFLINE="1"), "UV_OFFLINE forbids"),
        (
            lambda index: os.environ.update(UV_DEFAULT_INDEX="https://me:secret@example.com/simple"),
            "asks for a password",
        ),
    ],
    ids=["hash", "length", "404", "not there", "no index", "nobody there", "no HTTPS", "offline", "password"],
)
def test_a_uv_that_is_not_the_right_one_never_runs(iseg, fake, folder, index, spoil, words):
    spoil(index)
    job = begin(iseg, folder)
    failed(job, words, "install uv yourself")
    assert "secret" not in str(job.error)
    assert not fake.calls() and not list(folder.path.glob("uv/*/uv"))
    assert folder.state(("engine",)) is iseg.folder.State.NOT_MADE


def test_a_damaged_beginning_of_uv_is_fetched_again(iseg, fake, folder, index):
    part = folder.path / "uv" / iseg.uv.VERSION / (index.file + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    done(begin(iseg, folder))


def test_cancel_while_the_index_is_silent(iseg, fake, folder, index):
    index.kind = "silent"
    job = begin(iseg, folder)
    until(lambda: index.asked)
    job.close()
    assert job.ended and type(job.error) is iseg.core.Cancelled


def test_no_uv_for_this_platform(iseg, fake, folder, index, monkeypatch):
    monkeypatch.delitem(iseg.uv.WHEELS, ("Plan9", "vax"))
    failed(begin(iseg, folder), "no uv to fetch for Plan9 vax", "choose an existing Python")


@pytest.mark.parametrize(
    "said, used", [("uv 0.13.9", True), ("uv 1.0.0 (abc)", True), ("uv 0.13.8", False), ("", False)]
)
def test_a_uv_on_the_path_is_used_if_it_is_new_enough(iseg, fake, said, used):
    fake.program.write_text(f"#!/bin/sh\necho '{said}'\n")
    assert (iseg.uv.on_path() == fake.program) is used


def test_the_table_of_wheels(iseg):
    assert len({wheel.sha256 for wheel in iseg.uv.WHEELS.values()}) == len(iseg.uv.WHEELS) == 6
    for wheel in iseg.uv.WHEELS.values():
        assert len(wheel.sha256) == 64 and 14e6 < wheel.bytes < 18e6 and wheel.file.startswith(f"uv-{iseg.uv.VERSION}-")


# ---- What is said ----

# What uv 0.13.9 printed when these things were done to it.
DNS = """error: Request failed after 3 retries in 8.8s
  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/
  cause: error sending request for url (https://download.pytorch.org/whl/cpu/torch/)
  cause: client error (Connect)
  cause: dns error"""
SAID = [
    (DNS, "UV_TORCH_BACKEND"),
    (DNS.replace("download.pytorch.org", "pypi.org"), "pypi.org cannot be reached"),
    (DNS.replace("https://", "https://me:secret@").replace("download.pytorch.org", "a.b"), "a.b cannot be reached"),
    (
        "error: Failed to download `scipy==1.17.1`\n  cause: failed to write to file `/tmp/x`: No space left on device "
        "(os error 28)",
        "The disk is full",
    ),
    (
        "error: No solution found when resolving dependencies\n  cause: Because pywin32==306 has no wheels with a "
        "matching platform tag (e.g., `manylinux_2_36_x86_64`) and you require pywin32==306",
        "There is no build of pywin32",
    ),
    (
        "error: No solution found when resolving dependencies\n  cause: Because antlr4-python3-runtime==4.9.3 has no "
        "usable wheels and you require",
        "There is no build of antlr4-python3-runtime",
    ),
    (
        "error: No solution found when resolving dependencies\n  cause: Because there is no version of numpy==99.1 and",
        "does not offer numpy",
    ),
    ("  cause: Because numpy was not found in the package registry and you require", "does not offer numpy"),
    (
        "error: Failed to fetch: https://localhost:8443/simple/numpy/\n  cause: invalid peer certificate: "
        "Other(OtherError(CaUsedAsEndEntity))",
        "certificate of localhost is not trusted",
    ),
    ("error: No interpreter found for Python >=3.11,<3.14 in search path", "Install one from python.org"),
    ("error: Failed to download `x`\n  cause: Hash mismatch for `x`", "was not installed"),
    ("error: failed to create directory `/x`: Permission denied (os error 13)", "right to write"),
    ("error: failed to create file `/x`: Read-only file system (os error 30)", "right to write"),
    ("error: Failed to fetch: https://a.b/c\n  cause: HTTP status client error (403 Forbidden)", "a.b refuses access"),
    ("error: something new", "It said: something new"),
    ("", "does not know"),
]


@pytest.mark.parametrize("output, words", SAID)
def test_every_failure_is_a_sentence(iseg, output, words):
    said = iseg.says.explain(output)
    assert words in said and "secret" not in said
    assert "then try again" in said or any(word in said for word in ("choose", "another network", "try again"))


def test_how_much_has_arrived(iseg):
    downloads = iseg.uv.Downloads()
    assert downloads.fraction(1000) == 0.0
    for line in ("Resolved 21 packages in 1s", "Downloading torch (200.0MiB)", "Downloading x (100.0MiB)"):
        downloads.hear(line)
    assert downloads.total == 300 * 2**20 and downloads.fraction(0) == 0.0
    assert downloads.fraction(180 * 2**20) == pytest.approx(100 / 300)
    downloads.hear(" Downloaded torch")
    assert downloads.fraction(0) == pytest.approx(200 / 300)
    downloads.hear("Downloading cpython-3.11.18-linux-x86_64-gnu (download) (28.4MiB)")
    assert downloads.total == pytest.approx(328.4 * 2**20)


def test_progress_never_goes_back(iseg, fake, folder):
    fake.plan(
        pip={"says": "Resolved 2 packages\nDownloading torch (200.0MiB)\n Downloaded torch\nDownloading x (9GiB)"}
    )
    seen = []

    def work(job):
        inner, job.report = job.report, lambda stage, fraction: (inner(stage, fraction), seen.append(job.progress))
        order = iseg.make.Order(("engine",), lambda python, job: REPORT)
        return iseg.make.make(folder, order, job)

    done(iseg.job.Job(work))
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions) and "Getting packages (210 MB)" in {progress.stage for progress in seen}


# ---- The engine's test of itself ----


def test_the_report_of_an_engine(iseg, tmp_path):
    command, environment = iseg.engine.local_command(sys.executable, str(iseg.place))
    report = iseg.selftest.test(command, environment | {"OMP_NUM_THREADS": "1"}, tmp_path / "log", lambda: None)
    assert report["click"] > 0
    lines = iseg.selftest.words(report, managed=True)
    assert "torch 2." in lines[0].text and "cpu" in lines[1].text and "geometric" in lines[-1].text
    assert not [line for line in lines if line.good is False]


def test_a_folder_that_blender_works_in_changes_nothing(iseg, tmp_path, monkeypatch):
    (tmp_path / "iseg_core").mkdir()
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command, environment = iseg.engine.local_command(sys.executable, str(iseg.place))
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
    texts = {line.text: line.good for line in iseg.selftest.words(report, managed=True)}
    assert texts["scipy: missing. Press Repair."] is False
    assert (
        texts["torchvision: missing. Only the SAM teachers need it: tick With Segment Anything and press Repair."]
        is None
    )
    assert texts["Teachers at hand: none; not at hand: geometric"] is False
    assert any("Get it: pip." in line.text for line in iseg.selftest.words(report, managed=False))
    conversation = iseg.selftest.examining()
    next(conversation)
    with pytest.raises(StopIteration):  # no click is tried
        conversation.send(iseg.engine.Reply(report, {}))


def test_an_engine_that_dies(iseg, tmp_path):
    with pytest.raises(iseg.core.EngineError, match="last words"):
        iseg.selftest.test([*FAKE, "dies"], {}, tmp_path / "log", lambda: None)


def test_a_test_that_is_cancelled(iseg, tmp_path):
    def stop():
        raise iseg.core.Cancelled("Stopped.")

    with pytest.raises(iseg.core.Cancelled):
        iseg.selftest.test([*FAKE, "silent"], {}, tmp_path / "log", stop)
