"""An artist's way through the extension in a real window (tests/window/scenario.py says which)."""

import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import build

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / os.environ.get("ISEG_WINDOW", "window")

pytestmark = pytest.mark.skipif(
    not os.environ.get("ISEG_BLENDER"),
    reason="needs a Blender with a window: set ISEG_BLENDER to the command that starts one (1280 x 800 pixels)",
)


@pytest.fixture(scope="module")
def report() -> Any:
    """What an artist's way has found; its pictures lie in out/window/."""
    return run("scenario", OUT)


@pytest.fixture(scope="module")
def edit_mode() -> Any:
    """What the way through edit mode has found."""
    return run("edit_mode", OUT.with_name(OUT.name + "-edit-mode"))


@pytest.fixture(scope="module")
def surfaces() -> Any:
    """What the way over modifiers and a large mesh has found."""
    return run("surfaces", OUT.with_name(OUT.name + "-surfaces"))


@pytest.fixture(scope="module")
def tool() -> Any:
    """What the way with the toolbar's tool has found."""
    return run("tool", OUT.with_name(OUT.name + "-tool"))


@pytest.fixture(scope="module")
def views() -> Any:
    """What the way through changing views has found."""
    return run("views", OUT.with_name(OUT.name + "-views"))


def run(scenario: str, out: Path) -> Any:
    """The report of a scenario of tests/window/, whose pictures go to `out`."""
    shutil.rmtree(out, ignore_errors=True)  # a model of the last run would need no training
    out.mkdir(parents=True)
    archive = build.extension(out)
    environment = os.environ | {
        "ISEG_ZIP": str(archive),
        "ISEG_SHOTS": str(out),
        "ISEG_CACHE": str(out / "cache"),
        "ISEG_ENGINE": os.environ.get("ISEG_ENGINE") or shlex.join([sys.executable, "-m", "iseg_core", "engine"]),
        "BLENDER_USER_RESOURCES": str(out / "blender"),
    }
    command = shlex.split(os.environ["ISEG_BLENDER"])
    command += ["--factory-startup", "--enable-event-simulate", "-p", "0", "0", "1280", "800"]
    command += ["--python", str(ROOT / "tests" / "window" / f"{scenario}.py")]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return json.loads((out / "report.json").read_text())


def test_the_button_trains(report: Any):
    assert report["training_error"] == "" and report["trained"].startswith("Ready: geometric, draft")


def test_clicks_land_where_they_are_made(report: Any):
    assert report["picked"] == report["targets"] == report["four"]
    assert report["view_turned"]


def test_the_wheel_with_ctrl_steps_to_another_size_and_back(report: Any):
    sizes, (resized, _), (back, same_clicks) = report["sizes"], report["resized"], report["sized_back"]
    assert len(sizes) > 1 and report["changed_by_size"] > 0
    assert resized == pytest.approx(sizes[sizes.index(0.5) + (1 if sizes[-1] > 0.5 else -1)], abs=1e-4)
    assert back == pytest.approx(0.5) and same_clicks


def test_steps_back_and_forward_give_the_same_result(report: Any):
    assert report["back"] == report["four"][:-1]
    assert report["forward"] == report["four"] and report["same_answer"]


def test_x_removes_t_flips_enter_keeps_esc_restores(report: Any):
    last, _ = report["four"][-1]
    assert report["removed"] == report["four"][:-1]
    assert report["flipped"] == report["kept"] == [*report["four"][:-1], [last, False]]
    assert report["more"] == len(report["kept"]) + 1 and report["restored"] == report["kept"]


def test_extrude_undo_save_load(report: Any):
    assert report["extruded"] > 0 and report["after_undo"] == 0
    assert report["after_undo_clicks"] == report["loaded"] == report["kept"]
    assert report["after_undo_groups"] == report["loaded_groups"] == ["Part"]
    assert report["loaded_status"] == "ready" and report["problems"] == {}


def test_disabling_leaves_nothing_behind(report: Any):
    assert report["left"] == []


def test_undo_in_edit_mode_takes_back_clicks(edit_mode: Any):
    assert edit_mode["mode"] == "EDIT"
    (ear, _), (eye, _) = clicked = edit_mode["clicked"]
    assert clicked == [[ear, True], [eye, False]]
    assert edit_mode["flipped"] == [[ear, False], [eye, False]]
    assert edit_mode["flip_undone"] == edit_mode["tool_redone"] == clicked and edit_mode["tool_undone"] == []
    assert edit_mode["extruded"] != clicked and edit_mode["extrude_undone"] == clicked
    assert edit_mode["restored"] == edit_mode["selection_undone"] == clicked
    assert len(edit_mode["more"]) == 3 and edit_mode["problems"] == {}


