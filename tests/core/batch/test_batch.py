"""A library of meshes on a local Ray cluster: nothing is lost, nothing is done twice, whatever ends."""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.engine import until
from support.shapes import dumbbell, moved, tiny_settings, write_off

import iseg_core as iseg
from iseg_core.batch import checkpoints, report
from iseg_core.batch.library import FAILED, PRESENT, TRAINED, Entry, Result, Training, find_library, is_present
from iseg_core.batch.pool import MeshTask, Resources
from iseg_core.batch.run import LibraryJob, LibraryProgress, Running, alone, train_library
from iseg_core.cli import arguments as cli_arguments
from iseg_core.cli import main
from iseg_core.errors import SettingsError
from iseg_core.storage.checkpoint import CheckpointState
from iseg_core.teachers.registry import TEACHERS
from iseg_core.training import settings

SHORT = tiny_settings()
TRAINING = Training("geometric", SHORT, 3)


@pytest.fixture(scope="module")
def ray():
    """Two processes on this machine, as urgent as the tests: by default Ray's wait for all other programs."""
    pytest.importorskip("ray", reason="Ray, the extra `cluster`, is not installed")
    from iseg_core.batch.pool import ray_pool

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        with ray_pool(cores=2) as connected:
            yield connected


def library(folder: Path, count: int) -> list[Entry]:
    """Meshes that differ in size."""
    for i in range(count):
        write_off(folder / "meshes" / f"part{i}.off", moved(dumbbell(1), (0, 0, 0), 1 + i))
    return find_library(folder / "meshes")


def train_all(ray, entries: list[Entry], folder: Path, training: Training, **how: Any) -> list[Result]:
    return train_library(LibraryJob(ray, folder, training, **how), entries)


def by_name(results: list[Result]) -> dict[str, Result]:
    assert len({result.name for result in results}) == len(results)
    return {result.name: result for result in results}


# which meshes, which models


