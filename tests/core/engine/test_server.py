"""The server within this process: lanes, latest wins, what errors become, and a fuzz of everything it reads."""

import errno
import importlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.engine import PATIENT, icosphere, until
from support.frames import arrays, header_like, json_values, raw_frame
from support.shapes import box, sphere

import iseg_core as iseg
from iseg_core.clicks.click import size_of
from iseg_core.clicks.resolve import position_of
from iseg_core.engine import server
from iseg_core.engine import shelf as engine_shelf
from iseg_core.engine.error_fields import describe
from iseg_core.engine.handlers import Handlers
from iseg_core.engine.jobs import Done, Job, Later
from iseg_core.engine.messages import Fields, ProposeResult
from iseg_core.engine.protocol import PROTOCOL, Message, encode, read, write
from iseg_core.engine.server import Server
from iseg_core.engine.shelf import INSTANT, INSTANT_DEVICE, ModelKey
from iseg_core.errors import Cancelled, MeshError, WeightsError
from iseg_core.inference import segmenter
from iseg_core.inference.threshold import otsu
from iseg_core.progress import Progress
from iseg_core.storage.cache import Cache
from iseg_core.storage.trained_model import Model
from iseg_core.system.lru import Recent
from iseg_core.training import settings as training_settings

train_module = importlib.import_module("iseg_core.training.train")  # whose name in the package is the function's


@dataclass(frozen=True, kw_only=True)
class Said(Fields):
    """The result of a stub."""

    said: Any = None


class Stub(Handlers):
    """Handlers whose work the tests hold in their hands."""

    def __init__(self, **works: Callable[[Job], Any]):
        super().__init__()
        self.table |= {name: ("query", work) for name, work in works.items()}


class Link:
    """A server in a thread of this process, and the other ends of its pipes."""

    def __init__(self, handlers: Handlers):
        inner_source, outer_sink = os.pipe()
        outer_source, inner_sink = os.pipe()
        self.sink, self.source = os.fdopen(outer_sink, "wb", 0), os.fdopen(outer_source, "rb", 0)
        self._inner = (os.fdopen(inner_source, "rb", 0), os.fdopen(inner_sink, "wb", 0))
        self.server = Server(*self._inner, handlers)  # pyright: ignore[reportArgumentType]
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.server.run()
        until(lambda: not any(lane.busy for lane in self.server._lanes.values()))
        self._inner[1].close()

    def send(self, kind: str, id: int, fields: dict[str, Any] | None = None, **arrays: np.ndarray) -> None:
        write(self.sink, encode(Message(kind, id, fields or {}, arrays)))  # pyright: ignore[reportArgumentType]

    def receive(self) -> Message:
        message = read(self.source)  # pyright: ignore[reportArgumentType]
        assert message is not None
        return message

    def hello(self, cache: Path | None = None) -> None:
        self.send("hello", 1, {"protocol": PROTOCOL, "version": "0", "cache": cache and str(cache)})
        assert self.receive().kind == "result"

    def close(self) -> int | None:
        """End the server's input; its exit code."""
        self.sink.close()
        while self.source.read(2**16):
            pass
        self._thread.join(PATIENT)
        self.source.close()
        self._inner[0].close()
        return self.code


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_warm_up", lambda handlers: None)


@pytest.fixture
def connect() -> Iterator[Callable[[Handlers], Link]]:
    links: list[Link] = []

    def connect(handlers: Handlers) -> Link:
        links.append(Link(handlers))
        links[-1].hello()
        return links[-1]

    yield connect
    for link in links:
        assert link.close() == 0


def test_the_latest_of_a_tag_wins(connect: Callable[[Handlers], Link]):
    begun, go = threading.Event(), threading.Event()

    def slow(job: Job) -> Done:
        begun.set()
        go.wait(PATIENT)
        return Done(Said(said=job.id))

    link = connect(Stub(preview=slow))
    link.send("preview", 2, {"supersedes": "hover"})
    assert begun.wait(PATIENT)
    for id, tag in ((3, "hover"), (4, None), (5, "other"), (6, "hover"), (7, "hover")):
        link.send("preview", id, {"supersedes": tag})
    dropped = [link.receive(), link.receive()]
    assert [(m.id, m.fields["type"]) for m in dropped] == [(3, "Superseded"), (6, "Superseded")]
    go.set()
    assert [link.receive().id for _ in range(4)] == [2, 4, 5, 7]