def test_a_selection_becomes_clicks_of_a_part_of_its_own(edit_mode: Any):
    first, second = edit_mode["seeded"]
    assert first == edit_mode["clicked"] and second
    assert edit_mode["seeded_undone"] == [first]


def test_clicks_on_what_modifiers_make(surfaces: Any):
    """The second head is a copy: its eye is the mesh's, and shows the part."""
    ((place, positive),) = surfaces["clicked"]
    assert math.dist(place, (-0.35, -0.85, 0.24)) < 0.15 and positive and surfaces["same_data"]
    (eye, crown), (eye_plain, crown_plain) = surfaces["with"], surfaces["without"]
    assert eye[2] > eye_plain[2] + 0.05 and eye[0] < eye_plain[0]  # bluer
    assert crown == pytest.approx(crown_plain, abs=0.02)  # drawn again, samples of the viewport differ by a level


def test_a_large_mesh_is_read_without_holding_blender_up(surfaces: Any):
    assert surfaces["reading"]
    (picked,) = surfaces["large"]
    assert max(abs(a - b) for a, b in zip(picked, surfaces["top"], strict=True)) < 0.05
    assert surfaces["waits"] and "looked at when you click" in surfaces["sentence"]
    assert [positive for _, positive in surfaces["edited"]] == [True, False]
    assert surfaces["height"] > 1.3 and surfaces["problems"] == {}  # what edit mode has changed


def test_a_dot_is_where_the_mouse_was(surfaces: Any):
    """On a smoothed cube, and not at the corner that is nearest."""
    dot, corner = surfaces["dots"]
    assert dot[1] > dot[0] + 0.3 and dot[1] > dot[2] + 0.3  # green
    assert not corner[1] > corner[0] + 0.3


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_the_toolbars_tool(tool: Any, mode: str):
    """It scribbles, previews, swaps and removes as the button does, each stroke one step of undo."""
    found = tool[mode]
    first = [[found["ear"], True], [found["eye"], False]]
    assert found["clicked"] == found["undone"] == first
    assert found["preview"] > 0
    stroke = found["stroke"][2:]
    assert found["stroke"][:2] == first and len(stroke) > 2 and not any(positive for _, positive in stroke)
    assert found["redone"] == found["stroke"]
    assert found["behind"] == 1  # the one that was added there is still there
    assert found["removed"][:-1] == found["stroke"][1:]


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_the_preview_goes_with_the_mouse_and_the_tool(tool: Any, mode: str):
    assert tool[mode]["left"] == dict.fromkeys(("sidebar", "outliner", "outside"), True)
    assert tool[mode]["other_tool"]


def test_the_preview_goes_with_the_mouse_behind_the_button_too(tool: Any):
    assert tool["left"] == dict.fromkeys(("sidebar", "outliner", "outside", "ended"), True)


def test_the_tool_goes_with_the_extension(tool: Any):
    assert tool["problems"] == {} and tool["keymaps"] == []


def test_clicking_begins_once_and_a_stroke_ends_on_the_sidebar(views: Any):
    assert views["again"] == [True, False] and views["ended"] == [False, True]
    assert len(views["stroke"]) == 1


def test_clicking_ends_with_its_view(views: Any):
    assert views["left"] == dict.fromkeys(("other_editor", "maximised", "other_workspace"), [False, None])
    assert views["disabled"] is None


def test_a_preview_needs_no_click_before(views: Any):
    assert views["preview"] == [True, True, []]


def test_each_view_of_four_picks_what_it_shows(views: Any):
    assert [count for *_, count in views["quad"]] == [1, 2, 3, 4]
    for front, picked, _ in views["quad"]:
        assert math.dist(front, picked) < 0.15


def test_what_the_view_does_not_show_hides_nothing_and_is_not_clicked(views: Any):
    eye, (picked, positive) = views["local"]
    assert picked == eye and positive
    assert views["inside"] == "" and views["problems"] == {}
    for name, obj in (("outside", "Sphere"), ("hidden", "Suzanne")):
        assert views[name] == f"{obj} is hidden in this view: show it (Alt-H) or leave local view."
