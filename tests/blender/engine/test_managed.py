"""The managed environment from Blender's side: operators, what the preferences show, weights. uv is a fake one."""

import http.server
import importlib
import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest
from support.blender.extension import MODULE, answers_of, running_of
from support.engine_weights import SIZE, content

SUPPORT = Path(__file__).resolve().parents[2] / "support"


def until(condition: Callable[[], Any]) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never happens"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process that we have started, and collect at its end, runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def managed(empty, engine, monkeypatch, tmp_path) -> Any:
    """The extension as it is when it has just been installed, in a Blender that may go online, with a fake uv."""
    python = shlex.split(engine)[0]
    program = tmp_path / "uv"
    program.write_text(f"#!{python}\n" + (SUPPORT / "uv_fake.py").read_text())
    program.chmod(0o755)
    monkeypatch.delenv("ISEG_ENGINE")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_UV", str(tmp_path))
    monkeypatch.setenv("FAKE_PYTHON", python)
    bpy.context.preferences.system.use_online_access = True
    empty.plan = lambda **steps: (tmp_path / "plan").write_text(json.dumps(steps))
    empty.calls = lambda: [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    empty.plan()
    empty.session.SESSION.restart()
    yield empty
    sys.modules[MODULE].engine.managed.Managed.current().close()
    if not sys.modules[MODULE].engine.managed.folder().is_empty():
        bpy.ops.iseg.environment_remove()
    empty.engine.choice.preferences().sam = False
    empty.session.SESSION.restart()


def refused(operator: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        operator()


def test_install_use_repair_remove(managed):
    EnvironmentState, ops = managed.engine.managed.EnvironmentState, bpy.ops.iseg
    assert (
        managed.engine.choice.preferences().choice == "MANAGED"
        and managed.engine.managed.examine()[1] is EnvironmentState.NOT_MADE
    )
    refused(ops.environment_repair, "nothing to repair yet: press Install")
    refused(ops.environment_remove, "nothing to remove")
    refused(ops.environment_cancel, "Nothing is being made")
    assert ops.environment_install() == {"FINISHED"}
    assert managed.engine.managed.examine()[1] is EnvironmentState.READY and running_of(managed).checkup["click"] > 0
    refused(ops.environment_install, "It is installed. Repair makes it anew")

    bpy.ops.mesh.primitive_monkey_add()
    ops.click_add(vertex=10)
    ops.to_vertex_group()
    place = managed.engine.managed.folder().path
    assert Path(managed.engine.running.engine().command[0]).is_relative_to(place)
    old, first = managed.engine.running.engine().about["pid"], managed.engine.managed.examine()[0].folder
    assert ops.environment_repair() == {"FINISHED"}
    assert not first.exists() and not alive(old)
    answers_of(managed).answers.clear()
    ops.to_vertex_group(name="Again")
    running = managed.engine.running.engine().about["pid"]
    assert running != old
    assert ops.environment_remove() == {"FINISHED"}
    assert not alive(running) and managed.engine.managed.examine()[1] is EnvironmentState.NOT_MADE
    assert [path.name for path in place.iterdir()] == ["lock"]
    answers_of(managed).answers.clear()
    refused(ops.to_vertex_group, "environment is not made. Open Edit > Preferences > Add-ons > iSeg and press Install")


def test_only_online_and_when_asked(managed):
    bpy.context.preferences.system.use_online_access = False
    refused(bpy.ops.iseg.environment_install, "allow online access in Edit > Preferences > System > Network")
    assert not managed.engine.managed.folder().path.exists() or managed.engine.managed.folder().is_empty()


def test_a_failure_is_said_and_repaired(managed):
    managed.plan(pip={"exit": 2, "says": "error: failed to write: No space left on device (os error 28)"})
    refused(bpy.ops.iseg.environment_install, "The disk is full. Make room")
    assert managed.engine.managed.examine()[1] is managed.engine.managed.EnvironmentState.INCOMPLETE
    shown = draw(managed)
    assert shown.has("Incomplete: it was interrupted") and shown.has("The disk is full")
    refused(bpy.ops.iseg.check_engine, "environment is incomplete. .* press Repair")
    managed.plan()
    bpy.ops.iseg.environment_repair()
    assert (
        managed.engine.managed.examine()[1] is managed.engine.managed.EnvironmentState.READY
        and managed.engine.managed.Managed.current().problem == ""
    )


def test_sam_is_a_part_that_can_be_wished_for(managed):
    bpy.ops.iseg.environment_install()
    managed.engine.choice.preferences().sam = True
    assert managed.engine.managed.examine()[1] is managed.engine.managed.EnvironmentState.OUT_OF_DATE
    assert draw(managed).has("Out of date")
    bpy.ops.iseg.environment_repair()
    arguments = managed.calls()[-1]["arguments"]
    assert [Path(argument).name for argument in arguments if argument.endswith(".lock")] == ["engine.lock", "sam.lock"]
    assert managed.engine.managed.examine()[1] is managed.engine.managed.EnvironmentState.READY


def test_an_engine_at_work_is_not_disturbed_by_a_repair(managed, monkeypatch):
    """As in a window, where a timer looks at the work: the old environment goes when its engine has nothing to do."""
    bpy.ops.iseg.environment_install()
    bpy.ops.iseg.check_engine()
    old, engine = managed.engine.managed.examine()[0].folder, managed.engine.running.engine()
    monkeypatch.setattr(type(engine), "busy", True)
    managed.engine.installing.install().wait()
    running = engine.about["pid"]
    assert managed.engine.installing.watch() == managed.engine.installing.WATCH
    assert old.exists() and alive(running)
    monkeypatch.setattr(type(engine), "busy", False)
    assert managed.engine.installing.watch() is None
    until(lambda: not old.exists())
    assert not alive(running) and managed.engine.managed.examine()[1] is managed.engine.managed.EnvironmentState.READY


@pytest.mark.parametrize(
    "program, prefix, own",
    [
        ("/opt/blender/blender", "/opt/blender/4.2/python", True),
        ("/Blender.app/Contents/MacOS/Blender", "/Blender.app/Contents/Resources/4.2/python", True),
        ("/usr/bin/blender", "/usr", False),  # a distribution's Blender runs on the system's Python
        ("", "/home/me/.venv", False),  # Blender as a module
    ],
)
def test_blenders_own_python_is_known(empty, monkeypatch, program, prefix, own):
    monkeypatch.setattr(empty.engine.installing, "bpy", SimpleNamespace(app=SimpleNamespace(binary_path=program)))
    monkeypatch.setattr(empty.engine.installing, "sys", SimpleNamespace(prefix=prefix))
    assert empty.engine.installing.own_python() == (Path(prefix) if own else None)


def test_cancel(managed):
    """As in a window: the operator's work has begun, and Cancel is pressed."""
    managed.plan(pip={"hang": 1})
    managed.engine.installing.install()
    until(lambda: (Path(os.environ["FAKE_UV"]) / "calls").exists() and managed.calls()[-1]["step"] == "pip")
    refused(bpy.ops.iseg.environment_install, "being made or removed already")
    shown = draw(managed)
    assert shown.has("Getting packages") and managed.names.ENVIRONMENT_CANCEL in shown.operators
    assert bpy.ops.iseg.environment_cancel() == {"FINISHED"}
    managed.engine.installing.wait()
    until(lambda: not alive(managed.calls()[-1]["pid"]))
    assert (
        managed.engine.managed.Managed.current().problem == ""
        and managed.engine.managed.examine()[1] is managed.engine.managed.EnvironmentState.INCOMPLETE
    )


def test_disabling_the_extension_cancels_what_is_under_way(managed):
    managed.plan(pip={"hang": 1})
    job = managed.engine.installing.install()
    until(lambda: (Path(os.environ["FAKE_UV"]) / "calls").exists() and managed.calls()[-1]["step"] == "pip")
    bpy.ops.preferences.addon_disable(module=MODULE)
    assert job.ended and not [name for name in dir(bpy.types) if name.lower().startswith("iseg")]
    until(lambda: not alive(managed.calls()[-1]["pid"]))
    bpy.ops.preferences.addon_enable(module=MODULE)
    assert sys.modules[MODULE].engine.managed.examine()[1].value == "incomplete"


# ---- What the preferences show ----


class Shown:
    """A layout that remembers what it was given, and knows only what Blender knows."""

    def __init__(self):
        self.texts: list[str] = []
        self.operators: list[str] = []
        self.properties: list[str] = []

    def row(self, **settings):
        return self

    column = box = row

    def label(self, text="", icon="NONE"):
        self.texts.append(text)

    def prop(self, data, name, **settings):
        assert name in data.bl_rna.properties
        self.properties.append(name)

    def progress(self, factor=0.0, text=""):
        assert 0.0 <= factor <= 1.0
        self.texts.append(text)

    def operator(self, name, text="", icon="NONE"):
        getattr(bpy.ops.iseg, name.partition(".")[2]).get_rna_type()
        self.operators.append(name)
        return SimpleNamespace()

    def has(self, words: str) -> bool:
        return words in " ".join(self.texts)


def draw(iseg: Any) -> Shown:
    """What the preferences show now."""
    context = SimpleNamespace(preferences=bpy.context.preferences, region=SimpleNamespace(width=900))
    panel: Any = importlib.import_module(f"{MODULE}.ui.preferences")
    shown = Shown()
    try:
        panel.bpy = SimpleNamespace(context=context)
        panel.draw(iseg.engine.choice.preferences(), shown)
    finally:
        panel.bpy = bpy
    return shown


def test_the_choice_is_seen(managed, monkeypatch):
    preferences = managed.engine.choice.preferences()
    shown = draw(managed)
    assert shown.properties == ["choice", "sam"] and shown.has("Not made yet. Install downloads")
    names = managed.names
    assert {names.ENVIRONMENT_INSTALL, names.ENVIRONMENT_REPAIR, names.ENVIRONMENT_REMOVE} <= set(shown.operators)
    assert shown.has("SAM ViT-B, 375 MB, licence Apache-2.0") and shown.has("SAM ViT-H, 2.6 GB")
    preferences.choice = "PYTHON"
    shown = draw(managed)
    assert shown.properties == ["choice", "python"] and shown.has("No Python is named yet")
    preferences.choice = "COMMAND"
    assert draw(managed).properties == ["choice", "command"]
    preferences.choice = "MANAGED"
    monkeypatch.setenv("ISEG_ENGINE", "some command")
    assert draw(managed).has("The environment variable ISEG_ENGINE overrides the choice below: some command")
    assert managed.engine.choice.engine_command() == (["some", "command"], {})


def test_the_report_is_seen(managed):
    bpy.ops.iseg.environment_install()
    shown = draw(managed)
    assert shown.has("Environment: Ready, ") and shown.has("A click was answered in") and shown.has("torch 2.")
    assert shown.has("Teachers at hand: geometric")


# ---- Weights ----


class Files:
    """A server of files on this machine that can be made to stop in the middle of one."""

    def __init__(self):
        self.open = threading.Event()
        self.open.set()
        files = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = next((n for n in ("sam_vit_b", "sam_vit_l", "sam_vit_h") if n in self.path), "")
                body, asked = content(name), self.headers.get("Range")
                begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {begin}-{SIZE - 1}/{SIZE}")
                self.send_header("Content-Length", str(SIZE - begin))
                self.end_headers()
                self.wfile.write(body[begin : SIZE // 2])
                self.wfile.flush()
                files.open.wait(30)
                try:
                    self.wfile.write(body[max(begin, SIZE // 2) :])
                except OSError:
                    pass  # the engine hung up

            def log_message(self, format, *args):
                pass

        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.web.daemon_threads = True
        self.thread = threading.Thread(target=self.web.serve_forever, args=(0.02,))
        self.thread.start()


@pytest.fixture
def files(managed, engine, monkeypatch, tmp_path) -> Any:
    server = Files()
    address = f"http://127.0.0.1:{server.web.server_address[1]}/"
    program = [shlex.split(engine)[0], str(SUPPORT / "engine_weights.py"), address]
    monkeypatch.setenv("ISEG_ENGINE", shlex.join(program))
    monkeypatch.setenv("ISEG_CACHE", str(tmp_path / "cache"))
    yield server
    server.open.set()
    managed.session.SESSION.restart()
    server.web.shutdown()
    server.thread.join()
    server.web.server_close()


def test_weights_are_fetched_and_then_listed_as_here(managed, files, tmp_path):
    bpy.context.preferences.system.use_online_access = False
    refused(lambda: bpy.ops.iseg.fetch_weights(name="sam_vit_b"), "allow online access")
    bpy.context.preferences.system.use_online_access = True
    assert bpy.ops.iseg.fetch_weights(name="sam_vit_b") == {"FINISHED"}
    (path,) = (tmp_path / "cache" / "weights").glob("*.pth")
    assert path.read_bytes() == content("sam_vit_b")
    bpy.ops.iseg.check_engine()
    shown = draw(managed)
    assert shown.texts.count("On this machine") == 1
    assert shown.operators.count(managed.names.FETCH_WEIGHTS) == 2
    bpy.context.scene.iseg.teacher = "sam_vit_l"  # without a name: the chosen teacher's
    assert bpy.ops.iseg.fetch_weights() == {"FINISHED"}
    assert len(list((tmp_path / "cache" / "weights").glob("*.pth"))) == 2


def test_a_download_shows_how_far_it_is_and_can_be_stopped(managed, files, tmp_path):
    files.open.clear()
    running = running_of(managed)
    task = managed.engine.running.fetch("sam_vit_h")

    def halfway():
        running.engine.pump()
        return task.progress is not None and task.progress.fraction > 0.4

    until(halfway)
    shown = draw(managed)
    assert shown.has("Download") and managed.names.CANCEL_FETCH in shown.operators
    refused(lambda: bpy.ops.iseg.cancel_fetch(name="sam_vit_b"), "not being fetched")
    bpy.ops.iseg.cancel_fetch(name="sam_vit_h")
    assert task.ended and not running.fetches and "sam_vit_h" not in running.problems
    part = tmp_path / "cache" / "weights" / "sam_vit_h_4b8939.pth.part"
    assert part.stat().st_size == SIZE // 2
    files.open.set()
    time.sleep(0.3)  # the engine lets go of the file
    assert bpy.ops.iseg.fetch_weights(name="sam_vit_h") == {"FINISHED"}
    assert not part.exists() and part.with_suffix("").read_bytes() == content("sam_vit_h")