def test_a_cancelled_request_is_answered_once_whatever_its_work_does(connect: Callable[[Handlers], Link]):
    begun, go = threading.Event(), threading.Event()

    def deaf(job: Job) -> Done:
        begun.set()
        go.wait(PATIENT)
        job.report(Progress("late", 0.5, None))
        return Done(Said(said="late"))

    link = connect(Stub(deaf=deaf))
    for id in (2, 3):
        link.send("deaf", id)
    assert begun.wait(PATIENT)
    for id in (3, 2):  # one waits, one works and does not look up
        link.send("cancel", 10 + id, {"target": id})
        assert link.receive().fields["type"] == "Cancelled"
        assert link.receive().fields == {"cancelled": True}
    go.set()
    link.send("state", 4, {"mesh": "0" * 64})
    assert link.receive().id == 4  # nothing in between


def test_the_rest_of_a_job_is_done_in_another_lane(connect: Callable[[Handlers], Link]):
    go = threading.Event()

    def wait(job: Job) -> Done:
        go.wait(PATIENT)
        return Done(Said(said=threading.current_thread().name))

    link = connect(Stub(long=lambda job: Later("train", wait), short=lambda job: Done(Said())))
    link.send("long", 2)
    link.send("short", 3)
    assert link.receive().id == 3
    link.send("long", 4)
    waits = link.receive()
    assert (waits.kind, waits.id, waits.fields["stage"]) == ("progress", 4, "wait")
    go.set()
    assert [link.receive().fields for _ in range(2)] == [{"said": "train"}] * 2


BOX = {
    "vertices": np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32),  # [8, 3]
    "faces": np.array(
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]]
        + [[2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]],
        np.int32,
    ),  # [12, 3]
}
SIDES = np.repeat(np.arange(6, dtype=np.int32), 2)  # [12]


def opened(link: Link, **arrays: np.ndarray) -> str:
    link.send("open_mesh", 2, None, **arrays)
    return link.receive().fields["mesh"]


def faces_of(link: Link, mesh: str, **more: Any) -> tuple[np.ndarray, float]:
    """The answer for faces to a click on the third one. [F], and its threshold"""
    link.send("query", 3, {"mesh": mesh, "clicks": [[[2, 0.2, 0.3, 0.5], True]], "domain": "face", **more})
    while (message := link.receive()).kind == "progress":
        pass
    return message.arrays["probability"], message.fields["threshold"]


def test_faces_are_answered_and_polygons_are_whole(connect):
    link = connect(Handlers())
    faces, threshold = faces_of(link, opened(link, **BOX, polygons=SIDES))
    assert faces.shape == (12,) and faces.dtype == np.float32
    np.testing.assert_array_equal(faces[::2], faces[1::2])
    inside = faces >= threshold  # [12]
    assert inside[2:4].all() and not inside.all()


def test_a_mesh_with_polygons_takes_the_place_of_one_without(connect):
    handlers = Handlers()
    link = connect(handlers)
    mesh = opened(link, **BOX)
    key = ModelKey(mesh, *INSTANT)

    def known() -> tuple[Any, Any]:
        """Polygons of the mesh, and of what answers."""
        made = handlers.shelf.at_hand(key, INSTANT_DEVICE)
        return handlers.shelf.mesh(mesh).polygons, made and made.model.mesh.polygons

    faces_of(link, mesh)
    assert known() == (None, None) and handlers.shelf.at_hand(key, INSTANT_DEVICE) is not None
    assert opened(link, **BOX, polygons=SIDES) == mesh  # its identity are its triangles
    assert handlers.shelf.at_hand(key, INSTANT_DEVICE) is None
    faces_of(link, mesh)
    answering = handlers.shelf.at_hand(key, INSTANT_DEVICE)
    for more in ({"polygons": SIDES}, {}):  # the same again, or less: what was made of it stays
        opened(link, **BOX, **more)
        assert handlers.shelf.at_hand(key, INSTANT_DEVICE) is answering
        np.testing.assert_array_equal(known(), (SIDES, SIDES))
    opened(link, **BOX, polygons=np.arange(12, dtype=np.int32))
    assert handlers.shelf.at_hand(key, INSTANT_DEVICE) is None