def test_a_folder_is_searched_and_its_order_kept_in_the_names(tmp_path):
    for name in ("b.off", "deep/a.OBJ", "deep/note.txt", ".hidden.off"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [entry.name for entry in find_library(tmp_path)] == ["b", "deep/a"]
    assert find_library(tmp_path)[1].model(Path("out")) == Path("out/deep/a.iseg")


def test_a_list_names_meshes_from_its_own_folder_on(tmp_path):
    (tmp_path / "lists").mkdir()
    listed = tmp_path / "lists" / "some.txt"
    listed.write_text("# two of them\n\nhere.off\n../elsewhere/there.ply\nhere.off\n")
    found = find_library(listed)
    assert [entry.name for entry in found] == ["here", "there"]
    assert found[1].path.resolve() == tmp_path / "elsewhere" / "there.ply"


@pytest.mark.parametrize(("files", "says"), [
    ([], "no mesh in"), (["a.off", "a.obj"], "same model, a.iseg. Rename"),
])  # fmt: skip
def test_libraries_that_cannot_be(tmp_path, files, says):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(SettingsError, match=says):
        find_library(tmp_path)


def test_a_list_that_is_none(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        find_library(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(SettingsError, match="lists no mesh"):
        find_library(tmp_path / "empty.txt")


def test_what_is_there_counts_only_for_its_own_mesh_and_training(tmp_path):
    mesh, path = dumbbell(1), tmp_path / "m.iseg"
    assert not is_present(path, mesh, TRAINING)
    iseg.train(mesh, preset=SHORT, seed=3).save(path)
    assert is_present(path, mesh, TRAINING)
    assert not is_present(path, moved(mesh, (1, 0, 0)), TRAINING)  # the mesh was edited: it is trained anew
    with pytest.raises(SettingsError, match="another training.*seed 3"):
        is_present(path, mesh, replace(TRAINING, seed=4))
    path.write_bytes(path.read_bytes()[:-1])
    assert not is_present(path, mesh, TRAINING)


# training them


def expected_frequencies() -> np.ndarray:
    """The first draw of a training's seed: a worker draws the same as this process would. [3, m]"""
    import torch

    generator = torch.Generator().manual_seed(TRAINING.seed)
    return (torch.randn(3, SHORT.fourier_frequencies, generator=generator) * SHORT.fourier_sigma).numpy()


def watched(folder: Path, killed: dict[str, int]) -> Callable:
    """train_one, which notes every start and every view that the teacher is shown, in the files `starts` and `looks`.

    Its process is killed in the middle of the first `killed` starts of a name: after all views and the field.
    """

    def train_watched(mesh: iseg.Mesh, task: MeshTask):
        import os
        import signal

        from iseg_core.batch.pool import train_one
        from iseg_core.teachers.geometric import GeometricTeacher
        from iseg_core.training import fit

        def note(what: str) -> list[str]:
            with open(folder / what, "a") as file:
                file.write(task.name + "\n")
            return (folder / what).read_text().split()

        look = GeometricTeacher.look

        def noted(self, view):
            note("looks")
            return look(self, view)

        if note("starts").count(task.name) <= killed.get(task.name, 0):
            fit.fit_decoder = lambda *inputs, **keywords: os.kill(os.getpid(), signal.SIGKILL)
        GeometricTeacher.look = noted
        try:
            return train_one(mesh, task)
        finally:  # the process trains other meshes later
            GeometricTeacher.look = look

    return train_watched


def noted(folder: Path, what: str) -> Counter[str]:
    return Counter((folder / what).read_text().split())


def test_a_killed_worker_loses_nothing_and_nothing_is_done_twice(ray, tmp_path, monkeypatch):
    monkeypatch.setattr("iseg_core.batch.run.train_one", watched(tmp_path, {"part1": 1}))
    entries = library(tmp_path, 3)
    most = 0

    def show(progress: LibraryProgress) -> None:
        nonlocal most
        most = max(most, len(progress.running))

    results = by_name(train_all(ray, entries, tmp_path / "out", TRAINING, show=show))
    assert most <= 2  # never more at once than there are cores
    assert {name: result.status for name, result in results.items()} == dict.fromkeys(results, TRAINED)
    assert {name: result.attempts for name, result in results.items()} == {"part0": 1, "part1": 2, "part2": 1}
    assert noted(tmp_path, "starts") == {"part0": 1, "part1": 2, "part2": 1}
    assert noted(tmp_path, "looks") == dict.fromkeys(results, SHORT.views)  # part1 went on behind its views
    for entry in entries:
        model, mesh = iseg.load(entry.model(tmp_path / "out")), iseg.load_mesh(entry.path)
        assert model.mesh.hash == mesh.hash
        assert np.array_equal(model.networks["field.frequencies"], expected_frequencies())
        assert iseg.Segmenter(model).segment(positive=[0]).shape == (len(mesh.vertices),)

    before = {entry.name: entry.model(tmp_path / "out").stat().st_mtime_ns for entry in entries}
    again = train_all(ray, entries, tmp_path / "out", TRAINING)
    assert [(result.status, result.attempts) for result in again] == 3 * [(PRESENT, 0)]
    assert noted(tmp_path, "starts").total() == 4
    assert before == {entry.name: entry.model(tmp_path / "out").stat().st_mtime_ns for entry in entries}
    left = {path.name for path in (tmp_path / "out").iterdir()} - {f"part{i}.iseg" for i in range(3)}
    assert left <= {".batch.lock"}  # no unfinished file, no checkpoint

    train_all(ray, entries[1:2], tmp_path / "undisturbed", TRAINING)
    one, other = (iseg.load(entries[1].model(tmp_path / folder)) for folder in ("out", "undisturbed"))
    assert np.array_equal(one.features, other.features) and one.networks.keys() == other.networks.keys()
    assert all(np.array_equal(one.networks[name], other.networks[name]) for name in one.networks)


def test_what_meshes_say_of_their_faces_reaches_the_models(ray, tmp_path):
    (tmp_path / "meshes").mkdir()
    lines = ["v 0 0 0", "v 1 0 0", "v 1 1 0", "v 0 1 0", "v .5 .5 1", "usemtl a", "f 1 2 3 4", "usemtl b"]
    lines += ["f 1 2 5", "f 2 3 5", "f 3 4 5", "f 4 1 5"]
    (tmp_path / "meshes" / "part.obj").write_text("\n".join(lines) + "\n")
    (entry,) = find_library(tmp_path / "meshes")
    mesh = iseg.load_mesh(entry.path)
    assert mesh.labels is not None and mesh.polygons is not None
    for folder, spread, marks in (("out", None, True), ("spread", 1, True), ("bare", None, False)):
        (result,) = train_all(ray, [entry], tmp_path / folder, TRAINING, spread=spread, marks=marks)
        model = iseg.load(entry.model(tmp_path / folder)).mesh
        assert result.status == TRAINED and model.polygons is not None
        assert model.polygons.tolist() == mesh.polygons.tolist()
        assert (model.labels is not None) == marks and (model.labels is None or (model.labels == mesh.labels).all())
        (again,) = train_all(ray, [entry], tmp_path / folder, TRAINING, spread=spread, marks=marks)
        assert again.status == PRESENT  # a model without them is of another mesh, and would be trained anew each time


def test_a_mesh_that_fails_stops_no_other(ray, tmp_path):
    library(tmp_path, 2)
    (tmp_path / "meshes" / "broken.off").write_text("OFF\nnonsense\n")
    flat = iseg.Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]], dtype=np.int32))
    write_off(tmp_path / "meshes" / "flat.off", flat)
    results = by_name(train_all(ray, find_library(tmp_path / "meshes"), tmp_path / "out", TRAINING))
    assert {name: result.status for name, result in results.items()} == {
        "part0": TRAINED, "part1": TRAINED, "broken": FAILED, "flat": FAILED,
    }  # fmt: skip
    assert results["broken"].attempts == results["flat"].attempts == 0
    assert "broken.off" in results["broken"].reason and "no size" in results["flat"].reason


