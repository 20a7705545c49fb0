"""Meshes with nested parts: reading them, and measuring them with users who click points and see faces."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.shapes import dumbbell, join, moved, sphere, tiny_settings, write_off

import iseg_core as iseg
from iseg_core.bench import run
from iseg_core.bench.experiment import INSTANT, Setup
from iseg_core.bench.experiments import nested
from iseg_core.bench.nested import NestedFile, find_nested
from iseg_core.bench.pictures import best_direction
from iseg_core.cli.main import main
from iseg_core.clicks.click import Click, SurfacePoint
from iseg_core.errors import IsegError, MeshError, SettingsError
from iseg_core.geometry.domain import Domain
from iseg_core.training.settings import PRESETS, Preset

SHARED = Path(__file__).resolve().parents[4] / "shared"
PARTS, TOOL = SHARED / "data" / "parts", SHARED / "tools" / "assets.py"


def two_shells() -> iseg.Mesh:
    """A ball of 162 vertices, and above it a smaller one of 42."""
    return join(sphere(2), moved(sphere(1), (0, 0, 2), 0.3))


def parts_of(mesh: iseg.Mesh) -> np.ndarray:
    """The upper half of the big ball, the small one, both. [T, F] bool"""
    z = mesh.vertices[mesh.faces].mean(axis=1)[:, 2]  # [F]
    small = np.arange(len(mesh.faces)) >= 320
    return np.array([(z > 0) & ~small, small, z > 0])


def write(path: Path, packed: bool = False, **changes: Any) -> Path:
    """Write a file of two_shells, some of its arrays changed; None leaves one out."""
    mesh = two_shells()
    parts = parts_of(mesh)
    arrays = {
        "vertices": mesh.vertices.astype(np.float32),
        "faces": mesh.faces,
        "parts": np.packbits(parts, axis=1) if packed else parts,
        "names": np.array(["bone:Head", "material:2", "toy:all"]),
        "anything": np.zeros(3),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


# reading


@pytest.mark.parametrize("packed", [False, True])
def test_parts_are_read_packed_or_not(tmp_path: Path, packed: bool):
    item = NestedFile(write(tmp_path / "balls__two.npz", packed)).load()
    assert (item.name, item.collection) == ("balls__two", "balls")
    np.testing.assert_array_equal(item.parts, parts_of(two_shells()))
    assert [item.kind(k) for k in range(3)] == ["bone", "material", "toy"]
    assert [len(np.unique(item.shells[part])) for part in item.parts] == [1, 1, 2]


def test_vertices_and_shells_are_counted_as_they_are_seen(tmp_path: Path):
    mesh = two_shells()
    apart = mesh.vertices[mesh.faces.ravel()]  # [3F, 3] every face has corners of its own
    apart = apart + np.random.default_rng(0).normal(0, 1e-12, apart.shape)
    corners = np.arange(len(apart), dtype=np.int32).reshape(-1, 3)  # [F, 3]
    item = NestedFile(write(tmp_path / "soup.npz", vertices=np.vstack([[[5, 5, 5]], apart]), faces=corners + 1)).load()
    assert item.collection == ""
    assert len(np.unique(item.shells)) == 2 and np.ptp(item.shells[:320]) == np.ptp(item.shells[320:]) == 0
    assert len(np.unique(item.places)) == 162 + 42 + 1


def test_bodies_are_a_kind_of_their_own(tmp_path: Path):
    item = NestedFile(write(tmp_path / "makehuman__000.npz")).load()
    assert {item.kind(k) for k in range(3)} == {"body"}


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"parts": None}, SettingsError, "parts is not a file in the archive.*Give the arrays"),
        ({"parts": np.ones((3, 7), bool)}, SettingsError, r"parts are bool \[3, 7\], for 3 names and 400 faces"),
        ({"parts": np.ones((3, 400))}, SettingsError, "parts are float64"),
        ({"names": np.array(["bone:Head"])}, SettingsError, "for 1 names and 400 faces"),
        ({"names": np.array([None, "a", "b"])}, SettingsError, "Object arrays cannot be loaded"),
        (
            {"faces": np.arange(1600).reshape(400, 4) % 200},
            SettingsError,
            r"faces have the shape \[400, 4\]. Give triangles",
        ),
        ({"faces": np.full((400, 3), 999)}, MeshError, "names vertex 999"),
    ],
    ids=["absent", "faces", "numbers", "names", "objects", "quads", "mesh"],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict, error: type[IsegError], said: str):
    with pytest.raises(error, match=said):
        NestedFile(write(tmp_path / "x.npz", **changes)).load()


def test_what_is_no_archive_is_refused(tmp_path: Path):
    (tmp_path / "x.npz").write_text("vertices")
    with pytest.raises(SettingsError, match=r"x\.npz: .* Give the arrays vertices, faces, parts and names"):
        NestedFile(tmp_path / "x.npz").load()


def test_meshes_come_in_one_order_by_chance(tmp_path: Path):
    for name in "abcdefgh":
        write(tmp_path / f"{name}.npz")
    names = [file.name for file in find_nested(tmp_path)]
    assert names == ["abcdefgh"[i] for i in np.random.default_rng(11).permutation(8)]


# measuring


def test_record_of_a_mesh(tmp_path: Path):
    write(tmp_path / "balls__two.npz")
    item = find_nested(tmp_path)[0].load()

    def shell(clicks: list[Click], domain: str) -> np.ndarray:
        """The shells of the including clicks."""
        assert domain == "face"
        clicked = [prompt.face for prompt, include in clicks if include and isinstance(prompt, SurfacePoint)]
        return np.isin(item.shells, item.shells[clicked]).astype(np.float32)  # [F]

    setup: Any = SimpleNamespace(segmenter=lambda mesh: SimpleNamespace(segment=shell))
    record = json.loads(json.dumps(nested.measure(item, setup)))
    assert (record["vertices"], record["faces"], record["shells"]) == (204, 400, 2)
    assert {part["name"] for part in record["parts"]} == set(item.names)
    for part in record["parts"]:
        assert part["shells"] == (2 if part["kind"] == "toy" else 1)
        assert len(part["iou"]) == nested.CLICKS and len(part["clicks"]) <= nested.CLICKS
        face, a, b, c, include = part["clicks"][0]
        assert include and item.parts[part["part"], face]
        clicks = [nested._as_click(numbers) for numbers in part["clicks"]]
        assert isinstance(clicks[0].prompt, SurfacePoint) and clicks[0].prompt.barycentric == (a, b, c)
    half, small, both = (next(p for p in record["parts"] if p["name"] == name) for name in item.names)
    assert small["iou"] == [1.0] * nested.CLICKS and len(small["clicks"]) == 1  # a shell: one click is enough
    assert small["area"] == pytest.approx(0.08, abs=0.01)
    big = 1 - small["area"]
    assert half["iou"] == pytest.approx([half["area"] / big] * nested.CLICKS, abs=1e-5)  # the whole shell is taken
    assert not half["clicks"][1][-1]  # its lower half is wrong
    assert both["area"] == pytest.approx(half["area"] + small["area"])


def test_at_most_four_parts_of_a_mesh_always_the_same(tmp_path: Path):
    parts = np.zeros((9, 400), bool)
    parts[np.arange(9), np.arange(9) * 30] = True
    names = np.array([f"node:{k}" for k in range(9)])
    parts[3] = False  # a part without faces
    item = NestedFile(write(tmp_path / "many.npz", parts=parts, names=names)).load()
    chosen = np.random.default_rng(1).permutation(9)[:4]
    found = [part["part"] for part in nested.measure(item, Setup(tmp_path, INSTANT))["parts"]]
    assert found == [k for k in chosen if k != 3]


def part_of(kind: str, iou: list[float], shells: int = 1) -> dict:
    return {"part": 0, "name": f"{kind}:x", "kind": kind, "shells": shells, "area": 0.5, "iou": iou, "clicks": []}


def test_figures_are_means_over_parts_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nested, "_draw", lambda *_: [])
    good, bad = [1.0, 1.0, 1.0, 1.0, 1.0], [0.5, 0.2, 0.4, 0.35, 0.35]
    records = {
        "one": {"collection": "", "vertices": 299, "shells": 1, "parts": [part_of("bone", good), part_of("toy", bad)]},
        "two": {
            "collection": "",
            "vertices": 300,
            "shells": 3,
            "parts": [part_of("node", bad), part_of("body", good, 2)],
        },
        "three": {"collection": "", "vertices": 900, "shells": 3, "parts": [part_of("material", good)]},
        "none": {"collection": "", "vertices": 9, "shells": 1, "parts": []},
    }
    tables = nested.report(records, Setup(tmp_path)).tables
    rows = {row["kind"]: row for row in tables[0].rows}
    assert list(rows) == [
        "body (one smooth shell)",
        "character (bones)",
        "object (nodes, materials)",
        "toy",
        "part that is one of several shells",
        "part of several shells",
        "mesh of fewer than 300 vertices",
        "all",
    ]
    assert rows["all"] == pytest.approx(
        {"kind": "all", "meshes": 3, "parts": 5, "@1": 0.8, "@2": 0.68, "@3": 0.76, "@5": 0.74, "worse": 2 / 20}
    )
    objects = rows["object (nodes, materials)"]
    assert (objects["meshes"], objects["parts"], objects["@2"], objects["worse"]) == (2, 2, 0.6, 1 / 8)
    assert rows["toy"]["@2"] == 0.2 and rows["character (bones)"]["@1"] == 1.0
    assert rows["part that is one of several shells"]["parts"] == 2
    assert (rows["part of several shells"]["parts"], rows["part of several shells"]["@5"]) == (1, 1.0)
    assert (rows["mesh of fewer than 300 vertices"]["parts"], rows["mesh of fewer than 300 vertices"]["@1"]) == (
        2,
        0.75,
    )
    assert [table.title for table in tables][1:] == ["The worst ten"]
    assert [row["@3"] for row in tables[1].rows] == [0.4, 0.4, 1.0, 1.0, 1.0]
    assert nested.report({"none": records["none"]}, Setup(tmp_path)).tables == []


def test_collections_have_a_table_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nested, "_draw", lambda *_: [])
    records = {
        name: {"collection": name[0], "vertices": 5, "shells": 1, "parts": [part_of("bone", [share] * 5)]}
        for name, share in (("a1", 0.2), ("a2", 0.4), ("b1", 1.0))
    }
    table = nested.report(records, Setup(tmp_path)).tables[1]
    assert [(row["collection"], row["parts"], row["@3"]) for row in table.rows] == [
        ("a", 2, pytest.approx(0.3)),
        ("b", 1, 1),
    ]


# the command


def measure_here(file, names, setup, threads):
    """As a process of its own would."""
    said = []
    run._work(file, names, setup, threads, SimpleNamespace(send=said.append))
    return said[0]


def test_command_measures_in_processes_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data, out = tmp_path / "data", tmp_path / "report"
    write(data / "balls__two.npz", packed=True)
    (data / "broken.npz").write_text("?")
    command = ["bench", str(data), "-o", str(out), "--teacher", "instant", "--workers", "1"]
    assert main(command) == 1  # one of the two has failed
    results = json.loads((out / "results.json").read_text())
    assert list(results["records"]["nested"]) == ["balls__two"] and list(results["failures"]) == ["broken"]
    text = (out / "table.md").read_text()
    assert text.startswith(f"# iSeg {iseg.__version__}: instant mode\n") and "| toy | 1 | 1 |" in text
    assert not (out / "models").exists()
    for picture in ("kinds.png", "worst-parts.png"):
        assert (out / picture).read_bytes()[:4] == b"\x89PNG" and f"({picture})" in text
    assert "ready s" in (out / "times.md").read_text()
    (data / "broken.npz").unlink()
    written = (out / "records" / "nested" / "balls__two.json").stat().st_mtime_ns
    assert main(command) == 0 and "part of several shells" in capsys.readouterr().out
    assert (out / "records" / "nested" / "balls__two.json").stat().st_mtime_ns == written  # not measured again


def test_a_teacher_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PRESETS, "tiny", Preset("Tiny", "", tiny_settings(preset="tiny")))
    monkeypatch.setattr(run, "_measure_apart", measure_here)
    write(tmp_path / "data" / "two.npz")
    assert (
        main(["bench", str(tmp_path / "data"), "-o", str(tmp_path / "out"), "--preset", "tiny", "--device", "cpu"]) == 0
    )
    assert len(list((tmp_path / "out" / "models").iterdir())) == 1


def test_experiments_fit_their_dataset(tmp_path: Path):
    write(tmp_path / "nested" / "two.npz")
    write_off(tmp_path / "labelled" / "bell.off", dumbbell(1))
    np.savetxt(tmp_path / "labelled" / "bell.seg", np.zeros(80), fmt="%d")
    kinds = [run.find_files(tmp_path / name)[0].kind for name in ("nested", "labelled")]
    assert kinds == ["nested parts", "labelled meshes"]
    assert run.choose((), kinds[0], "geometric") == ["nested"]
    assert run.choose((), kinds[1], "geometric") == ["clicks", "otsu"]
    everything = run.choose(["all"], kinds[1], "geometric")
    assert len(everything) == 11 and "nested" not in everything
    with pytest.raises(SettingsError, match="Unknown experiment 'clicks' for nested parts. Choose from: nested"):
        run.choose(["clicks"], kinds[0], "geometric")
    with pytest.raises(SettingsError, match="Unknown experiment 'nested' for labelled meshes"):
        run.choose(["nested"], kinds[1], "geometric")
    with pytest.raises(SettingsError, match="Name a teacher"):
        run.choose((), kinds[1], INSTANT)


def test_a_case_is_shown_from_where_the_wanted_part_is_seen():
    ball = sphere(2)
    middle = ball.vertices[ball.faces].mean(axis=1)  # [F, 3]
    wanted = middle[:, 0] > 0.7  # [F]
    clicked = SurfacePoint(int(middle[:, 1].argmax()), (1 / 3, 1 / 3, 1 / 3))
    direction = best_direction(ball, wanted, [clicked], Domain.FACE)  # [3]
    assert direction[0] > 0.5 and direction[1] > 0  # the part, and the click beside it
    assert best_direction(ball, middle[:, 2] < -0.7, [], Domain.FACE)[2] < -0.7


# real meshes


@pytest.mark.skipif(not (PARTS.is_dir() and TOOL.is_file()), reason="needs ../shared/data/parts and ../shared/tools")
def test_figures_are_those_of_the_tool_that_the_meshes_come_with(tmp_path: Path):
    item = NestedFile(PARTS / "cute_fish_pack__Tetra.npz").load()
    record = nested.measure(item, Setup(tmp_path, INSTANT))
    chosen = [part["part"] for part in record["parts"]]
    segmenter = iseg.instant(item.mesh)
    tool = load_tool()
    shells, found = tool.run(item.mesh.vertices, item.mesh.faces, item.parts[chosen], segmenter, nested.CLICKS)
    assert (record["shells"], [part["shells"] for part in record["parts"]]) == (shells, [p["shells"] for p in found])
    for part, other in zip(record["parts"], found, strict=True):
        np.testing.assert_allclose(part["iou"], other["iou"], atol=0.00051)


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("assets", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