@pytest.mark.parametrize(
    "polygons", [SIDES[:-1], SIDES.astype(np.int64), SIDES - 1, SIDES + 7, SIDES[None]], ids=lambda p: str(p.shape)
)
def test_polygons_that_cannot_be(connect, polygons):
    link = connect(Handlers())
    link.send("open_mesh", 2, **BOX, polygons=polygons)
    assert link.receive().fields["sentence"] == "The polygons of 12 triangles are 12 int32 numbers of 0 to 11."


def test_marks_of_a_mesh_are_part_of_what_it_is(connect):
    handlers = Handlers()
    link = connect(handlers)
    labels, edges = np.repeat(np.arange(6, dtype=np.int32), 2), np.array([[0, 1]], np.int32)
    hashes = [opened(link, **BOX, **more) for more in ({}, {"labels": labels}, {"marked_edges": edges}, {})]
    assert len(set(hashes)) == 3 and hashes[0] == hashes[3]
    kept = handlers.shelf.mesh(hashes[1]).labels
    assert kept is not None and np.array_equal(kept, labels)
    link.send("open_mesh", 2, **BOX, labels=labels[:-1])
    assert link.receive().fields["sentence"].startswith("The labels are int32 of shape [11]")
    link.send("open_mesh", 3, **BOX, marked_edges=edges + 8)
    assert link.receive().fields["sentence"] == "A marked edge names a vertex that is none of 0 to 7."


def test_a_mesh_that_is_made_ready_does_not_keep_others_waiting(connect, monkeypatch: pytest.MonkeyPatch):
    link, go = connect(Handlers()), threading.Event()
    meshes = []
    for id, stretch in ((2, 1.0), (3, 1.5), (4, 2.0)):
        link.send("open_mesh", id, **icosphere(stretch))
        meshes.append(link.receive().fields["mesh"])

    def ask(id: int, mesh: str, tag: str | None = None) -> None:
        link.send("query", id, {"mesh": mesh, "clicks": [[3, True]], "supersedes": tag})

    def wait_for(kind: str, id: int) -> dict[str, Any]:
        while (message := link.receive()).kind == "progress" != kind:
            pass
        assert (message.kind, message.id) == (kind, id), message.fields
        return message.fields

    ask(5, meshes[0])
    wait_for("result", 5)
    prepare = segmenter.instant
    monkeypatch.setattr(segmenter, "instant", lambda mesh: go.wait(PATIENT) and prepare(mesh))
    ask(6, meshes[1])
    while wait_for("progress", 6)["stage"] != "prepare":
        pass
    ask(7, meshes[0])
    wait_for("result", 7)  # at once
    ask(8, meshes[2], "hover")
    while wait_for("progress", 8)["stage"] != "wait":
        pass
    ask(9, meshes[2], "hover")
    assert wait_for("error", 8)["type"] == "Superseded"  # in whatever lane it waits
    go.set()
    wait_for("result", 6)
    wait_for("result", 9)


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(3), KeyboardInterrupt(), RecursionError()])
def test_a_defect_ends_neither_lane_nor_server(connect: Callable[[Handlers], Link], error: BaseException):
    def broken(job: Job) -> Done:
        raise error

    link = connect(Stub(broken=broken, odd=lambda job: Done(Said(said={1, 2})), whole=lambda job: Done(Said())))
    link.send("broken", 2)
    fields = link.receive().fields
    assert fields["type"] == "InternalError" and type(error).__name__ in fields["sentence"]
    assert "in broken" in fields["traceback"]
    link.send("odd", 3)
    assert "not JSON" in link.receive().fields["sentence"]
    link.send("whole", 4)
    assert link.receive().kind == "result"


