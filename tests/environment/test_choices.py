"""Blender's menus, from the engine's registries."""

from dataclasses import replace

import pytest


def test_menus_are_as_files_know_them(iseg):
    """A .blend file keeps the position of an entry."""
    assert iseg.document.choices.teachers() == (
        ("geometric", "Geometric", "Learns from the shape alone; nothing to download, no GPU needed"),
        ("sam_vit_b", "SAM ViT-B", "Learns from Segment Anything, 375 MB of weights; needs a GPU to be quick"),
        ("sam_vit_l", "SAM ViT-L", "Learns from Segment Anything, 1.2 GB of weights; needs a GPU"),
        ("sam_vit_h", "SAM ViT-H", "Learns from Segment Anything, 2.6 GB of weights; needs a GPU"),
    )
    assert iseg.document.choices.presets() == (
        ("draft", "Draft", "Trains fastest, for a first look"),
        ("standard", "Standard", "The right one for most meshes"),
        ("paper", "Paper", "The settings of the published method; takes many times longer"),
    )
    assert iseg.document.choices.weights_heading() == "Weights of Segment Anything, for the SAM teachers only"


@pytest.fixture
def tower(iseg, monkeypatch):
    """A made-up teacher that needs weights and packages."""
    sam = iseg.core.TEACHERS["sam_vit_b"]
    weights = replace(sam.weights, url="https://h.example/tower.pth", bytes=12_000_000, family="Towers", licence="MIT")
    extra = replace(sam.extra, name="towers", title="Towers", users="the tower teachers", packages=("towers",))
    entry = replace(sam, name="tower", label="Tower", description="Learns from towers", weights=weights, extra=extra)
    monkeypatch.setitem(iseg.core.TEACHERS, "tower", entry)


def test_a_new_entry_is_in_the_menus(iseg, monkeypatch, tower):
    draft = iseg.core.PRESETS["draft"]
    quick = replace(draft, label="Quick", description="Hardly trains", settings=replace(draft.settings, preset="quick"))
    monkeypatch.setitem(iseg.core.PRESETS, "quick", quick)
    assert iseg.document.choices.teachers()[-1] == ("tower", "Tower", "Learns from towers")
    assert iseg.document.choices.presets()[-1] == ("quick", "Quick", "Hardly trains")
    heading = "Weights of Segment Anything and Towers, for the SAM teachers and the tower teachers only"
    assert iseg.document.choices.weights_heading() == heading


def test_a_new_teacher_in_the_self_test(iseg, tower):
    missing = {"topic": "towers", "value": "missing.", "remedy": "pip.", "required": False}
    weights = {"topic": "weights tower", "value": "missing.", "remedy": "fetch.", "required": False}
    report = {"findings": [missing, weights], "teachers": [{"name": "tower", "missing": "towers: missing."}]}
    texts = [line.text for line in iseg.engine.selftest.words(report, managed=True)]
    assert "towers: missing. Only the tower teachers need it: tick With Towers and press Repair." in texts
    assert texts[-1] == "Teachers at hand: none; not at hand: tower"
    problem = iseg.engine.selftest.teacher_problem
    assert "tick With Towers in the preferences" in problem(report, "tower", True)
    assert problem({"findings": [weights]}, "tower", True).endswith("press Fetch Weights.")
    assert problem(report, "sam_vit_b", True) == problem(report, "geometric", True) == ""
    assert iseg.engine.selftest.lacking(report) == ""  # a tower is not what the engine cannot work without
