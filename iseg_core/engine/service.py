"""What each request to the engine does. Knows nothing of pipes and threads' loops (server.py).

    request    fields                                       result
    open_mesh  arrays vertices [V, 3], faces [F, K]         mesh, topology (hashes), vertices, faces (counts), models
    state      mesh                                         open (bool), models (the newest first)
    query      mesh, clicks [[prompt, include], ...],       threshold (Otsu's), milliseconds;
               granularity, model, device                   array probability [V] float32
    propose    mesh, granularity, threshold (null: Otsu's), clicks, iou: a few clicks whose answer comes near to the
               model, device; array chosen [V] uint8        chosen vertices, and how near
    train      mesh, teacher, preset, seed, device          mesh, teacher, preset, seed, created, seconds, cached,
                                                            unsaved (null, or why the model is only in memory)
    fetch      name                                         path
    doctor                                                  findings, teachers
    cache      clear (default false)                        folder, models, checkpoints, bytes (as they were), limit
    free                                                    resident (bytes of memory afterwards, if known), freed

A prompt is a vertex, or a point of the surface: [face, b0, b1, b2], with the barycentric coordinates in that triangle.
A mesh is named by the hash of its geometry. `model` names a trained one by teacher, preset and seed; null: instant
mode. Models lie in the cache, so a query for one needs no open mesh. What a query needs is made ready by the first one
that needs it; the later ones take milliseconds.

Work is done in lanes, one thing after the other in each: `query` for what is answered at once, `prepare` for what takes
seconds on a large mesh, `train`, `fetch` and `check`. A request may go from lane to lane.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..clicks.click import Clicks, VertexClick
from ..errors import Cancelled, ClickError, EngineError, MessageError, ModelFileError, UnknownMeshError, lacks_runtime
from ..progress import Progress
from ..system.lru import Recent
from ..system.memory import give_back, resident
from ..teachers.registry import DEFAULT_TEACHER, TEACHERS
from ..training.settings import DEFAULT_PRESET
from .jobs import Answer, Job, Later, ModelKey, Work
from .messages import clicks_from_wire

if TYPE_CHECKING:
    from ..geometry.mesh import Mesh
    from ..inference.segmenter import Segmenter
    from ..storage.cache import Cache
    from ..storage.checkpoint import Checkpoint
    from ..storage.trained_model import Model

MESHES, SEGMENTERS = 2**30, 4  # bytes and number that are held in memory; the least recently used goes first
LANES = ("query", "prepare", "train", "fetch", "check")
INSTANT = ("instant", "instant", 0)


class Service:
    """Meshes, models and what answers clicks on them."""

    def __init__(self) -> None:
        self.saving = threading.Lock()  # held while a model is written: the process waits for it before it ends
        self.log: Callable[[str], None] = lambda text: None
        self._folder: Path | None = None
        self._loading, self._torch_defect = threading.Lock(), ""
        self._meshes: Recent[str, Mesh] = Recent(MESHES, _size)  # by hash
        self._segmenters: Recent[tuple[ModelKey, str], Segmenter] = Recent(SEGMENTERS)  # by model and device
        self._unsaved: dict[ModelKey, Model] = {}  # for which there was no room; they are nowhere else
        self.works: dict[str, tuple[str, Work]] = {  # kind -> lane, what is done there
            "state": ("query", self.state),
            "query": ("query", self.query),
            "propose": ("query", self.propose),
            "free": ("query", self.free),
            "open_mesh": ("prepare", self.open_mesh),
            "train": ("prepare", self.find_or_train),
            "fetch": ("fetch", self.fetch),
            "doctor": ("check", self.doctor),
            "cache": ("check", self.cache),
        }

    def use_cache(self, folder: str | None) -> None:
        """Keep models in this folder; None: in the user's cache."""
        self._folder = Path(folder) if folder else None

    @property
    def _cache(self) -> "Cache":
        from ..storage.cache import Cache

        return Cache.of_user() if self._folder is None else Cache(self._folder)

    def load_torch(self) -> None:
        """Import torch, which takes seconds. Raises EngineError where it does not load; half loaded, it stays so."""
        with self._loading:
            if not self._torch_defect:
                try:
                    import torch  # noqa: F401
                except Exception as error:  # missing, broken, or no memory for it: a different error each time
                    remedy = lacks_runtime(error) or (
                        "Repair the engine's environment, or close other programs where memory is short; then start "
                        "the engine again."
                    )
                    self._torch_defect = f"PyTorch does not load ({type(error).__name__}: {error}). {remedy}"
        if self._torch_defect:
            raise EngineError(self._torch_defect)

    # lane query

    def state(self, job: Job) -> Answer:
        mesh = job.mesh_hash()
        return Answer({"open": mesh in self._meshes, "models": self._models(mesh)})

    def query(self, job: Job) -> Answer | Later:
        clicks, granularity = _clicks(job), job.field("granularity", str, "part")
        segmenter = self._segmenters.take(_queried(job))
        if segmenter is None:
            return Later("prepare", self._prepare)
        began = time.perf_counter()
        probability = segmenter.segment(clicks, granularity=granularity)  # [V]
        milliseconds = (time.perf_counter() - began) * 1e3
        from ..inference.threshold import otsu

        return Answer({"threshold": otsu(probability), "milliseconds": milliseconds}, {"probability": probability})

    def propose(self, job: Job) -> Answer | Later:
        """Clicks a chosen part as a user would who sees the answers."""
        threshold, granularity = job.fields.get("threshold"), job.field("granularity", str, "part")
        if not (threshold is None or type(threshold) is float):
            raise MessageError("The request propose needs threshold, a float, or null for Otsu's.", job.id)
        segmenter = self._segmenters.take(_queried(job))
        if segmenter is None:
            return Later("prepare", self._prepare)
        from ..clicks.simulated_user import Target, propose
        from ..inference.threshold import otsu

        mesh, chosen = segmenter.model.mesh, job.arrays.get("chosen")
        if chosen is None or chosen.dtype != np.uint8 or chosen.shape != (len(mesh.vertices),):
            raise MessageError("The request propose needs the array chosen [V] uint8, V of the mesh.", job.id)
        target = Target.of_vertices(mesh, chosen != 0)
        if not target.faces.any():
            raise ClickError("No face of the mesh has two of the chosen vertices: choose the faces of a part.")

        def answer(clicks: list[VertexClick]) -> np.ndarray:
            if job.cancelled.is_set():
                raise Cancelled("Cancelled; what was there before is unchanged.")
            probability = segmenter.segment(clicks=clicks, granularity=granularity)  # [V]
            return (probability >= (otsu(probability) if threshold is None else threshold)).astype(np.float32)  # [V]

        clicks, iou = propose(target, answer)
        return Answer({"clicks": clicks, "iou": iou})

    def free(self, job: Job) -> Answer:
        """Forget all meshes and models but those not saved, and give the memory back. A training goes on."""
        before = resident()
        self._meshes.clear()
        self._segmenters.clear()
        give_back()
        after = resident()
        freed = max(before - after, 0) if before is not None and after is not None else None
        return Answer({"resident": after, "freed": freed})

    # lane prepare

    def open_mesh(self, job: Job) -> Answer:
        from ..geometry.mesh import check

        if job.arrays.keys() != {"vertices", "faces"}:
            raise MessageError("The request open_mesh needs the arrays vertices [V, 3] and faces [F, 3].", job.id)
        mesh = check(job.arrays["vertices"], job.arrays["faces"])
        self._meshes.put(mesh.hash, mesh)
        counts = {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}
        return Answer({"mesh": mesh.hash, "topology": mesh.topology_hash, **counts, "models": self._models(mesh.hash)})

    def _prepare(self, job: Job) -> Later:
        """Make ready what a request on a model needs, then do it."""
        key, device = _queried(job)
        if key[1:] != INSTANT:
            if self._held(key, device) is None:
                raise ModelFileError("There is no such model of this mesh in the cache. Train the mesh.")
        elif self._segmenters.take((key, device)) is None:
            job.report(Progress("prepare", 0.0, None))
            from ..inference.segmenter import instant

            self._segmenters.put((key, device), instant(self._mesh(key.mesh)))
        return Later(*self.works[job.kind])

    def find_or_train(self, job: Job) -> Answer | Later:
        """A model that is there already is the answer, at once; else the mesh is trained in the lane `train`."""
        key, device = _model_key(job, job.fields), job.field("device", str, "auto")
        held = self._held(key, device)
        if held is not None:
            with self.saving:
                unsaved = self._save(key, held.model) if key in self._unsaved else None
            return Answer(_described(key, held.model, cached=True, unsaved=unsaved))
        mesh = self._mesh(key.mesh)
        return Later("train", lambda job: self._train(job, mesh, key, device))

    # lane train

    def _train(self, job: Job, mesh: "Mesh", key: ModelKey, device: str) -> Answer:
        held = self._held(key, device)  # another request may have trained it in the meantime
        if held is not None:
            return Answer(_described(key, held.model, cached=True))
        job.report(Progress("start", 0.0, None))
        self.load_torch()
        from ..inference.segmenter import Segmenter
        from ..training.train import train

        counts = f"{len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces"
        self.log(f"train: {counts}; {key.teacher}, {key.preset}, seed {key.seed}, {device}")
        checkpoint = self._cache.checkpoint()
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
        trained = ModelKey(mesh.hash, model.info["teacher"], model.info["preset"], model.info["seed"])
        with self.saving:
            if job.cancelled.is_set():  # was answered so; then there must be no model
                return Answer({})
            unsaved = self._save(trained, model, checkpoint)
        self._segmenters.put((trained, device), segmenter)
        stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in model.info["seconds"].items())
        self.log(f"trained on {model.info['device']}: {stages}")
        give_back()  # a training leaves cycles behind, which would hold much for long, and much of a GPU
        return Answer(_described(trained, model, cached=False, unsaved=unsaved))

    def _save(self, key: ModelKey, model: "Model", checkpoint: "Checkpoint | None" = None) -> str | None:
        """Put a model into the cache; returns why it could not be saved, in a sentence, or None.

        Raises ModelFileError where it is none that can be used.
        """
        try:
            try:
                self._cache.put(model)
            except OSError:
                if checkpoint is None:
                    raise
                checkpoint.remove()  # what it takes may be the room that is missing
                self._cache.put(model)
        except ModelFileError:
            if checkpoint is not None:
                checkpoint.remove()  # it would lead to the same model for ever
            raise
        except OSError as error:
            self._unsaved[key] = model
            self.log(f"not saved: {error}")
            return (
                f"The model works, but it could not be saved to {self._cache.folder}: {error.strerror or error}. "
                "Make room there or choose another folder, then train again before you close Blender."
            )
        self._unsaved.pop(key, None)
        if checkpoint is not None:
            checkpoint.remove()
        return None

    # lanes fetch and check

    def fetch(self, job: Job) -> Answer:
        from ..teachers.weights import fetch

        name = job.field("name", str)
        self.log(f"fetch: {name}")
        return Answer({"path": str(fetch(name, job.report, job.cancelled.is_set))})

    def doctor(self, job: Job) -> Answer:
        """What is here and what is missing (doctor.Finding), and which teachers are at hand, in words."""
        from ..doctor import examine, missing

        findings = examine()
        teachers = [{"name": name, "missing": missing(findings, entry)} for name, entry in TEACHERS.items()]
        return Answer({"findings": [finding._asdict() for finding in findings], "teachers": teachers})

    def cache(self, job: Job) -> Answer:
        """What the cache holds and, where that is asked for, forget all of it, here and on the disk."""
        from ..storage.cache import limit

        cache, clear = self._cache, job.field("clear", bool, False)
        usage = cache.clear() if clear else cache.usage()
        if clear:
            self._segmenters.drop(lambda named: named[0][1:] != INSTANT)
            self._unsaved.clear()
            self.log(f"cache cleared: {usage.models} models, {usage.bytes:,} bytes")
        return Answer({"folder": str(cache.folder), "limit": limit(), **usage._asdict()})

    # what they share

    def _mesh(self, hash: str) -> "Mesh":
        mesh = self._meshes.take(hash)
        if mesh is None:
            raise UnknownMeshError("The engine does not hold this mesh (any more). Open it again.")
        return mesh

    def _models(self, mesh: str) -> list[dict[str, Any]]:
        """What is known of the models of a mesh, those in the cache and those that could not be saved."""
        found = {(m["teacher"], m["preset"], m["seed"]): m for m in self._cache.describe(mesh)}
        held = [(key, segmenter.model) for (key, _), segmenter in list(self._segmenters.items())]
        for key, model in held + list(self._unsaved.items()):
            if key.mesh == mesh and key[1:] != INSTANT:
                found.setdefault(key[1:], _description(key, model))
        return sorted(found.values(), key=lambda model: model["created"], reverse=True)

    def _held(self, key: ModelKey, device: str) -> "Segmenter | None":
        """A trained model that is in memory or in the cache, ready to answer."""
        segmenter = self._segmenters.take((key, device))
        if segmenter is None:
            model = self._unsaved.get(key) or self._cache.find(*key)
            if model is not None:
                self.load_torch()
                from ..inference.segmenter import Segmenter

                segmenter = Segmenter(model, device)
                self._segmenters.put((key, device), segmenter)
        return segmenter