def test_progress_is_sent_at_most_ten_times_a_second(connect: Callable[[Handlers], Link], monkeypatch):
    clock = iter(np.arange(0.0, 1000.0, 0.01).tolist())

    def report(job: Job) -> Done:
        monkeypatch.setattr(server.time, "monotonic", lambda: next(clock))
        for i in range(1000):  # 10 s on this clock
            job.report(Progress("first" if i < 500 else "second", i / 1000, None))
        monkeypatch.undo()
        return Done(Said())

    link = connect(Stub(report=report))
    link.send("report", 2)
    stages = []
    while (message := link.receive()).kind == "progress":
        stages.append(message.fields["stage"])
    assert 90 <= len(stages) <= 102 and set(stages) == {"first", "second"}


def test_ids_are_used_once_and_queues_end(connect: Callable[[Handlers], Link], monkeypatch: pytest.MonkeyPatch):
    go = threading.Event()
    monkeypatch.setattr(server, "QUEUE_LIMIT", 3)
    link = connect(Stub(wait=lambda job: Done(Said(said=go.wait(PATIENT)))))
    for id in (2, 3, 4, 4, 0, 5):
        link.send("wait", id)
    refused = [link.receive() for _ in range(3)]
    assert [m.id for m in refused] == [0, 0, 5]  # an answer to 4 would be taken for that of the first 4
    assert "taken" in refused[0].fields["sentence"] and "under way" in refused[2].fields["sentence"]
    go.set()
    assert [link.receive().id for _ in range(3)] == [2, 3, 4]


def test_no_more_is_taken_in_than_memory_may_hold(connect: Callable[[Handlers], Link], monkeypatch: pytest.MonkeyPatch):
    go = threading.Event()
    monkeypatch.setattr(server, "QUEUE_SIZE", 100)
    link = connect(Stub(wait=lambda job: Done(Said(said=go.wait(PATIENT)))))
    for id, size in ((2, 60), (3, 41), (4, 0), (5, 40)):
        link.send("wait", id, x=np.zeros(size, np.uint8))
    refused = link.receive()
    assert refused.id == 3 and "under way. Wait for answers" in refused.fields["sentence"]
    go.set()
    assert [link.receive().id for _ in range(3)] == [2, 4, 5]


def test_old_meshes_go_where_new_ones_are_large(connect, monkeypatch: pytest.MonkeyPatch):
    size = sum(array.nbytes for array in (icosphere()["vertices"].astype(np.float64), icosphere()["faces"]))
    for limit, left in ((3 * size, 3), (2.5 * size, 2), (size, 1), (0, 1)):  # the newest always stays
        monkeypatch.setattr(engine_shelf, "MESHES", limit)
        link, meshes = connect(Handlers()), []
        for id in (2, 3, 4):
            link.send("open_mesh", id, **icosphere(id))
            meshes.append(link.receive().fields["mesh"])
        for id, mesh in enumerate(meshes, start=5):
            link.send("state", id, {"mesh": mesh})
        assert [link.receive().fields["open"] for _ in meshes] == [False] * (3 - left) + [True] * left


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_no_memory_to_read_with_ends_the_engine_in_words(error: Exception, monkeypatch: pytest.MonkeyPatch):
    def full(source: Any) -> None:
        raise error

    monkeypatch.setattr(server, "read", full)
    link = Link(Handlers())
    message = link.receive()
    assert (message.id, message.fields["type"]) == (0, "MemoryError") and "Close other" in message.fields["sentence"]
    assert link.close() == server.BROKEN


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = training_settings.Settings(
        "tiny", views=4, click_range=(6, 6), second_clicks=1, hidden_targets=1, field_steps=2, decoder_steps=2
    )
    monkeypatch.setitem(training_settings.PRESETS, "tiny", training_settings.Preset("Tiny", "", tiny))


