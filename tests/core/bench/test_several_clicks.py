"""Experiments on answers to several clicks: pairs of like parts, other orders of the same clicks, three sizes."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.shapes import bottom, dumbbell, sphere, tiny_settings, top

from iseg_core.bench import run
from iseg_core.bench.dataset import LabelledMesh
from iseg_core.bench.experiment import INSTANT, Record, Setup
from iseg_core.bench.experiments import orders, pairs, sizes
from iseg_core.bench.methods import in_use
from iseg_core.bench.nested import NestedFile, NestedMesh
from iseg_core.clicks.click import VertexClick
from iseg_core.clicks.simulated_user import VertexTarget
from iseg_core.errors import SettingsError
from iseg_core.geometry.mesh import Mesh, face_areas
from iseg_core.training.settings import PRESETS, Preset

SHARED = Path(__file__).resolve().parents[4] / "shared"
PARTS, TOOL = SHARED / "data" / "parts", SHARED / "tools" / "pairs.py"


def heights(mesh: Mesh) -> np.ndarray:
    """z of the middle of each face. [F]"""
    return mesh.vertices[mesh.faces].mean(axis=1)[:, 2]


def rig() -> NestedMesh:
    """A dumbbell whose balls are a left and a right part, with other parts beside them."""
    mesh = dumbbell(2)
    z = heights(mesh)
    parts = np.array([z > 0.3, z < -0.3, abs(z) < 0.5, z > -9])
    return NestedMesh("toys__bell", "toys", mesh, parts, ("bone:Ball.L", "bone:Ball.R", "bone:Neck", "node:Mesh.L"))


def labelled() -> LabelledMesh:
    mesh = dumbbell(2)
    return LabelledMesh("1", "Bell", mesh, [(heights(mesh) > 0).astype(int)], 0)


def as_json(record: Record) -> Record:
    """As it comes back from the file that it is kept in."""
    return json.loads(json.dumps(record, default=lambda number: number.item()))


# pairs


def test_pairs_are_named_alike_but_for_left_and_right():
    names = ("Leg.L", "Leg.R", "Ear_L.001", "Ear_R.001", "Ear_R.002", "Lamp", "Arm.Left", "Eye.L", "Eye.R")
    parts = np.eye(9, 20, dtype=bool)
    item: Any = SimpleNamespace(names=names, parts=parts)
    assert sorted(pairs.chosen_pairs(item)) == [(0, 1), (2, 3), (7, 8)]
    parts[7] |= parts[8]  # they share a face
    assert sorted(pairs.chosen_pairs(item)) == [(0, 1), (2, 3)]
    many: Any = SimpleNamespace(names=tuple(f"{k}.{s}" for k in range(9) for s in "LR"), parts=np.eye(18, dtype=bool))
    assert len(pairs.chosen_pairs(many)) == pairs.PAIRS and pairs.chosen_pairs(many) == pairs.chosen_pairs(many)


def test_both_orders_and_the_union_are_measured():
    item = rig()
    left, right, neck, _ = item.parts
    clicked = [pairs.middle(item, part).vertex for part in (0, 1)]
    assert abs(item.mesh.vertices[clicked[0], 2] + item.mesh.vertices[clicked[1], 2]) < 0.5  # one in each ball

    def answer(clicks: list[VertexClick], domain: str) -> np.ndarray:
        """The first part and the neck; of one click, its part alone."""
        assert domain == "face" and all(include for _, include in clicks)
        first = left if clicks[0].vertex == clicked[0] else right
        return (first | neck if len(clicks) == 2 else first).astype(float)  # [F]

    segmenter: Any = SimpleNamespace(segment=answer)
    found = pairs.measure_pair(segmenter, item, 0, 1)
    area = face_areas(item.mesh)
    assert found["left first"] == pytest.approx(area[(left | neck) & (left | right)].sum() / area.sum(), abs=1e-5)
    assert found["right first"] == pytest.approx(found["left first"], rel=0.01)
    assert found["orders agree"] == pytest.approx(area[neck].sum() / area.sum(), abs=1e-5)
    assert found["plain union"] == 1.0


def test_a_mesh_without_pairs_is_not_made_ready(tmp_path: Path):
    item = rig()
    alone = NestedMesh(item.name, "", item.mesh, item.parts[2:], item.names[2:])
    setup: Any = SimpleNamespace(segmenter=None)  # it would fail
    record = pairs.measure(alone, setup)
    assert record["pairs"] == [] and pairs.report({"bell": record}, setup).tables == []


def test_pairs_are_means_of_meshes(tmp_path: Path):
    def pair(*values: float) -> dict:
        return {"parts": ["a.L", "a.R"], **dict(zip(pairs.FIGURES, values, strict=True))}

    records: dict[str, Record] = {
        "a__1": {"collection": "a", "pairs": [pair(0.2, 0.4, 0.5, 1.0), pair(0.6, 0.4, 0.5, 1.0)]},
        "b__1": {"collection": "b", "pairs": [pair(1.0, 0.9, 0.9, 0.5)]},
        "b__2": {"collection": "b", "pairs": []},
    }
    tables = pairs.report(records, Setup(tmp_path)).tables
    assert [(row["collection"], row["meshes"], row["pairs"]) for row in tables[0].rows] == [
        ("a", 1, 2),
        ("b", 1, 1),
        ("all", 2, 3),
    ]
    assert [tables[0].rows[-1][name] for name in pairs.FIGURES] == pytest.approx([0.7, 0.65, 0.7, 0.75])
    assert [row["mesh"] for row in tables[1].rows] == ["a__1", "a__1", "b__1"]
    assert [row["left first"] for row in tables[1].rows] == [0.2, 0.6, 1.0]


@pytest.mark.skipif(not (PARTS.is_dir() and TOOL.is_file()), reason="needs ../shared/data/parts and ../shared/tools")
def test_pairs_are_those_of_the_tool_that_the_meshes_come_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    file = next(path for path in sorted(PARTS.glob("*.npz")) if pairs.chosen_pairs(NestedFile(path).load()))
    (tmp_path / file.name).symlink_to(file)
    record = pairs.measure(NestedFile(file).load(), Setup(tmp_path, INSTANT))
    spec = importlib.util.spec_from_file_location("pairs_tool", TOOL)
    assert spec and spec.loader
    monkeypatch.setattr(sys, "path", [*sys.path])
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(sys, "argv", ["pairs.py", str(tmp_path)])
    with pytest.raises(SystemExit):
        tool.main()
    name, count, *means = json.loads(capsys.readouterr().out.splitlines()[0])
    figures = np.mean([[p["left first"], p["orders agree"], p["plain union"]] for p in record["pairs"]], axis=0)
    assert (name, count) == (file.name, len(record["pairs"]))
    np.testing.assert_allclose(figures, means, atol=0.00051)


# orders


def test_other_orders_are_each_drawn_once():
    rng = np.random.default_rng(0)
    assert orders.other_orders(1, rng) == [] and orders.other_orders(2, rng) == [(1, 0)]
    for count in (3, 5):
        found = orders.other_orders(count, rng)
        assert len(set(found)) == len(found) == orders.ORDERS and tuple(range(count)) not in found
        assert all(sorted(order) == list(range(count)) for order in found)


def test_an_answer_that_the_order_changes_loses():
    mesh = sphere(3)
    target = VertexTarget(mesh, heights(mesh) > 0.5)
    wanted = target.vertices.astype(float)  # [V]
    first = np.arange(len(wanted)) == target.first_click().vertex  # [V]
    steps = [wanted * first, wanted * (mesh.vertices[:, 0] > 0), wanted]
    made: list[VertexClick] = []

    def answer(clicks: list[VertexClick]) -> np.ndarray:
        """Better with each click as the user makes them; of three in any other order, the wrong side of the ball."""
        if len(clicks) == len(made) + 1 and clicks[:-1] == made:
            made.append(clicks[-1])
        return steps[len(clicks) - 1] if clicks == made[: len(clicks)] else 1 - wanted

    records = orders.measure_part(target, answer, np.random.default_rng(0))
    assert [len(asked["clicks"]) for asked in records] == [2, 3]  # then nothing is wrong
    for asked in records:
        assert asked["orders"][0] == list(range(len(asked["clicks"])))
        assert len(asked["iou"]) == len(asked["orders"]) == (2 if len(asked["clicks"]) == 2 else 5)
        assert asked["iou"][0] > 0.1 and max(asked["iou"][1:]) < 0.1
    two, three = records
    assert two["agreement"] < 0.1  # the two answers share next to nothing
    assert three["agreement"] == pytest.approx(0.6, abs=0.05)  # six of ten pairs are of the same wrong answer


def test_losses_are_means_over_parts_then_meshes(tmp_path: Path):
    def asked(count: int, iou: list[float], agreement: float) -> Record:
        clicks = [[k, True] for k in range(count)]
        return {"clicks": clicks, "orders": [], "iou": iou, "agreement": agreement}

    records: dict[str, Record] = {
        "1": {
            "category": "",
            "methods": ["instant"],
            "parts": [
                {"instant": [asked(2, [0.9, 0.7], 0.8), asked(3, [0.9, 0.85, 0.5], 0.6)]},
                {"instant": [asked(2, [0.5, 0.5], 1.0)]},
                {"instant": []},
            ],
        },
        "2": {"category": "Cup", "methods": ["instant"], "parts": [{"instant": [asked(2, [0.4, 0.8], 0.4)]}]},
    }
    tables = orders.report(records, Setup(tmp_path)).tables
    two, three = tables[0].rows
    assert two == pytest.approx(
        {"method": "instant", "clicks": 2, "meshes": 2, "parts": 3, "as made": 0.55, "other orders": 0.7}
        | {"loss": (0.1 - 0.4) / 2, "worst order": 0.7, "ruined": 0.25, "agreement": 0.65}
    )
    assert (three["meshes"], three["parts"], three["worst order"], three["ruined"]) == (1, 1, 0.5, 0.5)
    assert [row["instant @3"] for row in tables[1].rows] == [pytest.approx(0.225), None, pytest.approx(0.225)]


# sizes


@pytest.mark.parametrize(
    ("areas", "outside", "expected"),
    [
        ([0.1, 0.2, 0.4], [0.0, 0.0], (1, 1, 1, 0)),
        ([0.1, 0.104, 0.4], [0.0, 0.0], (0, 1, 0, 0)),
        ([0.1, 0.2, 0.4], [0.002, 0.005], (1, 0, 0, 0)),
        ([0.1, 0.2, 0.4], [0.0019, 0.0039], (1, 1, 1, 0)),
        ([0.4, 0.2, 0.1], [0.2, 0.1], (1, 0, 0, 1)),
        ([0.2, 0.4, 0.2], [0.0, 0.2], (0, 0, 0, 1)),
        ([0.0, 0.0, 0.0], [0.0, 0.0], (0, 1, 0, 0)),
    ],
    ids=["good", "alike", "outside", "hardly outside", "turned round", "two alike", "empty"],
)
def test_figures_of_a_place(areas: list[float], outside: list[float], expected: tuple[int, ...]):
    found = sizes.figures({"areas": areas, "outside": outside})
    assert tuple(found.values()) == (*expected, *areas)


def test_every_size_is_asked_and_the_second_click_corrects_the_middle_one():
    item = labelled()
    mesh, z = item.mesh, item.mesh.vertices[:, 2]
    regions = {"fine": z > 0.9, "part": z > -0.6, "whole": z > -9}  # of [V]
    wide: Any = SimpleNamespace(
        model=SimpleNamespace(mesh=mesh),
        segment=lambda clicks, granularity="part": regions[granularity].astype(float),
    )
    click = VertexClick(top(mesh), True)
    place = sizes.measure_place(wide, [click])
    assert place["areas"][0] < place["areas"][1] < place["areas"][2] == 1.0 and place["outside"] == [0.0, 0.0]
    part = sizes.part_at(item, click.vertex)
    assert part is not None and (part == (heights(mesh) > 0)).all()
    second = sizes.correction(wide, [click], part)
    assert second is not None and not second.include and -0.6 < z[second.vertex] <= 0
    regions["fine"] = z < 0
    assert sizes.measure_place(wide, [click])["outside"][0] > 0.1
    regions["part"] = VertexTarget(mesh, part).vertices
    assert sizes.correction(wide, [click], part) is None  # nothing is wrong
    regions["part"] = z > 9
    middle = VertexTarget(mesh, part).first_click()
    assert sizes.correction(wide, [middle], part) is None  # it is clicked already
    assert sizes.correction(wide, [click], None) is None


def test_of_nested_parts_the_smallest_is_meant():
    item = rig()
    for vertex, part in ((top(item.mesh), 0), (bottom(item.mesh), 1)):
        found = sizes.part_at(item, vertex)
        assert found is not None and (found == item.parts[part]).all()
    bare = NestedMesh("", "", item.mesh, item.parts[:1], item.names[:1])
    assert sizes.part_at(bare, bottom(item.mesh)) is None


def test_sizes_of_nested_meshes(tmp_path: Path):
    record = as_json(sizes.measure(rig(), Setup(tmp_path, INSTANT)))
    assert list(record["methods"]) == ["instant"]
    one, two = record["methods"]["instant"]
    assert len(one["places"]) == sizes.PLACES >= len(two["places"]) > 0
    assert len({place["clicks"][0][0] for place in one["places"]}) == sizes.PLACES
    assert all(len(place["clicks"]) == 2 for place in two["places"])
    rows = sizes.report({"bell": record}, Setup(tmp_path)).tables[0].rows
    assert [(row["clicks"], row["places"]) for row in rows] == [(1, sizes.PLACES), (2, len(two["places"]))]


# which experiment measures what


def test_instant_mode_stands_alone_where_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PRESETS, "tiny", Preset("", "", tiny_settings(preset="tiny")))
    mesh = dumbbell(1)
    assert list(in_use(mesh, Setup(tmp_path, INSTANT))) == ["instant"]
    both = in_use(mesh, Setup(tmp_path, preset="tiny", device="cpu"))
    assert list(both) == ["trained", "instant"]
    assert both["trained"].model.networks and not both["instant"].model.networks


def test_experiments_that_train_need_a_teacher():
    assert run.choose(["orders", "sizes"], "labelled meshes", INSTANT) == ["orders", "sizes"]
    assert run.choose(["all"], "nested parts", INSTANT) == ["nested", "pairs", "sizes"]
    with pytest.raises(SettingsError, match="The experiment taught trains.*Name a teacher"):
        run.choose(["sizes", "taught"], "labelled meshes", INSTANT)
    with pytest.raises(SettingsError, match="Unknown experiment 'pairs' for labelled meshes"):
        run.choose(["pairs"], "labelled meshes", "geometric")
