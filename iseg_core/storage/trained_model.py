"""Model files: safetensors and JSON, never pickle.

One file holds all a Segmenter needs: the mesh, its proxy, the geometric operators, the vertex features and the
networks. Its header holds one JSON record: versions, settings, where the model came from, and a checksum over it all.
"""

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError, ModelFileError
from ..geometry.mesh import Mesh
from ..geometry.proxy import Proxy
from ..geometry.samples import FaceSamples
from ..parts.assembly import Assembly
from ..version import __version__
from .tensor_file import FILE_LIMIT, FORMAT, HEADER_LIMIT, checksum, read, write

SUFFIX = ".iseg"

_NETWORKS = ("field.", "decoder.")
# Type and shape of the arrays; a letter is a length that must be the same wherever it stands.
_REQUIRED: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "mesh.vertices": ("float64", ("V", 3)),
    "mesh.faces": ("int32", ("F", 3)),
    "proxy.vertices": ("float64", ("P", 3)),
    "proxy.faces": ("int32", ("G", 3)),
    "proxy.carry_index": ("int32", ("V", 3)),
    "proxy.carry_weight": ("float32", ("V", 3)),
    "features": ("float32", ("P", "d")),
    "surface.edges": ("int32", ("E", 2)),
    "surface.weights": ("float64", ("E",)),
    "surface.lengths": ("float64", ("E",)),
    "surface.mass": ("float64", ("P",)),
    "surface.area": ("float64", ("K",)),
}
_Forms = dict[str, tuple[str, tuple[str | int, ...]]]
# Groups that a file has whole or not at all: files of format 1 have one cluster and no samples of faces.
_OPTIONAL: tuple[_Forms, ...] = (
    {"mesh.polygons": ("int32", ("F",))},
    {"mesh.labels": ("int32", ("F",))},
    {"mesh.marked_edges": ("int32", ("marked edges", 2))},
    {
        "samples.faces": ("int32", ("R",)),
        "samples.polygons": ("int32", ("R",)),
        "samples.start": ("int32", ("N + 1",)),
        "samples.vertices": ("int32", ("M",)),
        "samples.weights": ("float32", ("M",)),
    },
    {
        "surface.clusters": ("int32", ("P",)),
        "surface.contacts": ("int32", ("C", 2)),
        "surface.contact_weights": ("float64", ("C",)),
        "surface.contact_lengths": ("float64", ("C",)),
    },
    {"surface.facets": ("int32", ("P",))},
)
_INDICES = {
    "mesh.faces": "V",
    "mesh.polygons": "F",
    "mesh.marked_edges": "V",
    "proxy.faces": "P",
    "proxy.carry_index": "P",
    "samples.faces": "F",
    "samples.vertices": "P",
    "surface.clusters": "K",
    "surface.edges": "P",
    "surface.contacts": "P",
}
# What the values of a real model lie in, by far: the proxy is in the unit sphere. Beyond, answers are not numbers.
_RANGES = {
    "mesh.vertices": (-np.inf, np.inf),
    "proxy.vertices": (-2.0, 2.0),
    "proxy.carry_weight": (-0.1, 1.1),
    "samples.weights": (-0.1, 1.1),
    "surface.weights": (0.0, 1e3),
    "surface.lengths": (0.0, 10.0),
    "surface.mass": (0.0, 2.0),
    "surface.area": (0.0, 1e3),
    "surface.contact_weights": (0.0, 1e3),
    "surface.contact_lengths": (0.0, 10.0),
}
_LARGE = 1e6  # of any other array
_SAID = ("polygons", "labels", "marked_edges")  # what a mesh may say of its triangles beside their corners
SAMPLES = tuple(one.name for one in fields(FaceSamples))


