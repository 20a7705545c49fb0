"""The extension in Blender: the zip, what it leaves behind, and an engine that fails."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import MagicMock

import bpy
import pytest
from support.blender.extension import MODULE, answers_of, running_of

import build

CLI = Path(bpy.utils.system_resource("SCRIPTS"), "addons_core", "bl_pkg", "cli", "blender_ext.py")


def test_blender_itself_finds_the_zip_valid(tmp_path):
    archive = build.extension(tmp_path)
    command = [sys.executable, "-I", str(CLI), "validate", str(archive)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_zip_is_the_same_every_time(tmp_path):
    first, second = (build.extension(tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    wanted = {"blender_manifest.toml", "__init__.py", "LICENSE", "iseg_core/engine/server.py"}
    assert wanted | {"requirements/engine.lock", "requirements/sam.lock"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.rpartition("/")[2].startswith("test")]


def test_nothing_is_added_to_the_search_path(iseg):
    folder = Path(iseg.__file__).parent
    assert not [entry for entry in sys.path if Path(entry).resolve() == folder.resolve()]
    own = [name for name in sys.modules if name.split(".")[0] == "iseg_core"]
    assert own == [] and f"{MODULE}.iseg_core" in sys.modules


def test_enabling_and_disabling_leaves_nothing_behind(empty):
    def ours():
        found = [name for name in dir(bpy.types) if name.lower().startswith("iseg")]
        handlers = []
        for kind in dir(bpy.app.handlers):
            entries = getattr(bpy.app.handlers, kind)
            if isinstance(entries, list):
                handlers += [h for h in entries if getattr(h, "__module__", "").startswith(MODULE)]
        properties = [t for t in (bpy.types.Object, bpy.types.Scene) if hasattr(t, "iseg")]
        return len(found), len(handlers), len(properties)

    before = ours()
    assert before[0] > 10 and before[1] >= 4 and before[2] == 2
    for _ in range(2):
        bpy.ops.preferences.addon_disable(module=MODULE)
        assert ours() == (0, 0, 0)
        bpy.ops.preferences.addon_enable(module=MODULE)
        assert ours() == before


@pytest.mark.parametrize(
    "choice, sentence",
    [
        ("MANAGED", "environment is not made. Open Edit > Preferences > Add-ons > iSeg and press Install"),
        ("PYTHON", "No Python is named yet. Open Edit > Preferences"),
        ("COMMAND", "No command is named yet. Open Edit > Preferences"),
    ],
)
def test_no_engine_is_said_before_anything_starts(empty, monkeypatch, choice, sentence):
    monkeypatch.delenv("ISEG_ENGINE", raising=False)
    empty.engine.choice.preferences().choice = choice
    bpy.ops.mesh.primitive_monkey_add()
    try:
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.iseg.train()
    finally:
        empty.engine.choice.preferences().choice = "MANAGED"


@pytest.mark.parametrize(
    "command, sentence",
    [
        ("/no/such/program", "cannot be started: /no/such/program"),
        (f"{sys.executable} -c 'print(1)'", "not iSeg's protocol"),
        (f"{sys.executable} -c 'raise SystemExit(5)'", "exit code 5"),
        ("'", "cannot be read"),
    ],
)
def test_an_engine_that_does_not_work_ends_in_a_sentence(empty, monkeypatch, command, sentence):
    monkeypatch.setenv("ISEG_ENGINE", command)
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.iseg.click_add(vertex=10)
    answers_of(empty).answers.clear()  # what is known needs no engine
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.iseg.to_vertex_group()
    obj = bpy.context.object
    assert len(obj.vertex_groups) == 0 and len(obj.iseg.parts[0].clicks) == 1


def test_a_killed_engine_starts_again(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group()
    os.kill(empty.engine.running.engine().about["pid"], 9)
    answers_of(empty).answers.clear()
    with pytest.raises(RuntimeError, match="signal 9"):
        for _ in range(100):  # until the end of the process has been noticed
            answers_of(empty).answers.clear()
            bpy.ops.iseg.to_vertex_group()
    assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"}


def test_the_preferences_choose_the_engine(empty, engine, monkeypatch):
    """An existing Python runs the bundled iseg_core: no package of that name need be installed there."""
    monkeypatch.delenv("ISEG_ENGINE")
    preferences = empty.engine.choice.preferences()
    preferences.choice, preferences.python = "PYTHON", engine.split()[0]
    command, environment = empty.engine.choice.engine_command()
    folder = Path(empty.__file__).parent
    assert command == [engine.split()[0], "-m", "iseg_core", "engine"] and Path(environment["PYTHONPATH"]) == folder
    bpy.ops.iseg.check_engine()
    assert {teacher["name"] for teacher in running_of(empty).checkup["teachers"]} >= {
        "geometric",
        "sam_vit_b",
    }
    assert running_of(empty).checkup["click"] > 0
    preferences.choice, preferences.command = "COMMAND", "ssh gpu 'my python' -m iseg_core engine"
    assert empty.engine.choice.engine_command() == (["ssh", "gpu", "my python", "-m", "iseg_core", "engine"], {})
    preferences.choice, preferences.python, preferences.command = "MANAGED", "", ""


def test_a_self_test_is_not_begun_twice_nor_the_cache_cleared_under_a_training(empty, engine, monkeypatch):
    monkeypatch.setitem(running_of(empty).trainings, "a mesh", object())
    with pytest.raises(RuntimeError, match="A mesh is being trained: wait for it, or cancel it"):
        bpy.ops.iseg.clear_cache()
    task = empty.operators.engine.check()
    with pytest.raises(RuntimeError, match="It is under way"):
        bpy.ops.iseg.check_engine()
    empty.engine.running.engine().wait(task)
    assert bpy.ops.iseg.check_engine() == {"FINISHED"}


def test_a_teacher_that_lacks_something_is_not_begun(empty, engine):
    """As the last self-test has it; before one, nobody knows."""
    bpy.ops.mesh.primitive_monkey_add()
    settings, weights = bpy.context.scene.iseg, {"topic": "weights sam_vit_b", "value": "missing.", "remedy": "Fetch."}
    packages = {"topic": "torchvision", "value": "missing.", "remedy": "Get it."}
    settings.teacher = "sam_vit_b"
    running_of(empty).checkup["findings"] = [weights]
    with pytest.raises(RuntimeError, match="weights of this teacher are not here: press Fetch Weights"):
        bpy.ops.iseg.train()
    running_of(empty).checkup["findings"] = [packages, weights]
    with pytest.raises(RuntimeError, match="torchvision: missing. Get it. Then press Self-Test"):
        bpy.ops.iseg.train()
    problem = empty.engine.selftest.teacher_problem
    assert "tick With Segment Anything" in problem(running_of(empty).checkup, "sam_vit_b", True)
    assert problem(running_of(empty).checkup, "geometric", True) == problem({}, "sam_vit_b", True) == ""
    assert problem({"findings": [weights]}, "sam_vit_l", True) == ""
    running_of(empty).checkup.clear()


@pytest.mark.parametrize("here", [True, False])
def test_the_sidebar_says_where_the_weights_are(empty, here):
    finding = {"topic": "weights sam_vit_b", "value": "", "remedy": None if here else "Fetch."}
    running_of(empty).checkup["findings"] = [finding]
    layout = MagicMock()
    empty.ui.sidebar.draw_weights(layout, bpy.context, "sam_vit_b")
    assert any("on this machine" in str(call) for call in layout.mock_calls) == here
    assert any(name.endswith("operator") for name, *_ in layout.mock_calls) != here
    running_of(empty).checkup.clear()


def test_free_memory(empty, engine):
    bpy.ops.mesh.primitive_monkey_add()
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group()
    bpy.ops.iseg.click_add(vertex=20)
    bpy.ops.iseg.to_vertex_group()
    assert len(answers_of(empty).answers) == 2
    assert bpy.ops.iseg.free_memory() == {"FINISHED"}
    assert (
        "Freed" in running_of(empty).freed
        and "MB; the engine holds" in running_of(empty).freed
        or sys.platform != "linux"
    )
    obj = bpy.context.object
    assert len(answers_of(empty).answers) == 1  # what is shown stays
    assert empty.engine.queries.answer_of(obj, obj.iseg.parts[0]) is not None
    assert bpy.ops.iseg.to_vertex_group(name="Again") == {"FINISHED"}


def test_weights_are_fetched_only_when_asked_and_allowed(empty, engine):
    """Nothing is downloaded here: what cannot be fetched ends in a sentence."""
    settings = bpy.context.scene.iseg
    bpy.context.preferences.system.use_online_access = True
    with pytest.raises(RuntimeError, match="needs no weights"):
        bpy.ops.iseg.fetch_weights()
    settings.teacher = "sam_vit_b"
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match="Blender is offline: allow online access"):
        bpy.ops.iseg.fetch_weights()
    task = empty.engine.running.fetch("sam_vit_z")
    empty.engine.running.engine().wait(task)
    assert "sam_vit_z" in str(task.error) and running_of(empty).problems["sam_vit_z"] == str(task.error)
    assert not running_of(empty).fetches


@pytest.mark.parametrize(("setting", "default"), [("teacher", "geometric"), ("preset", "standard")])
def test_menus_are_the_engines_registries(iseg, setting, default):
    menu = bpy.context.scene.iseg.bl_rna.properties[setting]
    items = tuple((item.identifier, item.name, item.description) for item in menu.enum_items)
    assert items == getattr(iseg.document.choices, f"{setting}s")() and menu.default == default
    assert [item.value for item in menu.enum_items] == list(range(len(items)))  # what files keep
