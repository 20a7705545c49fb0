"""The engine's environment as the extension makes it, with a uv that fails in every way; without Blender or a network.

The modules under test are those of the zip, unpacked as Blender does it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.engine import alive, until
from support.environment import REPORT, begin, done, failed

# ---- How it stands ----


def test_made_from_nothing(iseg, fake, folder):
    State = iseg.folder.EnvironmentState
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
    State, Folder = iseg.folder.EnvironmentState, iseg.folder.Folder
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
    State = iseg.folder.EnvironmentState
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
    State = iseg.folder.EnvironmentState
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
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE


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
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.READY


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
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE


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
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE and not folder.is_held()
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
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE


KILLED = """
import importlib, sys
from pathlib import Path
from types import ModuleType
package = ModuleType("iseg_unpacked")
package.__path__ = [sys.argv[1]]
sys.modules["iseg_unpacked"] = package
rooms = "iseg_unpacked.engine.environment."
folder, job, make = (importlib.import_module(rooms + name) for name in ("folder", "job", "make"))
place = folder.Folder(Path(sys.argv[2]), {"engine": Path(sys.argv[3])}, "1.0.0")
order = make.Order(("engine",), lambda python, job: {})
job.EnvironmentJob(lambda job: make.make(place, order, job)).wait()
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
        assert folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE
        fake.plan()
        made = done(begin(iseg, folder)).environment
        assert folder.state(("engine",)) is iseg.folder.EnvironmentState.READY
        assert made.folder.name not in " ".join(orphan["arguments"])  # which may still write where it was told to
    finally:
        os.kill(orphan["pid"], signal.SIGKILL)
        os.kill(orphan["child"], signal.SIGKILL)


DIES = KILLED.replace(
    "job.EnvironmentJob(lambda",
    """
import os
reports, report = [], job.EnvironmentJob.report
def counted(self, stage, fraction):
    report(self, stage, fraction)
    reports.append(stage)
    if len(reports) == int(sys.argv[4]):
        os._exit(9)
job.EnvironmentJob.report = counted
job.EnvironmentJob(lambda""",
)


def test_an_end_at_any_moment(iseg, fake, folder, tmp_path):
    """Blender ends at the first, second, third... report of how far it is, until there is no such report any more."""
    State, stages = iseg.folder.EnvironmentState, 0
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
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.NOT_MADE


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
    job = iseg.job.EnvironmentJob(lambda job: iseg.make.remove(folder, job))
    done(job)
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.NOT_MADE and folder.is_empty()
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "mine.txt"]


def test_an_interrupted_removal_leaves_nothing_that_is_ready(iseg, fake, folder):
    environment = done(begin(iseg, folder)).environment
    steps = folder.remove()
    next(steps)
    next(steps)  # the note has gone
    assert environment.python.exists() and folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE
    done(begin(iseg, folder))


def test_what_cannot_be_removed_is_said(iseg, fake, folder, monkeypatch):
    done(begin(iseg, folder))

    def refuse(path, **keywords):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(iseg.folder.shutil, "rmtree", refuse)
    failed(iseg.job.EnvironmentJob(lambda job: iseg.make.remove(folder, job)), "end what uses its files", "env-")
    assert folder.state(("engine",)) is iseg.folder.EnvironmentState.INCOMPLETE