@dataclass(eq=False)
class Model:
    """Result of a training. V vertices of the user's mesh, P proxy vertices, d feature channels."""

    mesh: Mesh
    proxy: Proxy
    assembly: Assembly  # surfaces of the proxy, with the matrices they have factorised; a file holds their arrays alone
    features: np.ndarray  # [P, d] float32, the field at the proxy's vertices
    networks: dict[str, np.ndarray] = field(
        default_factory=dict[str, np.ndarray]
    )  # weights by name, "field.*" and "decoder.*"
    settings: dict[str, Any] = field(default_factory=dict[str, Any])  # JSON; the networks' sizes among them
    info: dict[str, Any] = field(default_factory=dict[str, Any])  # JSON; teacher, preset, seed, created, ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path` (suggested suffix: .iseg), whole or not at all.

        settings and info must be JSON (tuples come back as lists). Raises ModelFileError where the arrays do not fit
        each other or one file, OSError where the file cannot be written.
        """
        tensors = self._tensors()
        _check(tensors, "The model cannot be saved")
        size = sum(array.nbytes for array in tensors.values())
        if size > FILE_LIMIT - HEADER_LIMIT:  # else nothing could read it
            raise ModelFileError(
                f"The model cannot be saved: with {size:,} bytes it is larger than a model file may be "
                f"({FILE_LIMIT:,}). Use a mesh of fewer vertices."
            )
        record = {
            "format": FORMAT,
            "engine": __version__,
            "mesh": self.mesh.hash,
            "settings": self.settings,
            "info": self.info,
        }
        record["sha256"] = checksum(record, tensors)
        write(path, record, tensors)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Model":
        """Read a model file. Raises ModelFileError with a remedy where it is not one that this engine can trust."""
        record, tensors = read(Path(path))
        _check(tensors, f"{path} is damaged")
        mesh = Mesh(tensors["mesh.vertices"], tensors["mesh.faces"], *(tensors.get(f"mesh.{name}") for name in _SAID))
        if mesh.hash != record["mesh"]:
            raise ModelFileError(f"{path} holds another mesh than it says. Train the mesh again.")
        return cls(
            mesh=mesh,
            proxy=Proxy(**_part(tensors, "proxy."), samples=_samples(_part(tensors, "samples."))),
            assembly=Assembly.from_arrays(tensors["proxy.vertices"], _part(tensors, "surface.")),
            features=tensors["features"],
            networks={name: array for name, array in tensors.items() if name.startswith(_NETWORKS)},
            settings=record["settings"],
            info=record["info"],
        )

    def _tensors(self) -> dict[str, np.ndarray]:
        """Arrays under the names they have in the file."""
        tensors = {
            "mesh.vertices": self.mesh.vertices,
            "mesh.faces": self.mesh.faces,
            "proxy.vertices": self.proxy.vertices,
            "proxy.faces": self.proxy.faces,
            "proxy.carry_index": self.proxy.carry_index,
            "proxy.carry_weight": self.proxy.carry_weight,
            "features": self.features,
            **{f"samples.{name}": getattr(self.proxy.samples, name) for name in SAMPLES},
            **{f"surface.{name}": array for name, array in self.assembly.arrays().items()},
            **self.networks,
        }
        said = {f"mesh.{name}": getattr(self.mesh, name) for name in _SAID}
        tensors |= {name: array for name, array in said.items() if array is not None}
        return {name: np.asarray(array, order="C") for name, array in tensors.items()}


def check_size(mesh: Mesh) -> None:
    """Check that a model file can hold the mesh, before a training rather than after it. Raises MeshError."""
    arrays = [mesh.vertices.nbytes, mesh.faces.nbytes, 24 * len(mesh.vertices)]  # the last: how answers are carried
    if sum(arrays) > FILE_LIMIT - HEADER_LIMIT:
        raise MeshError(
            f"A mesh of {len(mesh.vertices):,} vertices and {len(mesh.faces):,} triangles is larger than a model file "
            f"may be ({FILE_LIMIT:,} bytes, some 14 million vertices). Simplify a copy of it, or train its parts."
        )


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model file; see Model.load."""
    return Model.load(path)


def check_mesh(model: Model, mesh: Mesh) -> str:
    """Tell how the model's mesh is this one: "same", or "moved" (same faces, other coordinates; answers still hold).

    Raises ModelFileError where the faces differ.
    """
    if model.mesh.hash == mesh.hash:
        return "same"
    if len(model.mesh.vertices) == len(mesh.vertices) and np.array_equal(model.mesh.faces, mesh.faces):
        return "moved"
    ours, theirs = (f"{len(m.vertices):,} vertices and {len(m.faces):,} faces" for m in (model.mesh, mesh))
    raise ModelFileError(
        f"The model was trained on another mesh ({ours}; this one has {theirs}, or the same number in another order). "
        "Train this mesh, or open the model that belongs to it."
    )


def _samples(arrays: dict[str, np.ndarray]) -> FaceSamples:
    return FaceSamples(**arrays) if arrays else FaceSamples.none()


def _part(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _check(tensors: dict[str, np.ndarray], what: str) -> None:
    """Raise ModelFileError, beginning with `what`, unless the arrays fit each other."""

    def fail(defect: str) -> ModelFileError:
        return ModelFileError(f"{what}: {defect}. Train the mesh again.")

    lengths: dict[str | int, int] = {1: 1, 2: 2, 3: 3}
    known = dict(_REQUIRED)
    for group in _OPTIONAL:
        known |= group if group.keys() & tensors.keys() else {}
    for name, (kind, shape) in known.items():
        array = tensors.get(name)
        if array is None:
            raise fail(f"the array {name} is missing")
        fits = array.dtype == kind and array.ndim == len(shape)
        if not fits or any(lengths.setdefault(n, have) != have for n, have in zip(shape, array.shape, strict=True)):
            raise fail(f"{name} of type {array.dtype} and shape {array.shape} does not fit the other arrays")
        if name in _INDICES and array.size and not 0 <= array.min() <= array.max() < lengths[_INDICES[name]]:
            raise fail(f"{name} points outside 0..{lengths[_INDICES[name]] - 1}")
    if "samples.start" in tensors:
        start = tensors["samples.start"]
        polygons = np.unique(tensors["samples.polygons"])  # [N] each has a face
        whole = np.array_equal(polygons, np.arange(start.size - 1)) and start[0] == 0 and start[-1] == lengths["M"]
        if not whole or (np.diff(start) < 1).any() or (np.diff(tensors["samples.faces"]) < 1).any():
            raise fail("the samples of its faces are not in order")
    for name, array in tensors.items():
        if name not in known and not name.startswith(_NETWORKS):
            raise fail(f"the array {name} is unknown")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise fail(f"{name} holds values that are not finite")
        low, high = _RANGES.get(name, (-_LARGE, _LARGE)) if array.dtype.kind == "f" else (-np.inf, np.inf)
        if array.size and not low <= array.min() <= array.max() <= high:
            raise fail(f"{name} holds values beyond {low:g}..{high:g}")