def test_a_library_of_big_meshes_is_spread(ray, tmp_path):
    entries = library(tmp_path, 2)
    (tmp_path / "meshes" / "broken.off").write_text("OFF\nnonsense\n")
    seen: set[str] = set()
    results = by_name(
        train_all(
            ray,
            find_library(tmp_path / "meshes"),
            tmp_path / "out",
            TRAINING,
            show=lambda progress: seen.update(running.stage for running in progress.running),
            spread=2,
        )
    )
    assert {name: result.status for name, result in results.items()} == {
        "part0": TRAINED, "part1": TRAINED, "broken": FAILED,
    }  # fmt: skip
    assert seen >= {"observe", "field", "decoder"}
    assert all(is_present(entry.model(tmp_path / "out"), iseg.load_mesh(entry.path), TRAINING) for entry in entries)
    with pytest.raises(SettingsError, match="64 cores shall work on one mesh"):
        train_all(ray, entries, tmp_path / "out", TRAINING, spread=64)


def test_a_worker_that_always_ends_is_given_up_and_the_next_command_goes_on(ray, tmp_path, monkeypatch):
    monkeypatch.setattr("iseg_core.batch.run.train_one", watched(tmp_path, {"part0": 2}))
    entries = library(tmp_path, 1)
    (result,) = train_all(ray, entries, tmp_path / "out", TRAINING, retries=1)
    assert result.status == FAILED and result.attempts == 2
    assert "process ended" in result.reason and "Tried 2 times" in result.reason
    assert not entries[0].model(tmp_path / "out").exists()
    assert list((tmp_path / "out").rglob("*.checkpoint")) and not list((tmp_path / "out").rglob("*.mark"))
    (result,) = train_all(ray, entries, tmp_path / "out", TRAINING)
    assert result.status == TRAINED and noted(tmp_path, "looks") == {"part0": SHORT.views}
    assert not (tmp_path / "out" / checkpoints.FOLDER).exists()