def test_a_fit_that_diverged_leaves_no_checkpoint(tmp_path: Path, connect, monkeypatch: pytest.MonkeyPatch, tiny: None):
    train = train_module.train

    def diverged(*arguments: Any, **settings: Any) -> Model:
        model = train(*arguments, **settings)
        assert list(tmp_path.glob("checkpoints/*/decoder"))
        model.features[:] = np.nan
        return model

    monkeypatch.setattr(train_module, "train", diverged)
    handlers = Handlers()
    link = connect(handlers)
    handlers.shelf.use_cache(str(tmp_path))
    link.send("open_mesh", 2, **icosphere())
    link.send("train", 3, {"mesh": link.receive().fields["mesh"], "preset": "tiny"})
    while (message := link.receive()).kind == "progress":
        pass
    assert message.fields["type"] == "ModelFileError" and "not finite" in message.fields["sentence"]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_the_file_not_the_model(tmp_path: Path, connect, monkeypatch: pytest.MonkeyPatch, tiny: None):
    put, room = Cache.put, 0

    def full(self: Cache, model: Model) -> Path:
        assert handlers.shelf.saving.locked()  # else the process could end in the middle
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model")
        return put(self, model)

    monkeypatch.setattr(Cache, "put", full)
    handlers = Handlers()
    link = connect(handlers)
    handlers.shelf.use_cache(str(tmp_path))
    ball = icosphere()["vertices"], icosphere()["faces"]
    link.send("open_mesh", 2, **icosphere())
    mesh = link.receive().fields["mesh"]
    link.send("train", 3, {"mesh": mesh, "preset": "tiny"})
    while (message := link.receive()).kind == "progress":
        pass
    assert "No space left" in message.fields["unsaved"] and "Make room" in message.fields["unsaved"]
    for id, others in ((4, 0), (20, engine_shelf.SEGMENTERS)):  # it stays, whatever comes after it
        for seed in range(others):
            handlers.shelf.put(ModelKey(mesh, "geometric", "tiny", seed + 1), "auto", segmenter.instant(ball))
        link.send("query", id, {"mesh": mesh, "clicks": [[3, True]], "model": {"preset": "tiny"}})
        assert link.receive().arrays["probability"][3] >= 0.5
    link.send("free", 21)
    assert link.receive().id == 21
    link.send("state", 5, {"mesh": mesh})
    assert [model["preset"] for model in link.receive().fields["models"]] == ["tiny"]
    for id, room in ((6, 0), (7, 1), (8, 1)):  # to train again is to save again
        link.send("train", id, {"mesh": mesh, "preset": "tiny"})
        message = link.receive()
        assert message.fields["cached"] and (message.fields["unsaved"] is None) == (room == 1)
        assert len(list(tmp_path.glob("*.iseg"))) == room
    assert [path.suffix for path in tmp_path.iterdir()] == [".iseg"]  # and no checkpoint


