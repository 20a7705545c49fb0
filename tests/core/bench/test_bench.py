"""The benchmark: reading labelled meshes, the interactive protocol, running and resuming, reports."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
from support.shapes import bottom, dumbbell, tiny_settings, write_off

from iseg_core.bench import run
from iseg_core.bench.dataset import LabelledMesh, find_meshes
from iseg_core.bench.experiment import Experiment, Report, Setup, Table
from iseg_core.bench.experiments import clicks as experiments_clicks
from iseg_core.bench.report import markdown, write_report
from iseg_core.cli.main import main
from iseg_core.clicks.simulated_user import VertexTarget, simulate
from iseg_core.errors import Cancelled, SettingsError
from iseg_core.training.settings import PRESETS, Preset

PSB = Path(__file__).resolve().parents[4] / "shared" / "data" / "psb_dev"


def halves(mesh) -> np.ndarray:
    """Faces above and below the neck. [F]"""
    return (mesh.vertices[mesh.faces].mean(axis=1)[:, 2] > 0).astype(int)


def write_princeton(folder: Path, names=("1", "22"), subdivisions: int = 2) -> Path:
    mesh = dumbbell(subdivisions)
    for name in names:
        write_off(folder / "off" / f"{name}.off", mesh)
        place = folder / "seg" / name
        place.mkdir(parents=True)
        rng = np.random.default_rng(0)
        for person in range(3):
            labels = halves(mesh) if person else rng.integers(0, 5, len(mesh.faces))  # one of them labels nonsense
            np.savetxt(place / f"{name}_{person}.seg", labels, fmt="%d")
    return folder


@pytest.fixture
def tiny(monkeypatch) -> str:
    monkeypatch.setitem(PRESETS, "tiny", Preset("Tiny", "", tiny_settings(preset="tiny")))
    return "tiny"


# datasets


def test_princeton_layout(tmp_path):
    files = find_meshes(write_princeton(tmp_path))
    assert [(file.name, file.category) for file in files] == [("1", "Human"), ("22", "Cup")]
    item = files[0].load()
    assert len(item.people) == 3
    assert item.central != 0  # the person who labelled nonsense agrees with nobody
    assert len(item.parts) == 2


def test_index_names_category_and_central_person(tmp_path):
    write_princeton(tmp_path)
    (tmp_path / "index.csv").write_text("id,category,central_seg\n1,Spoon,1_0.seg\n")
    files = find_meshes(tmp_path)
    assert (files[0].category, files[1].category) == ("Spoon", "Cup")
    assert files[0].load().central == 0


def test_any_folder_with_labels_beside_meshes(tmp_path):
    mesh = dumbbell(2)
    write_off(tmp_path / "toys" / "bell.off", mesh)
    write_off(tmp_path / "toys" / "unlabelled.off", mesh)
    np.savetxt(tmp_path / "toys" / "bell_ann.txt", halves(mesh), fmt="%d")
    np.savetxt(tmp_path / "toys" / "bell_bob.txt", 1 - halves(mesh), fmt="%d")
    (file,) = find_meshes(tmp_path)
    assert (file.name, file.category, len(file.labels)) == ("toys-bell", "toys", 2)
    np.testing.assert_array_equal(file.load().people[0], halves(mesh))


def test_labels_of_polygons_reach_their_triangles(tmp_path):
    (tmp_path / "box.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1\n"
        "f 1 2 3 4\nf 5 6 7\nf 5 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8\n"
    )
    (tmp_path / "box.seg").write_text("7\n1\n1\n2\n3\n4\n5\n")
    labels = find_meshes(tmp_path)[0].load().people[0]  # [F]
    assert labels.tolist() == [7, 7, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(
    ("content", "word"), [("0\n1\n", "labels 2 faces"), ("0\nhead\n", "whole number")], ids=["count", "words"]
)
def test_labels_that_do_not_fit_are_refused(tmp_path, content, word):
    mesh = dumbbell(1)
    write_off(tmp_path / "bell.off", mesh)
    (tmp_path / "bell.seg").write_text(content)
    with pytest.raises(SettingsError, match=word):
        find_meshes(tmp_path)[0].load()


def test_folder_without_labelled_meshes_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no labelled meshes"):
        find_meshes(tmp_path)


# the protocol


def labelled(subdivisions: int = 2) -> LabelledMesh:
    mesh = dumbbell(subdivisions)
    other = (mesh.vertices[mesh.faces].mean(axis=1)[:, 2] > 1.2).astype(int)  # [F] nearly all is one part
    return LabelledMesh("bell", "Dumbbell", mesh, [halves(mesh), other], 0)


def test_a_perfect_answer_scores_one_and_needs_one_click():
    item = labelled()
    target = VertexTarget(item.mesh, item.parts[0])
    found, clicks = simulate(target, lambda clicks: target.vertices.astype(float), 20)
    assert found[0] == pytest.approx(1, abs=0.05)
    assert experiments_clicks.clicks_to_reach(found, 0.85) == 1


def test_best_person_is_the_one_whose_part_fits_best():
    item = labelled()
    target = VertexTarget(item.mesh, item.parts[0])
    vertex = bottom(item.mesh)
    answer = target.vertices.astype(float)  # [V]
    assert experiments_clicks.best_person(item, target, vertex, answer) == target.iou(answer)
    everything = np.ones(len(answer))  # [V] about what the other person takes for the part
    assert experiments_clicks.best_person(item, target, vertex, everything) > target.iou(everything)


def test_record_of_a_mesh(tmp_path, tiny):
    setup = Setup(tmp_path, preset=tiny)
    item = labelled()
    record = experiments_clicks.measure(item, setup)
    json.dumps(record, default=float)
    assert len(record["parts"]) == 2
    for part in record["parts"]:
        assert set(part["methods"]) == set(experiments_clicks.METHODS)
        for method in part["methods"].values():
            assert len(method["iou"]) == experiments_clicks.LIMIT
            assert all(0 <= value <= 1 for value in method["iou"])
        assert part["methods"]["trained"]["broken"] == part["methods"]["instant"]["broken"] == 0
        assert part["methods"]["shell"]["iou"] == pytest.approx([part["area"]] * experiments_clicks.LIMIT, abs=1e-5)
    again = experiments_clicks.measure(item, setup)  # from the stored model
    assert again["parts"] == record["parts"]
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_scores_are_means_over_parts():
    iou = [[0.5] * 3 + [0.9] * 17, [0.7] * 20]
    record = {"parts": [{"methods": {"trained": {"iou": row, "best person": 0.8}}} for row in iou]}
    found = experiments_clicks.scores(record, "trained")
    assert found["@1"] == pytest.approx(0.6)
    assert found["@10"] == pytest.approx(0.8)
    assert found["NoC@85"] == pytest.approx((4 + 20) / 2)
    assert found["best person@1"] == pytest.approx(0.8)


# running


def measure_here(file, names, setup, threads):
    """As a process of its own would; that one would not know the tiny preset."""
    said = []
    pipe = SimpleNamespace(send=said.append)
    run._work(file, names, setup, threads, pipe)
    return said[0]


def test_a_mesh_is_measured_in_a_process_of_its_own(tmp_path):
    data = write_princeton(tmp_path / "data", names=("22",))
    (data / "seg" / "22" / "22_1.seg").write_text("1\n2\n")
    file = find_meshes(data)[0]
    problem = run._measure_apart(file, ["clicks"], Setup(tmp_path / "out", dataset=data), 1)
    assert problem and "22_1.seg labels 2 faces" in problem


def test_command_measures_reports_and_resumes(tmp_path, tiny, capsys, monkeypatch):
    monkeypatch.setattr(run, "_measure_apart", measure_here)
    monkeypatch.setattr(experiments_clicks, "LIMIT", 10)
    data, out = write_princeton(tmp_path / "data"), tmp_path / "report"
    # A mesh whose labels do not fit: it fails, and the other one is measured.
    (data / "seg" / "22" / "22_1.seg").write_text("1\n2\n")
    command = ["bench", str(data), "-o", str(out), "--preset", tiny, "--experiment", "clicks"]
    assert main(command) == 1
    first = (out / "table.md").read_text()
    assert "Meshes that failed" in first and "22_1.seg labels 2 faces" in first
    results = json.loads((out / "results.json").read_text())
    assert list(results["records"]["clicks"]) == ["1"]
    for picture in ("clicks.png", "categories.png", "cases.png", "worst.png"):
        assert (out / picture).read_bytes()[:4] == b"\x89PNG"
    written = (out / "records" / "clicks" / "1.json").stat().st_mtime_ns

    labels = (data / "seg" / "22" / "22_2.seg").read_text()
    (data / "seg" / "22" / "22_1.seg").write_text(labels)
    assert main(command) == 0
    assert (out / "records" / "clicks" / "1.json").stat().st_mtime_ns == written  # not measured again
    results = json.loads((out / "results.json").read_text())
    assert list(results["records"]["clicks"]) == ["1", "22"]
    # The two meshes are the same: so are their figures, whenever they are measured.
    one, two = (results["records"]["clicks"][name]["parts"] for name in ("1", "22"))
    assert one == two
    assert "IoU after k clicks: 2 meshes, 4 parts" in capsys.readouterr().out


def test_unknown_experiment_and_preset_are_refused(tmp_path):
    data = write_princeton(tmp_path / "data")
    with pytest.raises(SettingsError, match="Unknown experiment 'nonsense'"):
        run.bench(Setup(tmp_path, dataset=data), ["nonsense"])
    with pytest.raises(SettingsError, match="Unknown preset"):
        run.bench(Setup(tmp_path, preset="nonsense", dataset=data))


def test_stopping_keeps_what_was_measured(tmp_path, monkeypatch):
    data = write_princeton(tmp_path / "data")
    setup = Setup(tmp_path / "out", dataset=data)
    files = find_meshes(data)

    def measure_apart(file, names, setup, threads):
        if file.name == "22":
            raise KeyboardInterrupt
        path = run._record_path(setup, "clicks", file)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"key": run._key(setup, "clicks", file), "record": {"parts": []}}))

    monkeypatch.setattr(run, "_measure_apart", measure_apart)
    with pytest.raises(Cancelled, match="goes on from there"):
        run.bench(setup, ["clicks"], workers=1)
    assert run._read(setup, "clicks", files[0]) == {"parts": []}
    assert run._read(setup, "clicks", files[1]) is None


def test_a_record_of_other_settings_or_labels_is_stale(tmp_path):
    data = write_princeton(tmp_path / "data")
    setup = Setup(tmp_path / "out", dataset=data)
    file = find_meshes(data)[0]
    key = run._key(setup, "clicks", file)
    assert key != run._key(Setup(tmp_path / "out", dataset=data, seed=1), "clicks", file)
    assert key != run._key(Setup(tmp_path / "out", dataset=data, preset="draft"), "clicks", file)
    assert key == run._key(Setup(tmp_path / "elsewhere", dataset=data), "clicks", file)
    file.labels[0].write_text(file.labels[0].read_text().replace("1", "2"))
    assert key != run._key(setup, "clicks", find_meshes(data)[0])


# reports


def test_markdown_table():
    text = markdown(Table("Scores", [{"method": "a|b", "@1": 0.12345, "none": None}], "Where from."))
    assert text == "### Scores\n\n| method | @1 | none |\n| --- | --- | --- |\n| a/b | 0.123 |  |\n\nWhere from.\n"


def test_times_stay_out_of_the_table(tmp_path, monkeypatch):
    found = Report([Table("Figures", [{"value": 1}])], [])
    experiment = Experiment("made up", "Why?", lambda item, setup: {}, lambda records, setup: found)
    monkeypatch.setattr("iseg_core.bench.report.experiments", lambda: {"made up": experiment})
    texts = []
    for seconds in (1.0, 2.0):
        records = {"made up": {"mesh": {"value": 1, "machine": {"train s": seconds}}}}
        write_report(Setup(tmp_path), records, {}, Console(quiet=True))
        texts.append((tmp_path / "table.md").read_text())
        assert f"| mesh | {seconds:.3f} |" in (tmp_path / "times.md").read_text()
    assert texts[0] == texts[1]


@pytest.mark.skipif(not PSB.is_dir(), reason="needs the labelled meshes in ../shared/data/psb_dev")
def test_real_meshes_have_the_parts_that_were_counted():
    files = find_meshes(PSB)
    assert len(files) == 19
    item = next(file for file in files if file.name == "36").load()
    assert (item.category, len(item.people), len(item.parts)) == ("Cup", 12, 2)