def test_a_machine_that_does_not_share_the_folder_keeps_nothing_there(tmp_path):
    (tmp_path / "out").mkdir()
    state = CheckpointState({}, {"x": np.zeros(1)})
    with checkpoints.keeping(tmp_path / "out") as command:
        here = command.place("deep/part")
        elsewhere = here._replace(mark=here.mark.with_name("another" + checkpoints.MARK))
        for place, keeps in ((elsewhere, False), (here, True)):
            checkpoint = place.open()
            checkpoint.of({"mesh": "m"})
            checkpoint.keep("observe", lambda: state, last=True)
            assert here.folder.exists() == keeps
    assert here.folder.exists() and not here.mark.exists()  # the training did not end
    here.mark.touch()  # a command that was killed leaves it
    with checkpoints.keeping(tmp_path / "out") as command:
        assert command.place("deep/part") != here and not here.mark.exists()
        assert command.place("deep/part").folder == here.folder != command.place("deep").folder
        command.remove("deep/part")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_defect_is_told_with_its_place(ray, tmp_path, monkeypatch):
    def broken(*inputs):
        return 1 / 0

    monkeypatch.setattr("iseg_core.batch.run.train_one", broken)
    monkeypatch.setattr("iseg_core.batch.split_views.train_split", lambda *inputs, **keywords: 1 / 0)
    for spread in (None, 1):
        (result,) = train_all(ray, library(tmp_path, 1), tmp_path / "out", TRAINING, retries=1, spread=spread)
        assert result.status == FAILED and result.attempts == 2
        assert "ZeroDivisionError: division by zero (test_batch.py, line " in result.reason
    monkeypatch.setattr("iseg_core.batch.run.load_mesh", lambda path, marks: 1 / 0)
    (result,) = train_all(ray, library(tmp_path, 1), tmp_path / "out", TRAINING)
    assert result.status == FAILED and "ZeroDivisionError" in result.reason


def test_progress_reaches_the_command(ray, tmp_path):
    """With a training that lasts long enough to be looked at."""
    seen: dict[str, int] = {}

    def show(progress: LibraryProgress) -> None:
        seen.update((running.stage, running.pid) for running in progress.running)
        if seen:
            raise KeyboardInterrupt

    long = replace(TRAINING, settings=replace(SHORT, decoder_steps=10**6))
    with pytest.raises(KeyboardInterrupt):
        train_all(ray, library(tmp_path, 1), tmp_path / "out", long, show=show)
    assert all(pid != os.getpid() for pid in seen.values())


def test_what_a_worker_refuses_is_not_tried_again(ray, tmp_path):
    entries = library(tmp_path, 1)
    (result,) = train_all(ray, entries, tmp_path / "out", replace(TRAINING, settings=replace(SHORT, proxy_vertices=0)))
    assert result.status == FAILED and result.reason


def test_a_stopped_run_keeps_what_is_there(ray, tmp_path):
    entries = library(tmp_path, 3)

    def stop(progress: LibraryProgress) -> None:
        if any(result.status == TRAINED for result in progress.results):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_all(ray, entries, tmp_path / "out", TRAINING, show=stop)
    results = by_name(train_all(ray, entries, tmp_path / "out", TRAINING))
    status = [result.status for result in results.values()]
    assert len(status) == 3 and status.count(PRESENT) >= 1 and FAILED not in status


def test_two_commands_do_not_share_a_folder(ray, tmp_path):
    with alone(tmp_path / "out"):
        with pytest.raises(SettingsError, match="Another command is training"):
            train_all(ray, library(tmp_path, 1), tmp_path / "out", TRAINING)
    with alone(tmp_path / "out"):
        pass


@pytest.mark.parametrize(
    ("resources", "says"), [(Resources(cores=64), "64 cores"), (Resources(gpu=0.5), "finds 0 here")]
)
def test_what_this_machine_lacks_is_said_before_the_work(ray, tmp_path, resources, says):
    if ray.cluster_resources().get("GPU"):
        pytest.skip("there is a GPU here")
    with pytest.raises(SettingsError, match=says):
        train_all(ray, library(tmp_path, 1), tmp_path / "out", TRAINING, resources=resources)


def test_a_spread_mesh_whose_worker_was_killed_is_begun_anew(ray, tmp_path, monkeypatch):
    from iseg_core.batch import split_views

    mark, worker = tmp_path / "killed", split_views.ViewWorker

    class Mortal(worker):
        """Ends in the middle of its views; once, or in each of the workers at once."""

        def show(self, *asked):
            import os
            import signal

            seen = worker.show(self, *asked)
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return seen

    monkeypatch.setattr(split_views, "ViewWorker", Mortal)
    entries = library(tmp_path, 2)
    results = by_name(train_all(ray, entries, tmp_path / "out", TRAINING, spread=2))
    assert mark.exists() and [result.status for result in results.values()] == [TRAINED] * 2
    assert [results[name].attempts for name in ("part0", "part1")] == [2, 1]
    assert all(iseg.load(entry.model(tmp_path / "out")).networks for entry in entries)


