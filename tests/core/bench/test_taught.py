"""Teachers that know what geometry cannot: slabs, the recipe of an oracle, and what of it reaches the user."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.shapes import dumbbell, sphere, tiny_settings

from iseg_core.bench.dataset import LabelledMesh
from iseg_core.bench.experiment import Setup
from iseg_core.bench.experiments import taught
from iseg_core.bench.oracle import Noise, OracleRecipe, scaled
from iseg_core.bench.slabs import CUTS, Cut, slabs
from iseg_core.bench.votes import Votes
from iseg_core.clicks.click import VertexClick
from iseg_core.clicks.simulated_user import VertexTarget
from iseg_core.geometry.mesh import Mesh, face_areas
from iseg_core.storage.prepare import prepare
from iseg_core.training import train as training
from iseg_core.training.settings import PRESETS, Preset


def stretched() -> Mesh:
    """An ellipsoid, longest along y, then along x. 642 vertices"""
    ball = sphere(3)
    return Mesh(ball.vertices * [2.0, 3.0, 1.0], ball.faces)


def test_slabs_lie_between_planes_along_the_long_side():
    mesh = stretched()
    labels = slabs(mesh, Cut(0, 0.5, (0.25, 0.75)))  # [F]
    height = mesh.vertices[mesh.faces].mean(axis=1) @ [0.5, 1.0, 0.0]  # [F]
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert height[labels == 0].max() < height[labels == 1].min()
    assert height[labels == 1].max() < height[labels == 2].min()
    area = face_areas(mesh)
    shares = np.array([area[labels == k].sum() for k in range(3)]) / area.sum()
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.01)


def test_every_cut_cuts_another_way():
    mesh = stretched()
    found = {name: slabs(mesh, cut) for name, cut in CUTS.items()}
    assert {name: labels.max() + 1 for name, labels in found.items()} == {"long": 4, "across": 3}
    table = np.zeros((4, 3))
    np.add.at(table, (found["long"], found["across"]), face_areas(mesh))
    assert (table > 0).sum() > 8  # most slabs of the one meet most of the other


def test_an_oracle_without_noise_knows_the_slabs():
    mesh = stretched()
    labels = slabs(mesh, CUTS["long"])
    model = prepare(mesh, 500)
    votes = Votes(model, OracleRecipe(labels, 0, scaled(0.0))(model), 12)
    corners = np.bincount(mesh.faces.ravel(), np.repeat(labels, 3)) / np.bincount(mesh.faces.ravel())  # [V]
    clear = corners % 1 == 0  # [V] all faces around the vertex are in one slab
    for part in range(4):
        target = VertexTarget(mesh, labels == part)
        click = target.first_click()
        seen = votes.shown_with(click.vertex) & clear
        answer = votes.answer([click])[seen] >= 0.5
        assert (answer == target.vertices[seen]).mean() > 0.98


def test_an_identity_is_that_of_the_parts_and_the_errors():
    labels = np.array([0, 0, 1, 2])
    same, others = OracleRecipe(labels * 7 + 3), [OracleRecipe(labels[::-1]), OracleRecipe(labels, 1)]
    others.append(OracleRecipe(labels, 0, Noise(leak=0.1)))
    assert same.identity == OracleRecipe(labels).identity
    assert len({recipe.identity for recipe in (same, *others)}) == 4


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setitem(PRESETS, "tiny", Preset("", "", tiny_settings(preset="tiny")))
    monkeypatch.setattr(taught, "LEVELS", (0.0,))
    return Setup(tmp_path, preset="tiny", device="cpu")


def labelled() -> LabelledMesh:
    mesh = dumbbell(2)
    return LabelledMesh("1", "", mesh, [(mesh.vertices[mesh.faces].mean(axis=1)[:, 2] > 0).astype(int)], 0)


def test_models_are_read_when_answers_are_measured_again(setup: Setup, monkeypatch: pytest.MonkeyPatch):
    item = labelled()
    first = taught.measure(item, setup)
    assert [setting["cut"] for setting in first["settings"]] == [*CUTS, "people"]
    assert len(list((setup.folder / "models").iterdir())) == 3  # another model for each cut

    def no_training(*_: Any, **__: Any) -> None:
        raise AssertionError("a second training")

    monkeypatch.setattr(training, "train", no_training)
    assert taught.measure(item, setup) == first
    setup.model(item.mesh, oracle=OracleRecipe(item.people[0], setup.seed, scaled(0.0)))
    with pytest.raises(AssertionError, match="a second training"):
        setup.model(item.mesh)  # the run's own teacher taught none of them


def test_a_part_is_measured_with_clicks_of_its_own_for_each_method():
    mesh = sphere(3)
    target = VertexTarget(mesh, slabs(mesh, CUTS["long"]) == 3)
    wanted = target.vertices.astype(float)  # [V]
    nothing, side = np.zeros(len(wanted)), mesh.vertices[:, 2] < 0.1  # [V] each
    answers = [1 - wanted, wanted * side, wanted]  # a wrong one, a part, all

    def learns(clicks: list) -> np.ndarray:
        return answers[len(clicks) - 1]

    record = taught.measure_part(target, {"trained": learns, "student": lambda _: wanted, "instant": lambda _: nothing})
    assert len(record["trained"]["clicks"]) == 3 and len(record["student"]["clicks"]) == 1
    first, second, *rest = record["trained"]["iou"]
    assert first < 0.1 < second < 0.8 and rest == record["student"]["iou"][2:]
    assert record["student with the clicks of trained"] == record["student"]["iou"][:3]
    assert [record[name]["not held"] for name in taught.METHODS] == [1, 0, 1]


def test_clicks_anywhere_mean_the_part_that_they_lie_in():
    mesh = sphere(3)
    parts = [VertexTarget(mesh, slabs(mesh, CUTS["across"]) == k) for k in range(2)]  # the third is too small to count
    clicked = np.array([parts[0].first_click().vertex, parts[1].first_click().vertex, 0])
    clicked[2] = np.flatnonzero(~parts[0].vertices & ~parts[1].vertices)[0]
    methods: dict[str, Any] = {name: lambda _: parts[1].vertices.astype(float) for name in taught.METHODS}
    found = taught.measure_anywhere(parts, methods, clicked)
    assert set(found) == set(taught.METHODS)
    low, high = found["trained"]["iou"]
    assert low < 0.1 < 0.9 < high and (found["trained"]["not held"], found["trained"]["alone"]) == (1, 0)
    assert taught.measure_anywhere(parts, methods, clicked[2:]) == {}


def test_a_click_that_is_held_by_next_to_nothing_is_counted():
    mesh = sphere(4)
    inside = mesh.vertices[:, 2] > 0  # [V]
    held = answers_of(inside)
    lowest, highest = int(mesh.vertices[:, 2].argmin()), int(mesh.vertices[:, 2].argmax())
    held([VertexClick(highest, True), VertexClick(lowest, False)])
    assert (held.broken, held.alone) == (0, 0)
    held([VertexClick(highest, True), VertexClick(lowest, True)])
    assert (held.broken, held.alone) == (1, 0)
    inside[[lowest, highest]] = [True, False]
    held([VertexClick(lowest, True)])
    held([VertexClick(highest, False)])
    assert (held.broken, held.alone) == (1, 2)


def answers_of(inside: np.ndarray) -> taught.Held:
    """Count what an answer holds that is always the same."""
    return taught.Held(lambda _: inside.astype(float), sphere(4))


def test_good_answers_taken_back_are_counted(tmp_path: Path):
    def method(iou: list[float], clicks: int, broken: int = 0) -> dict:
        return {"iou": iou, "clicks": [[0, True]] * clicks, "not held": broken, "alone": 0}

    def part(trained: list[float], alone: list[float]) -> dict:
        own = {
            "trained": method(trained, len(alone), 2),
            "student": method([0.9] * 5, 5),
            "instant": method([0] * 5, 5),
        }
        return own | {"student with the clicks of trained": alone}

    parts = [
        part([0.9, 0.6, 0.75, 0.9, 0.9], [0.9, 0.9, 0.79, 0.85, 0.5]),  # one of three good ones is taken back
        part([0.5, 1.0, 1.0, 1.0, 1.0], [0.8, 1.0]),  # one of two, and then nothing is wrong
    ]
    anywhere = {
        "trained": {"iou": [0.8, 0.4, 0.2], "not held": 1, "alone": 2},
        "student": {"iou": [0.85, 0.9, 0.7], "not held": 3, "alone": 3},
        "instant": {"iou": [0.1, 0.2, 0.3], "not held": 3, "alone": 3},
    }
    settings = [
        {"cut": "long", "noise": 0.0, "parts": parts, "anywhere": anywhere},
        {"cut": "people", "noise": 0.0, "parts": [], "anywhere": {}},
    ]
    tables = taught.report({"1": {"category": "Ball", "settings": settings}}, Setup(tmp_path)).tables
    rows = {(row["teacher"], row["method"]): row for row in tables[0].rows}
    assert list(dict.fromkeys(teacher for teacher, _ in rows)) == ["all", "noise 0", "slabs", "slabs, long"]
    assert rows["all", "trained"] == pytest.approx(
        {"teacher": "all", "method": "trained", "settings": 1, "@1": 0.7, "@2": 0.8, "@3": 0.875, "@5": 0.95}
        | {"worse": 1 / 8, "answers": 7, "not held": 4, "alone": 0}
    )
    assert tables[1].rows[0] == {"teacher": "all", "clicks": 7, "good answers": 5, "taken back": 2 / 5}
    assert tables[2].rows[0] == pytest.approx(
        {"teacher": "all", "clicks": 3, "trained": 1.4 / 3, "student": 2.45 / 3, "instant": 0.2}
        | {"good answers": 2, "taken back": 0.5, "not held": 1, "alone": 2}
    )
    assert [(row["mesh"], row["taken back"]) for row in tables[3].rows] == [("1 Ball", "2 of 5")]
    assert taught.report({"1": {"category": "", "settings": settings[1:]}}, Setup(tmp_path)).tables == []


def test_measuring_again_replaces_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from support.shapes import write_off

    from iseg_core.bench import run

    measured: list[list[str]] = []

    def measure(file: Any, names: list[str], setup: Setup, threads: int) -> str | None:
        measured.append(names)
        path = run._record_path(setup, names[0], file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"key": "{run._key(setup, names[0], file)}", "record": {{"n": {len(measured)}}}}}')
        return None

    monkeypatch.setattr(run, "_measure_apart", measure)
    write_off(tmp_path / "data" / "bell.off", dumbbell(1))
    np.savetxt(tmp_path / "data" / "bell.seg", np.zeros(80), fmt="%d")
    setup = Setup(tmp_path / "report", dataset=tmp_path / "data")
    for again, count in ((False, 1), (False, 1), (True, 2)):
        records, failures = run.bench(setup, ["taught"], again=again)
        assert records == {"taught": {"bell": {"n": count}}} and not failures and len(measured) == count
