"""Shelf of the engine: meshes and their segmenters, in memory, and models in the cache."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ModelFileError, UnknownMeshError
from ..system.lru import Recent
from .messages import ModelName, ModelReport
from .torch_loader import TorchLoader

if TYPE_CHECKING:
    from ..geometry.mesh import Mesh
    from ..inference.segmenter import Segmenter
    from ..storage.cache import Cache, Usage
    from ..storage.checkpoint import Checkpoint
    from ..storage.trained_model import Model

MESHES, SEGMENTERS = 2**30, 4  # bytes and number that are held in memory; the least recently used goes first
INSTANT_DEVICE = ""  # in place of the device that a trained model is on
INSTANT = ("instant", "instant", 0)  # in a key, in the place of a trained model's teacher, preset and seed


class ModelKey(NamedTuple):
    """Key of a model on the shelf: hash of the mesh, and the model's name."""

    mesh: str
    teacher: str
    preset: str
    seed: int

    @classmethod
    def of(cls, mesh: str, model: ModelName | None) -> "ModelKey":
        """model: None for instant mode."""
        return cls(mesh, *INSTANT) if model is None else cls(mesh, model.teacher, model.preset, model.seed)

    @property
    def is_instant(self) -> bool:
        return self[1:] == INSTANT


class Shelf:
    """Meshes by hash, and segmenters by model and device."""

    def __init__(self, torch: TorchLoader, log: Callable[[str], None]):
        self.saving = threading.Lock()  # held while a model is written: the process waits for it before it ends
        self._torch, self._log = torch, log
        self._folder: Path | None = None
        self._meshes: Recent[str, Mesh] = Recent(MESHES, _size)  # by hash
        self._segmenters: Recent[tuple[ModelKey, str], Segmenter] = Recent(SEGMENTERS)  # by model and device
        self._unsaved: dict[ModelKey, Model] = {}  # for which there was no room; they are nowhere else

    def use_cache(self, folder: str | None) -> None:
        """Keep models in this folder; None: in the user's cache."""
        self._folder = Path(folder) if folder else None

    @property
    def _cache(self) -> "Cache":
        from ..storage.cache import Cache

        return Cache.of_user() if self._folder is None else Cache(self._folder)

    # meshes

    def put_mesh(self, mesh: "Mesh") -> None:
        """Keep a mesh. One of the same hash is replaced only by one that knows its polygons; what instant mode has
        made with other polygons, or without them, is then forgotten.
        """
        if mesh.polygons is None:
            if self._meshes.take(mesh.hash) is None:
                self._meshes.put(mesh.hash, mesh)
            return
        self._meshes.put(mesh.hash, mesh)
        key = ModelKey(mesh.hash, *INSTANT)
        made = self.at_hand(key, INSTANT_DEVICE)
        known = None if made is None else made.model.mesh.polygons  # [F]
        if known is None or not np.array_equal(known, mesh.polygons):
            self._segmenters.drop(lambda named: named[0] == key)

    def has_mesh(self, hash: str) -> bool:
        return hash in self._meshes

    def mesh(self, hash: str) -> "Mesh":
        """Return the mesh with this hash. Raises UnknownMeshError where it is not held."""
        mesh = self._meshes.take(hash)
        if mesh is None:
            raise UnknownMeshError("The engine does not hold this mesh (any more). Open it again.")
        return mesh

    # segmenters

    def put(self, key: ModelKey, device: str, segmenter: "Segmenter") -> None:
        self._segmenters.put((key, device), segmenter)

    def at_hand(self, key: ModelKey, device: str) -> "Segmenter | None":
        """Return the segmenter where it is in memory, else None."""
        return self._segmenters.take((key, device))

    def find(self, key: ModelKey, device: str) -> "Segmenter | None":
        """Find the segmenter of a trained model in memory or in the cache; None where there is none."""
        segmenter = self.at_hand(key, device)
        if segmenter is None:
            model = self._unsaved.get(key) or self._cache.find(*key)
            if model is not None:
                self._torch.load()
                from ..inference.segmenter import Segmenter

                segmenter = Segmenter(model, device)
                self.put(key, device, segmenter)
        return segmenter

    def make_instant(self, mesh: str, device: str) -> None:
        """Make the segmenter of instant mode, by geometry alone. Raises UnknownMeshError where the mesh is not held."""
        from ..inference.segmenter import instant

        self.put(ModelKey(mesh, *INSTANT), device, instant(self.mesh(mesh)))

    # models

    def models(self, mesh: str) -> tuple[ModelReport, ...]:
        """Report on the models of a mesh, those in the cache and those that could not be saved; newest first."""
        found = {(m["teacher"], m["preset"], m["seed"]): ModelReport(**m) for m in self._cache.describe(mesh)}
        held = [(key, segmenter.model) for (key, _), segmenter in list(self._segmenters.items())]
        for key, model in held + list(self._unsaved.items()):
            if key.mesh == mesh and not key.is_instant:
                found.setdefault(key[1:], report_of(key, model))
        return tuple(sorted(found.values(), key=lambda report: report.created, reverse=True))

    def checkpoint(self) -> "Checkpoint":
        """Return the checkpoint in which a training keeps its progress."""
        return self._cache.checkpoint()

    def save(self, key: ModelKey, model: "Model", checkpoint: "Checkpoint | None" = None) -> str | None:
        """Put a model into the cache; returns why it could not be saved, in a sentence, or None. Hold `saving`.

        Raises ModelFileError where it is none that can be used.
        """
        try:
            try:
                self._cache.put(model)
            except OSError:
                if checkpoint is None:
                    raise
                checkpoint.remove()  # its bytes may be the room that is missing
                self._cache.put(model)
        except ModelFileError:
            if checkpoint is not None:
                checkpoint.remove()  # it would lead to the same model again
            raise
        except OSError as error:
            self._unsaved[key] = model
            self._log(f"not saved: {error}")
            return (
                f"The model works, but it could not be saved to {self._cache.folder}: {error.strerror or error}. "
                "Make room there or choose another folder, then train again before you close Blender."
            )
        self._unsaved.pop(key, None)
        if checkpoint is not None:
            checkpoint.remove()
        return None

    def save_again(self, key: ModelKey, model: "Model") -> str | None:
        """Put a model into the cache that could not be saved before; see `save`."""
        with self.saving:
            return self.save(key, model) if key in self._unsaved else None

    # room

    def free(self) -> None:
        """Forget all meshes and models but those not saved."""
        self._meshes.clear()
        self._segmenters.clear()

    def usage(self) -> tuple[str, "Usage"]:
        """Folder of the cache, and what it holds."""
        return str(self._cache.folder), self._cache.usage()

    def clear(self) -> tuple[str, "Usage"]:
        """Forget all models, here and on the disk. Folder of the cache, and what it held."""
        cache = self._cache
        usage = cache.clear()
        self._segmenters.drop(lambda named: not named[0].is_instant)
        self._unsaved.clear()
        self._log(f"cache cleared: {usage.models} models, {usage.bytes:,} bytes")
        return str(cache.folder), usage


def report_of(key: ModelKey, model: "Model") -> ModelReport:
    """Report the facts about a model."""
    created = str(model.info.get("created"))
    return ModelReport(teacher=key.teacher, preset=key.preset, seed=key.seed, created=created)


def _size(mesh: "Mesh") -> int:
    polygons = 0 if mesh.polygons is None else mesh.polygons.nbytes
    return mesh.vertices.nbytes + mesh.faces.nbytes + polygons