def test_a_worker_computes_with_its_own_cores_only(ray):
    def threads() -> tuple[int, str | None]:
        import torch

        from iseg_core.batch.pool import settle
        from iseg_core.version import __version__

        settle(__version__, Resources())
        return torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")

    assert ray.get(ray.remote(num_cpus=1)(threads).remote()) == (1, "1")


def test_a_worker_reads_the_weights_of_a_library_once(monkeypatch):
    from iseg_core.batch import pool
    from iseg_core.version import __version__

    read, taught = [], []
    monkeypatch.setattr("iseg_core.teachers.make.locate", lambda name: (TEACHERS["sam_vit_b"], Path(name)))
    monkeypatch.setattr(
        "iseg_core.teachers.sam.make", lambda *asked: read.append((str(asked[1]), asked[3])) or object()
    )
    module = import_module("iseg_core.training.train")  # the package's attribute of that name is the function
    monkeypatch.setattr(
        module, "train", lambda mesh, teacher, **_: taught.append(teacher if teacher == "geometric" else teacher(None))
    )
    monkeypatch.setattr(pool, "settle", lambda *_: None)  # it would settle this process
    place, mesh = SimpleNamespace(open=lambda: None), dumbbell(1)
    for weights in ("sam_vit_b", "sam_vit_b", "other.pth", "geometric"):
        training = Training(weights, SHORT, 0)
        task = MeshTask("part", training, place, Resources(), None, __version__)  # pyright: ignore[reportArgumentType]
        pool.train_one(mesh, task)
    assert read == [("sam_vit_b", "cpu"), ("other.pth", "cpu")]
    assert taught[0] is taught[1] is not taught[2] and taught[3] == "geometric"
    pool.held.clear()


def test_a_worker_with_another_iseg_is_refused():
    from iseg_core.batch.pool import settle

    with pytest.raises(SettingsError, match="iSeg 0.0.0. Install the same"):
        settle("0.0.0", Resources())


def test_a_worker_keeps_to_its_share_of_a_gpu(monkeypatch):
    import torch

    from iseg_core.batch.pool import settle
    from iseg_core.version import __version__

    shares = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    monkeypatch.setattr("iseg_core.system.device.kernel_defect", lambda device: "")
    for gpu in (0, 0.25, 1):
        settle(__version__, Resources(torch.get_num_threads(), gpu))
    assert shares == [0.25]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="no device 'cuda'"):  # never on the processor instead, unasked
        settle(__version__, Resources(torch.get_num_threads(), 0.25))


# what is said


def test_the_report_names_failures_first(tmp_path, capsys):
    results = [
        Result("b", TRAINED, "", 2, 3.5, 100, "box"),
        Result("a|c", FAILED, "no | area.", 1),
        Result("d", PRESENT, vertices=7),
    ]
    report.write_report(tmp_path, TRAINING, results, 10.0)
    record = json.loads((tmp_path / "batch.json").read_text())
    assert [mesh["name"] for mesh in record["meshes"]] == ["a|c", "b", "d"]
    assert record["training"] == {"teacher": "geometric", "preset": "draft", "seed": 3}
    table = (tmp_path / "batch.md").read_text()
    assert table.startswith("# 1 trained, 1 there already, 1 failed\n") and r"no \| area." in table
    report.print_summary(results)
    printed = capsys.readouterr().out
    assert "no | area." in printed and printed.endswith("1 trained, 1 there already, 1 failed.\n")


def test_the_screen_shows_all_that_run():
    from rich.console import Console

    running = [Running(f"mesh{i}", "observe", 0.5, 3.0, "box", i) for i in range(20)]
    console = Console(width=120, record=True, file=open(os.devnull, "w"))
    console.print(report.draw(LibraryProgress(30, [Result("x", TRAINED)], running)))
    shown = console.export_text()
    assert "1 of 30" in shown and "mesh0" in shown and "3 s left" in shown and "and 8 more" in shown


