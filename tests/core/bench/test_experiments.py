"""The paper's experiments: what each measures, on made-up answers, and all of them on a tiny labelled shape."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.shapes import dumbbell, tiny_settings, write_off

from iseg_core.bench.dataset import find_meshes
from iseg_core.bench.experiment import MACHINE, Record, Setup
from iseg_core.bench.experiments import EXPERIMENTS, common, fidelity, occluded, otsu, stability, transfer
from iseg_core.bench.nested import NestedFile
from iseg_core.bench.oracle import Noise, OracleRecipe, scaled
from iseg_core.geometry.mesh import Mesh
from iseg_core.inference.threshold import otsu as otsu_threshold
from iseg_core.storage.prepare import prepare
from iseg_core.storage.trained_model import Model
from iseg_core.teachers.make import make_teacher
from iseg_core.teachers.teacher import SurfaceTeacher, TargetTeacher
from iseg_core.training.batches import VoteBatches
from iseg_core.training.observations import Observations
from iseg_core.training.observe import observe
from iseg_core.training.run import Run
from iseg_core.training.settings import PRESETS, Preset, Settings


def write_mesh(folder: Path, name: str, mesh: Mesh) -> None:
    """A mesh with its faces above and below z = 0 as two parts, by two people who agree."""
    write_off(folder / f"{name}.off", mesh)
    part = (mesh.vertices[mesh.faces, 2].mean(axis=1) > 0).astype(int)  # [F]
    for person in ("a", "b"):
        (folder / f"{name}_{person}.seg").write_text("\n".join(map(str, part)))


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """Two labelled shapes, and the shortest trainings that go through every stage."""
    for preset in ("standard", "draft"):
        monkeypatch.setitem(PRESETS, preset, Preset("", "", tiny_settings(preset=preset, views=8)))
    for key, value in {"proxy_vertices": 500, "field_steps": 4, "decoder_steps": 6}.items():
        monkeypatch.setitem(common.REDUCED, key, value)
    monkeypatch.setattr(fidelity, "VIEWS", (4, 6))
    monkeypatch.setattr(fidelity, "LEVELS", (0.0, 1.0))
    monkeypatch.setattr(fidelity, "SETTINGS", [(4, 1.0), (6, 1.0), (6, 0.0)])
    monkeypatch.setattr(fidelity, "CLICKS", 5)
    monkeypatch.setattr(stability, "CLICKS", 6)
    monkeypatch.setattr(transfer, "CLICKS", 5)
    monkeypatch.setattr(occluded, "LEAST_HIDDEN", 0.0)
    monkeypatch.setattr(occluded, "SIDE", 40)
    monkeypatch.setattr(transfer, "SIDE", 40)
    small, other = dumbbell(2), dumbbell(2)
    write_mesh(tmp_path / "data", "1", small)
    write_mesh(tmp_path / "data", "2", dataclasses.replace(other, vertices=other.vertices * [1.0, 0.8, 1.2]))
    folder = tmp_path / "report"
    folder.mkdir()
    return Setup(folder, device="cpu", dataset=tmp_path / "data")


@pytest.mark.parametrize("name", [name for name, one in EXPERIMENTS.items() if one.dataset != NestedFile.kind])
def test_measured_on_a_tiny_shape(name: str, setup: Setup, tmp_path: Path):
    experiment = EXPERIMENTS[name]
    item = find_meshes(setup.dataset)[0].load()
    record = _as_json(experiment.measure(item, setup))
    records: dict[str, Record] = {"1": record, "2": record}  # the other mesh is only drawn
    report = experiment.report(records, setup)
    assert report.tables and all(table.rows for table in report.tables)
    for table in report.tables:
        assert len({tuple(row) for row in table.rows}) == 1  # equal keys
        for row in table.rows:
            for key, value in row.items():
                assert value is None or isinstance(value, str | int) or np.isfinite(value), (table.title, key)
    for picture in report.pictures:
        shades = np.asarray(Image.open(setup.folder / picture).convert("L"), dtype=int)  # [H, W]
        assert shades.max() - shades.min() > 100

    fresh = tmp_path / "again"
    fresh.mkdir()
    again = _as_json(experiment.measure(item, dataclasses.replace(setup, folder=fresh)))  # trains anew
    for found in (again, record):
        found.pop(MACHINE, None)
    assert again == record


def _as_json(record: Record) -> Record:
    """As it comes back from the file that it is kept in."""
    return json.loads(json.dumps(record, default=lambda number: number.item()))


def test_stability_of_made_up_regions():
    regions = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]], dtype=bool)
    weight = np.array([1.0, 1.0, 2.0, 4.0])
    found = stability.stability(regions, [np.array([1, 2]), np.array([3]), np.array([0, 2])], weight)
    assert np.allclose(found, [(1 + 0.5) / 2, 0, 0.75])
    tetrahedra = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6]])
    assert stability.neighbours(tetrahedra, 0).tolist() == [1, 2, 3]
    assert stability.neighbours(tetrahedra, 1).tolist() == [0, 2]


def test_iou():
    none, some = np.zeros(3, bool), np.array([True, False, True])
    weight = np.array([1.0, 2.0, 3.0])
    assert common.iou(none, none, weight) == 1 and common.iou(none, some, weight) == 0
    assert np.allclose(common.iou(np.array([some, ~some]), np.array([True, True, False]), weight), [1 / 6, 2 / 3])


def test_separability():
    low, high = np.random.default_rng(0).normal([[0.1], [0.9]], 0.02, (2, 500)).clip(0, 1)
    two = np.r_[low, high]
    assert otsu.separability(two, otsu_threshold(two)) == pytest.approx(1, abs=0.01)
    assert otsu.separability(np.array([0.0, 1.0, 1.0]), 0.5) == pytest.approx(1)
    flat = np.linspace(0, 1, 1001)
    assert otsu.separability(flat, 0.5) == pytest.approx(0.75, abs=1e-3)  # of the uniform distribution
    assert otsu.separability(two, 2.0) == 0
    assert otsu.separability(np.full(4, 0.3), 0.5) is None


def test_found_where_it_is_hidden():
    region, wanted = np.array([1, 1, 0, 1, 0], bool), np.array([1, 1, 1, 0, 0], bool)
    there, weight = np.array([0, 1, 1, 1, 1], bool), np.array([9.0, 1.0, 3.0, 1.0, 5.0])
    assert occluded.found_there(region, wanted, there, weight) == {"recall": 0.25, "precision": 0.5}
    nowhere = np.zeros(5, bool)
    assert occluded.found_there(nowhere, wanted, there, weight) == {"recall": 0.0, "precision": None}
    assert occluded.found_there(region, wanted, nowhere, weight) == {"recall": None, "precision": None}


def observed(teacher: Any, model: Model, settings: Settings, seed: int) -> Observations:
    """What a training with these settings and this seed sees."""
    return observe(Run(model.proxy, teacher, settings, seed))


def test_a_teacher_that_is_asked_in_2d_only(setup: Setup):
    model = prepare(dumbbell(2), 500)
    whole = make_teacher("geometric", model)
    views = occluded.ViewsOnly(whole)
    assert not isinstance(views, SurfaceTeacher | TargetTeacher)
    seen = [observed(teacher, model, tiny_settings(second_clicks=0), 0) for teacher in (whole, views)]
    assert all(len(clicks) == 1 for clicks in seen[1].click_sets)
    known = len(seen[1].click_sets)
    assert seen[0].click_sets[:known] == seen[1].click_sets
    fewer, all_of_them = seen[1].seen, seen[0].seen[:known]  # [K, 3, P] each
    assert (fewer < 0.5 * all_of_them).any() and (fewer <= 1.001 * all_of_them).all()


def test_clicks_trained_on_are_those_of_the_training():
    model, settings = prepare(dumbbell(2), 500), tiny_settings(second_clicks=0, hidden_targets=0)
    proxy = model.proxy
    seen = observed(make_teacher("geometric", model), model, settings, 3)
    clicked = common.training_clicks(model, settings, 3)
    assert [clicks[0][0] for clicks in seen.click_sets] == clicked.tolist()
    unseen = common.unseen_clicks(model, settings, 3, 1000)
    assert len(unseen) == len(np.setdiff1d(proxy.nearest, clicked)) > 100
    assert not np.isin(proxy.nearest[unseen], clicked).any()


def test_at_most_two_clicks_are_trained_on(monkeypatch: pytest.MonkeyPatch):
    from iseg_core.training.train import train

    lengths: list[int] = []
    draw = VoteBatches.draw

    def watch(self):
        batch = draw(self)
        lengths.extend((batch.clicks.signs != 0).sum(dim=1).tolist())
        return batch

    monkeypatch.setattr(VoteBatches, "draw", watch)
    two = tiny_settings(decoder_steps=25, **common.AT_MOST_TWO)
    train(dumbbell(2), preset=two, device="cpu")
    assert max(lengths) == 2
    lengths.clear()
    train(dumbbell(2), preset=dataclasses.replace(two, max_clicks=4), device="cpu")
    assert max(lengths) > 2


def test_copies_of_a_mesh():
    mesh, rng = dumbbell(2), np.random.default_rng(0)
    turned = transfer.rotated(mesh, rng).mesh.vertices
    assert not np.allclose(turned, mesh.vertices) and np.allclose(turned @ turned.T, mesh.vertices @ mesh.vertices.T)
    axes = np.linalg.lstsq(mesh.vertices, turned, rcond=None)[0]
    assert np.linalg.det(axes) == pytest.approx(1)
    moved = transfer.jittered(mesh, rng).mesh.vertices - mesh.vertices
    assert 0.002 < moved.std() < 0.05
    small = transfer.simplified(mesh, rng)
    count = len(small.mesh.vertices)
    assert 0.4 * len(mesh.vertices) < count < 0.6 * len(mesh.vertices)
    assert small.clicked.shape == (len(mesh.vertices),) and small.clicked.max() < count
    known = small.original >= 0
    assert known.mean() > 0.9
    assert (small.clicked[small.original[known]] == np.flatnonzero(known)).all()


def test_the_oracles_noise_is_scaled():
    none, standard, twice = (scaled(level) for level in (0.0, 1.0, 2.0))
    assert (none.leak, none.half, none.warp, none.features) == (0, 0, 0, 0)
    assert standard == Noise() and twice.leak == 2 * standard.leak and twice.warp == 2 * standard.warp
    assert scaled(10).leak == 1


def test_without_noise_votes_are_the_persons_part(setup: Setup):
    file = find_meshes(setup.dataset)[0]
    item = file.load()
    model = prepare(item.mesh, 500)
    oracle = OracleRecipe(item.people[item.central], 0, scaled(0.0))(model)
    votes = fidelity.Votes(model, oracle, 20)
    click = int(item.mesh.vertices[:, 2].argmax())
    answer = votes.answer([(click, True)])
    seen = votes.shown_with(click)
    clear = np.abs(item.mesh.vertices[:, 2]) > 0.2
    assert (answer[seen & clear] == (item.mesh.vertices[seen & clear, 2] > 0)).all()


def test_every_experiment_has_its_own_name_and_question():
    assert all(name == experiment.name for name, experiment in EXPERIMENTS.items())
    assert all("?" in experiment.question for experiment in EXPERIMENTS.values())