def test_a_torch_that_does_not_load_costs_training_only(tmp_path: Path, connect, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    handlers = Handlers()
    link = connect(handlers)
    handlers.shelf.use_cache(str(tmp_path))
    link.send("open_mesh", 2, **icosphere())
    mesh = link.receive().fields["mesh"]
    link.send("train", 3, {"mesh": mesh})
    while (message := link.receive()).kind == "progress":
        pass
    assert message.fields["type"] == "EngineError"
    assert "PyTorch does not load" in message.fields["sentence"] and "Repair" in message.fields["sentence"]
    link.send("query", 4, {"mesh": mesh, "clicks": [[3, True]]})
    while (message := link.receive()).kind == "progress":
        pass
    assert message.arrays["probability"][3] >= 0.5


def test_a_proposal_ends_when_it_is_cancelled():
    arrays, handlers = icosphere(), Handlers()
    seg = iseg.instant((arrays["vertices"], arrays["faces"]))
    mesh = seg.model.mesh.hash
    handlers.shelf.put(ModelKey(mesh, *INSTANT), INSTANT_DEVICE, seg)
    chosen = (arrays["vertices"][:, 0] > 0).astype(np.uint8)  # [V]
    job = Job("propose", 1, {"mesh": mesh}, {"chosen": chosen}, lambda progress: None)
    assert isinstance(handlers.propose(job), Done)
    job.cancelled.set()
    with pytest.raises(Cancelled):
        handlers.propose(job)


def proposed(mesh: iseg.Mesh, any_size: bool = False, **chosen: np.ndarray) -> ProposeResult:
    handlers, seg = Handlers(), iseg.instant(mesh)
    handlers.shelf.put(ModelKey(seg.model.mesh.hash, *INSTANT), INSTANT_DEVICE, seg)
    arrays = {name: mask.astype(np.uint8) for name, mask in chosen.items()}
    done = handlers.propose(Job("propose", 1, {"mesh": mesh.hash, "any_size": any_size}, arrays, lambda progress: None))
    assert isinstance(done, Done) and isinstance(done.result, ProposeResult)
    return done.result


@pytest.mark.parametrize("side", range(6))
@pytest.mark.parametrize("by", ["faces", "vertices"])
def test_one_side_of_a_cube_gives_that_side(side, by):
    cube = box((2, 2, 2))
    faces = np.arange(12) // 2 == side  # [F]
    corners = np.isin(np.arange(8), cube.faces[faces])  # [V]
    result = proposed(cube, True, **({"chosen_faces": faces} if by == "faces" else {"chosen": corners}))
    assert result.iou == 1.0
    first = result.clicks[0]
    assert isinstance(first.prompt, iseg.SurfacePoint) and first.include and faces[first.prompt.face]
    middle = position_of(first.prompt, cube) - cube.vertices[corners].mean(axis=0)
    assert np.abs(middle).max() < 0.1  # the deepest point of a side of 2 by 2
    answer = iseg.instant(cube).segment(clicks=result.clicks, granularity=result.granularity, domain="face")
    assert np.array_equal(answer >= otsu(answer), faces)


def test_two_faces_with_all_vertices_are_not_all_faces():
    cube = box((2, 2, 2))
    ends = np.isin(np.arange(12) // 2, (0, 1))  # [F] opposite sides have all eight vertices
    assert len(np.unique(cube.faces[ends])) == 8
    assert any(not include for _, include in proposed(cube, chosen_faces=ends).clicks)
    assert all(include for _, include in proposed(cube, chosen=np.ones(8)).clicks)  # that is the cube


def test_another_size_is_tried_only_where_that_is_asked_for():
    cube, middle = box((2, 2, 2)), np.arange(12) // 2 == 3
    own, any_size = (proposed(cube, allowed, chosen_faces=middle) for allowed in (False, True))
    assert own.granularity == size_of("part") and own.iou <= any_size.iou == 1.0
    assert any_size.granularity == own.granularity or own.iou < 1.0


@pytest.mark.parametrize("by", ["chosen", "chosen_faces"])
def test_on_a_dense_mesh_vertices_are_proposed(by):
    mesh = sphere(5)
    right = mesh.vertices[:, 0] > 0.2  # [V]
    result = proposed(mesh, False, **{by: right if by == "chosen" else np.asarray(right[mesh.faces].all(axis=1))})
    assert result.iou > 0.5 and all(isinstance(prompt, int) for prompt, _ in result.clicks)


def test_the_cache_tells_what_it_has(tmp_path: Path):
    """By the headers of the files; junk among them counts as absent."""
    arrays = icosphere()
    model = iseg.instant((arrays["vertices"], arrays["faces"])).model
    cache = Cache(tmp_path)
    assert cache.describe(model.mesh.hash) == []
    for seed in (0, 1):
        model.info |= {"preset": "tiny", "seed": seed, "created": f"202{seed}"}
        path = cache.put(model)
    expected = [{"teacher": "geometric", "preset": "tiny", "seed": s, "created": f"202{s}"} for s in (0, 1)]
    assert cache.describe(model.mesh.hash) == expected
    path.with_name(f"{model.mesh.hash}-cut.iseg").write_bytes(path.read_bytes()[:300])
    path.with_name(f"{model.mesh.hash}-junk.iseg").write_bytes(b"junk")
    path.with_name(f"{model.mesh.hash}-folder.iseg").mkdir()
    cache.put(replace(model, info=model.info | {"seed": 2, "created": 5}))
    path.with_name(f"{'0' * 64}-renamed.iseg").write_bytes(path.read_bytes())
    assert cache.describe(model.mesh.hash) == expected
    assert cache.describe("0" * 64) == []


def test_recent_forgets_the_least_recently_used():
    recent = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.take("a") == 1
    recent.put("c", 3)
    assert (recent.take("a"), recent.take("b"), recent.take("c")) == (1, None, 3)
    assert ModelKey("m", "t", "p", 0) == ModelKey("m", "t", "p", 0)


@pytest.mark.parametrize(
    ("error", "type", "words"),
    [
        (MeshError("The mesh is bad. Mend it."), "MeshError", "The mesh is bad. Mend it."),
        (WeightsError("No weights."), "WeightsError", "No weights."),
        (MemoryError(), "MemoryError", "draft"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "MemoryError", "draft"),
        (RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory"), "MemoryError", "draft"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "MemoryError", "draft"),
        (RuntimeError("CUDA error: out of memory"), "MemoryError", "draft"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "MemoryError", "draft"),
        (RuntimeError("std::bad_alloc"), "MemoryError", "draft"),
        (RuntimeError("can't start new thread"), "MemoryError", "Close other programs"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "MemoryError", "draft"),
        (
            OSError(errno.ENOSPC, "No space left on device", "file"),
            "OSError",
            "file: The disk is full; nothing was changed. Make",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "file"),
            "OSError",
            "file: Permission denied. Set the right",
        ),
        (ConnectionError(errno.ECONNRESET, "Connection reset"), "OSError", "Connection reset. Check it"),
        (ModuleNotFoundError("x", name="torch"), "ModuleNotFoundError", "torch is missing. Repair"),
        (ImportError("libgomp.so.1: failed to map segment from shared object"), "ImportError", "Repair"),
        (RuntimeError("shapes do not fit"), "InternalError", "shapes do not fit). Its log tells more: Copy Report"),
        (KeyError("x"), "InternalError", "KeyError"),
    ],
)
def test_errors_travel_as_sentences(error: BaseException, type: str, words: str):
    fields = describe(error).to_fields()
    assert fields["type"] == type and words in fields["sentence"]
    assert ("traceback" in fields) == (type in ("InternalError", "ImportError"))


# A fuzz of what the server reads: after anything whose frame is whole, it still answers.

kinds = st.sampled_from(["hello", "open_mesh", "state", "query", "free", "cancel", "sing", "fetch"])
names = st.sampled_from(["mesh", "clicks", "granularity", "model", "target", "protocol", "cache", "name", "supersedes"])
sensible = st.sampled_from(
    [
        "0" * 64,
        "\0",
        [[0, True]],
        "part",
        {"teacher": "geometric", "preset": "draft", "seed": 0},
        2,
        PROTOCOL,
        "nothing",
        None,
    ]
)
requests = st.builds(
    Message,
    kind=kinds,
    id=st.integers(0, 6),
    fields=st.dictionaries(names, sensible | json_values, max_size=4),
    arrays=st.dictionaries(st.sampled_from(["vertices", "faces", "x"]), arrays(), max_size=2),
)
whole_frames = requests.map(lambda message: b"".join(bytes(part) for part in encode(message))) | st.builds(
    raw_frame, st.none() | header_like, st.binary(max_size=20), st.none() | st.binary(max_size=50)
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(whole_frames, max_size=30))
def test_whatever_is_sent_the_server_answers(frames: list[bytes]):
    def meanwhile() -> None:
        try:
            for data in frames:
                link.sink.write(data)
            link.send("hello", 7, {"protocol": PROTOCOL})
            link.send("state", 8, {"mesh": "0" * 64})
        except BrokenPipeError:
            pass  # the server has ended

    def refuse(job: Job) -> Done:
        raise WeightsError("Nothing is downloaded here.")

    handlers = Handlers()
    handlers.table["fetch"] = ("fetch", refuse)
    link = Link(handlers)
    sender = threading.Thread(target=meanwhile, daemon=True)
    sender.start()
    ended = False
    while True:
        message = read(link.source)  # pyright: ignore[reportArgumentType]
        if message is None:  # a hello of another protocol ends the connection, politely
            ended = True
            break
        assert message.fields.get("type") != "InternalError", message.fields
        if message.id == 8:
            break
    sender.join(PATIENT)
    assert link.close() == 0
    assert not ended or any(b'"hello"' in data for data in frames)