def test_a_board_that_cannot_be_asked_stops_nothing(ray):
    from iseg_core.batch.pool import make_board, read_board

    board = make_board(ray)
    ray.get(board.tell.remote("a", ("observe", 0.5, None, "box", 1)))
    assert read_board(ray, board) == {"a": ("observe", 0.5, None, "box", 1)}
    ray.kill(board)
    until(lambda: read_board(ray, board) == {})  # it is told to end, and does so when it can


@pytest.mark.parametrize("spread", [[], ["--spread", "2"]])
def test_the_command(ray, tmp_path, monkeypatch, capsys, spread):
    @contextmanager
    def connected(address):
        assert address is None
        yield ray

    monkeypatch.setattr("iseg_core.batch.pool.ray_pool", connected)
    monkeypatch.setitem(settings.PRESETS, "draft", settings.Preset("Draft", "", SHORT))
    library(tmp_path, 1)
    (tmp_path / "meshes" / "broken.off").write_text("OFF\nnonsense\n")
    out = tmp_path / "out"
    command = ["batch", str(tmp_path / "meshes"), "-o", str(out), "--preset", "draft", *spread]
    assert main.main(command) == cli_arguments.FAILURE  # one failed
    printed, said = capsys.readouterr()
    assert "1 trained, 0 there already, 1 failed." in printed and "broken.off" in printed
    assert "/2 part0: trained" in said and "/2 broken: failed" in said
    assert iseg.load(out / "part0.iseg").info["preset"] == "draft"
    assert {mesh["name"] for mesh in json.loads((out / "batch.json").read_text())["meshes"]} == {"part0", "broken"}
    (tmp_path / "meshes" / "broken.off").unlink()
    assert main.main(command) == 0
    assert "0 trained, 1 there already, 0 failed." in capsys.readouterr().out


def test_wrong_arguments(tmp_path, capsys):
    for wrong in (["--gpu", "much"], ["--gpu", "1.5"], ["--cores", "0"], ["--retries", "-1"], ["--spread", "0"]):
        with pytest.raises(SystemExit):
            main.main(["batch", str(tmp_path), "-o", str(tmp_path / "out"), *wrong])
    assert main.main(["batch", str(tmp_path / "nothing"), "-o", str(tmp_path / "out")]) == cli_arguments.USAGE_ERROR
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "a.off").touch()
    assert (
        main.main(["batch", str(tmp_path), "-o", str(tmp_path / "out"), "--preset", "best"])
        == cli_arguments.USAGE_ERROR
    )
    assert "draft, standard, paper" in capsys.readouterr().err


def test_the_end_of_ray_is_a_sentence(monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray, the extra `cluster`, is not installed")
    from iseg_core.batch.pool import ray_pool

    ended: list[bool] = []
    monkeypatch.setattr(ray, "init", lambda **options: None)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(True))
    with pytest.raises(iseg.IsegError, match="node is gone.*the same command goes on"):
        with ray_pool():
            raise ray.exceptions.RaySystemError("the node is gone")

    def absent(**options):
        raise ConnectionError("nobody answers\nand more")

    monkeypatch.setattr(ray, "init", absent)
    ended.clear()
    with pytest.raises(SettingsError, match=r"cluster at far:1 \(nobody answers\)"):
        with ray_pool("far:1"):
            pass
    assert len(ended) == 1

    starts: list[int] = []

    def slow(**options):
        starts.append(1)
        if len(starts) < 3:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", slow)
    with ray_pool():
        assert len(starts) == 3


def test_without_ray_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "a.off").touch()
    assert main.main(["batch", str(tmp_path), "-o", str(tmp_path / "out")]) == cli_arguments.USAGE_ERROR
    assert 'pip install "iseg-core[cluster]"' in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--ignore-marks"]])
def test_the_command_says_whether_marks_are_heard(tmp_path, monkeypatch, more):
    library(tmp_path, 1)
    heard = []

    @contextmanager
    def connected(address):
        yield None

    monkeypatch.setattr("iseg_core.batch.pool.ray_pool", connected)
    monkeypatch.setattr("iseg_core.batch.run.train_library", lambda job, entries: heard.append(job.marks))
    assert main.main(["batch", str(tmp_path / "meshes"), "-o", str(tmp_path / "out"), *more]) == 0
    assert heard == [not more]
