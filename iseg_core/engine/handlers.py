"""Handlers: what each request does (messages.py). They know nothing of pipes and threads' loops (server.py).

Work is done in lanes, one thing after the other in each: `query` for what is answered at once, `prepare` for what takes
seconds on a large mesh, `train`, `fetch` and `check`. A request may go from lane to lane. What a query needs is made
ready by the first one that needs it; the later ones take milliseconds. Models lie in the cache, so a query for one
needs no open mesh.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..clicks.click import Click, Granularity, size_of
from ..errors import Cancelled, ClickError, MessageError, ModelFileError
from ..progress import Progress
from ..system.memory import give_back, resident
from ..teachers.registry import TEACHERS
from .jobs import Done, Handler, Job, Later
from .messages import (
    CacheRequest,
    CacheResult,
    DoctorRequest,
    DoctorResult,
    FetchRequest,
    FetchResult,
    Finding,
    FreeRequest,
    FreeResult,
    OpenMeshRequest,
    OpenMeshResult,
    ProposeRequest,
    ProposeResult,
    QueryRequest,
    QueryResult,
    Size,
    StateRequest,
    StateResult,
    TeacherAtHand,
    TrainRequest,
    TrainResult,
)
from .shelf import INSTANT_DEVICE, ModelKey, Shelf, report_of
from .torch_loader import TorchLoader

if TYPE_CHECKING:
    from ..clicks.simulated_user import Target
    from ..geometry.mesh import Mesh
    from ..inference.segmenter import Segmenter
    from ..storage.trained_model import Model

LANES = ("query", "prepare", "train", "fetch", "check")


class Handlers:
    """Methods that do the requests. `table`: by the kind of a request, the lane where it begins and its method."""

    def __init__(self, log: Callable[[str], None] = lambda text: None):
        self.torch, self._log = TorchLoader(), log
        self.shelf = Shelf(self.torch, log)
        self.table: dict[str, tuple[str, Handler]] = {
            StateRequest.kind: ("query", self.state),
            QueryRequest.kind: ("query", self.query),
            ProposeRequest.kind: ("query", self.propose),
            FreeRequest.kind: ("query", self.free),
            OpenMeshRequest.kind: ("prepare", self.open_mesh),
            TrainRequest.kind: ("prepare", self.find_or_train),
            FetchRequest.kind: ("fetch", self.fetch),
            DoctorRequest.kind: ("check", self.doctor),
            CacheRequest.kind: ("check", self.cache),
        }

    # lane query

    def state(self, job: Job) -> Done:
        request = StateRequest.from_fields(job.fields)
        return Done(StateResult(open=self.shelf.has_mesh(request.mesh), models=self.shelf.models(request.mesh)))

    def query(self, job: Job) -> Done | Later:
        request = QueryRequest.from_fields(job.fields)
        segmenter = self.shelf.at_hand(*_answering(request))
        if segmenter is None:
            return Later("prepare", lambda job: self._prepare(job, request))
        asked = segmenter.plain if request.plain else segmenter
        began = time.perf_counter()
        probability = asked.segment(request.clicks, granularity=request.granularity, domain=request.domain)
        milliseconds = (time.perf_counter() - began) * 1e3
        from ..inference.threshold import otsu

        sizes = tuple(asked.sizes(request.clicks).tolist())
        result = QueryResult(threshold=otsu(probability), milliseconds=milliseconds, sizes=sizes)
        return Done(result, {"probability": probability})

    def propose(self, job: Job) -> Done | Later:
        """Find clicks for a chosen part, as a user would make them who sees each answer."""
        request = ProposeRequest.from_fields(job.fields)
        segmenter = self.shelf.at_hand(*_answering(request))
        if segmenter is None:
            return Later("prepare", lambda job: self._prepare(job, request))
        from ..clicks.simulated_user import ENOUGH, GAIN, propose
        from ..inference.threshold import otsu

        target = _target(job, segmenter)

        def predict(size: float, clicks: list[Any]) -> np.ndarray:
            if job.cancelled.is_set():
                raise Cancelled("Cancelled; what was there before is unchanged.")
            probability = segmenter.segment(clicks=clicks, granularity=size, domain=target.domain)  # [V] or [F]
            threshold = otsu(probability) if request.threshold is None else request.threshold
            return (probability >= threshold).astype(np.float32)  # [V] or [F]

        best: ProposeResult | None = None
        others = [Size(size_of(granularity)) for granularity in Granularity] if request.any_size else []
        for size in dict.fromkeys([request.granularity, *others]):
            clicks, iou = propose(target, partial(predict, size))
            if best is None or iou > best.iou + GAIN:
                best = ProposeResult(clicks=tuple(Click(*click) for click in clicks), iou=iou, granularity=size)
            if iou >= ENOUGH:
                break
        assert best is not None  # one size at least was tried
        return Done(best)

    def free(self, job: Job) -> Done:
        """Forget all meshes and models but those not saved, and give the memory back. A training goes on."""
        before = resident()
        self.shelf.free()
        give_back()
        after = resident()
        freed = max(before - after, 0) if before is not None and after is not None else None
        return Done(FreeResult(resident=after, freed=freed))

    # lane prepare

    def open_mesh(self, job: Job) -> Done:
        from ..geometry.mesh import check, with_marks, with_polygons

        if job.arrays.keys() - {"polygons", "labels", "marked_edges"} != {"vertices", "faces"}:
            raise MessageError("The request open_mesh needs the arrays vertices [V, 3] and faces [F, 3].", job.id)
        mesh = check(job.arrays["vertices"], job.arrays["faces"])
        if "polygons" in job.arrays:
            mesh = with_polygons(mesh, job.arrays["polygons"])
        mesh = with_marks(mesh, job.arrays.get("labels"), job.arrays.get("marked_edges"))
        self.shelf.put_mesh(mesh)
        return Done(
            OpenMeshResult(
                mesh=mesh.hash,
                topology=mesh.topology_hash,
                vertices=len(mesh.vertices),
                faces=len(mesh.faces),
                models=self.shelf.models(mesh.hash),
            )
        )

    def _prepare(self, job: Job, request: QueryRequest | ProposeRequest) -> Later:
        """Load the model that a request needs, then hand the request on to its own lane."""
        key, device = _answering(request)
        if not key.is_instant:
            if self.shelf.find(key, device) is None:
                raise ModelFileError("There is no such model of this mesh in the cache. Train the mesh.")
        elif self.shelf.at_hand(key, device) is None:
            job.report(Progress("prepare", 0.0, None))
            self.shelf.make_instant(key.mesh, device)
        return Later(*self.table[job.kind])

    def find_or_train(self, job: Job) -> Done | Later:
        """Answer with a model that is there already, at once; else train the mesh, in the lane `train`."""
        request = TrainRequest.from_fields(job.fields)
        key = ModelKey.of(request.mesh, request.model)
        held = self.shelf.find(key, request.device)
        if held is not None:
            unsaved = self.shelf.save_again(key, held.model)
            return Done(_trained(key, held.model, cached=True, unsaved=unsaved))
        mesh = self.shelf.mesh(key.mesh)
        return Later("train", lambda job: self._train(job, mesh, key, request.device))

    # lane train

    def _train(self, job: Job, mesh: "Mesh", key: ModelKey, device: str) -> Done:
        held = self.shelf.find(key, device)  # another request may have trained it in the meantime
        if held is not None:
            return Done(_trained(key, held.model, cached=True))
        job.report(Progress("start", 0.0, None))
        self.torch.load()
        from ..inference.segmenter import Segmenter
        from ..training.train import train

        counts = f"{len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces"
        self._log(f"train: {counts}; {key.teacher}, {key.preset}, seed {key.seed}, {device}")
        checkpoint = self.shelf.checkpoint()
        model = train(
            mesh,
            key.teacher,
            key.preset,
            key.seed,
            job.report,
            cancel=job.cancelled.is_set,
            device=device,
            checkpoint=checkpoint,
        )
        segmenter = Segmenter(model, device)
        key = ModelKey(mesh.hash, model.info["teacher"], model.info["preset"], model.info["seed"])
        with self.shelf.saving:
            if job.cancelled.is_set():  # was answered so; then there must be no model
                raise Cancelled("Cancelled; what was there before is unchanged.")
            unsaved = self.shelf.save(key, model, checkpoint)
        self.shelf.put(key, device, segmenter)
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in model.info["seconds"].items())
        self._log(f"trained on {model.info['device']}: {stages}")
        give_back()  # a training leaves cycles behind, which would hold much for long, and much of a GPU
        return Done(_trained(key, model, cached=False, unsaved=unsaved))

    # lanes fetch and check

    def fetch(self, job: Job) -> Done:
        from ..teachers.weights import fetch

        name = FetchRequest.from_fields(job.fields).name
        self._log(f"fetch: {name}")
        return Done(FetchResult(path=str(fetch(name, job.report, job.cancelled.is_set))))

    def doctor(self, job: Job) -> Done:
        """Say what is here and what is missing, and which teachers are at hand, in words."""
        from ..doctor import examine, missing

        findings = examine()
        return Done(
            DoctorResult(
                findings=tuple(Finding(**finding._asdict()) for finding in findings),
                teachers=tuple(TeacherAtHand(name=n, missing=missing(findings, e)) for n, e in TEACHERS.items()),
            )
        )

    def cache(self, job: Job) -> Done:
        """Say what the cache holds and, where that is asked for, forget all of it, here and on the disk."""
        from ..storage.cache import limit

        clear = CacheRequest.from_fields(job.fields).clear
        folder, usage = self.shelf.clear() if clear else self.shelf.usage()
        return Done(CacheResult(folder=folder, limit=limit(), **usage._asdict()))


def _target(job: Job, segmenter: "Segmenter") -> "Target[Any]":
    """Make the simulated user who wants the chosen part of a request: one of points and faces where faces are large.

    Raises MessageError where the arrays are not those of the request, ClickError where no face is chosen.
    """
    from ..clicks.simulated_user import FaceTarget, VertexTarget

    mesh = segmenter.model.mesh
    lengths = {"chosen": len(mesh.vertices), "chosen_faces": len(mesh.faces)}
    given = [(name, array) for name, array in job.arrays.items() if name in lengths]
    if len(given) != 1 or given[0][1].dtype != np.uint8 or given[0][1].shape != (lengths[given[0][0]],):
        what = "the array chosen [V] uint8, or chosen_faces [F] uint8, V and F of the mesh"
        raise MessageError(f"The request propose needs {what}.", job.id)
    name, chosen = given[0][0], given[0][1] != 0  # [V] or [F]
    by_vertices = name == "chosen"
    target = VertexTarget.of_vertices(mesh, chosen) if by_vertices else VertexTarget(mesh, chosen)
    if not target.faces.any():
        none = "No face of the mesh has two of the chosen vertices" if by_vertices else "No face is chosen"
        raise ClickError(f"{none}: choose the faces of a part.")
    if not segmenter.faces_decide(target.faces):
        return target
    inside = FaceTarget.of_vertices(mesh, chosen) if by_vertices else FaceTarget(mesh, chosen)
    return inside if inside.faces.any() else FaceTarget(mesh, target.faces)


def _answering(request: QueryRequest | ProposeRequest) -> tuple[ModelKey, str]:
    """Find the key of the model that answers a request, and the device that it is on."""
    return ModelKey.of(request.mesh, request.model), INSTANT_DEVICE if request.model is None else request.device


def _trained(key: ModelKey, model: "Model", cached: bool, unsaved: str | None = None) -> TrainResult:
    report = report_of(key, model)
    return TrainResult(
        mesh=key.mesh,
        teacher=report.teacher,
        preset=report.preset,
        seed=report.seed,
        created=report.created,
        seconds=model.info.get("seconds", {}),
        cached=cached,
        unsaved=unsaved,
    )