def _size(mesh: "Mesh") -> int:
    return mesh.vertices.nbytes + mesh.faces.nbytes


def _clicks(job: Job) -> Clicks:
    try:
        return clicks_from_wire(job.fields.get("clicks"))
    except MessageError as error:
        raise MessageError(f"The request query needs clicks. {error}", job.id) from None


def _queried(job: Job) -> tuple[ModelKey, str]:
    """The key, in memory, of what answers a query: a model and the device that it is on."""
    named = job.fields.get("model")
    if named is None:
        return ModelKey(job.mesh_hash(), *INSTANT), ""
    if not isinstance(named, dict):
        raise MessageError("The request query needs model: null, or teacher, preset and seed.", job.id)
    return _model_key(job, named), job.field("device", str, "auto")


def _model_key(job: Job, named: dict[str, Any]) -> ModelKey:
    teacher, preset, seed = (
        named.get("teacher", DEFAULT_TEACHER),
        named.get("preset", DEFAULT_PRESET),
        named.get("seed", 0),
    )
    if not (isinstance(teacher, str) and isinstance(preset, str) and type(seed) is int and 0 <= seed < 2**53):
        raise MessageError("A model is named by teacher and preset, two texts, and seed, an integer >= 0.", job.id)
    return ModelKey(job.mesh_hash(), teacher, preset, seed)


def _description(key: ModelKey, model: "Model") -> dict[str, Any]:
    return {"teacher": key.teacher, "preset": key.preset, "seed": key.seed, "created": str(model.info.get("created"))}


def _described(key: ModelKey, model: "Model", cached: bool, unsaved: str | None = None) -> dict[str, Any]:
    """The fields of a training's result."""
    seconds = model.info.get("seconds", {})
    return {"mesh": key.mesh, **_description(key, model), "seconds": seconds, "cached": cached, "unsaved": unsaved}
