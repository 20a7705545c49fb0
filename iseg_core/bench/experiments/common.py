"""Helpers that the experiments share: clicks, weights, agreement. The methods that they ask: ../methods.py."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...geometry.mesh import Mesh, face_areas
from ...inference.segmenter import Segmenter
from ...storage.trained_model import Model
from ...training.observe import clickable_vertices
from ...training.settings import Settings
from ..experiment import Record

DECIMALS = 6  # decimals kept in a record
# Changes to the settings that train on single clicks and pairs only, as the paper does: no longer sequence is
# simulated, and the correction of wrong answers during training ends at two clicks.
AT_MOST_TWO = {"hidden_targets": 0, "max_clicks": 2}
# A reduced training, for experiments that need many of them, or one that is slow.
REDUCED = {"proxy_vertices": 2000, "field_steps": 200, "decoder_steps": 400}


def single_answers(segmenter: Segmenter, vertices: Iterable[int]) -> np.ndarray:
    """Answers to single including clicks on vertices [n]. [n, V] float32"""
    return np.array([segmenter.segment(positive=[int(vertex)]) for vertex in vertices])


def random_clicks(mesh: Mesh, count: int, seed: int) -> np.ndarray:
    """Distinct vertices of faces, at most `count`. [n]"""
    used = np.unique(mesh.faces)  # [U]
    return np.random.default_rng(seed).permutation(used)[:count]


def training_clicks(model: Model, settings: Settings, seed: int) -> np.ndarray:
    """Proxy vertices that a training with these settings clicked. [T]"""
    proxy = model.proxy
    return clickable_vertices(proxy.vertices, np.unique(proxy.faces), settings, np.random.default_rng(seed))


def stand_ins(model: Model, vertices: np.ndarray) -> np.ndarray:
    """Vertices of the user's mesh that proxy vertices [n] stand for, one each where there is one. [<= n]"""
    known, first = np.unique(model.proxy.nearest, return_index=True)  # [n'], [n']
    return first[np.isin(known, vertices)]


def unseen_clicks(model: Model, settings: Settings, seed: int, count: int) -> np.ndarray:
    """Random vertices of the user's mesh for proxy vertices that a training with these settings did not click. [n]"""
    unclicked = np.setdiff1d(model.proxy.faces, training_clicks(model, settings, seed))  # [n']
    return np.random.default_rng(seed).permutation(stand_ins(model, unclicked))[:count]


def vertex_areas(mesh: Mesh) -> np.ndarray:
    """Area of each vertex: a third of that of the faces around it. [V]"""
    return np.bincount(mesh.faces.ravel(), np.repeat(face_areas(mesh) / 3, 3), minlength=len(mesh.vertices))


def iou(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted intersection over union of regions [..., V] bool; 1 where both are empty. [...]"""
    shared, union = (a & b) @ weight, (a | b) @ weight  # [...]
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 1.0)


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of those that are numbers, None where there are none; rounded for a record."""
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), DECIMALS) if known else None


def spread(values: Iterable[float | None]) -> float | None:
    """Standard deviation of those that are numbers."""
    known = [value for value in values if value is not None]
    return round(float(np.std(known)), DECIMALS) if known else None


def title_of(name: str, record: Record) -> str:
    return f"{name} {record['category']}".strip()


def mesh_rows(records: Mapping[str, Record], figures: Mapping[str, Sequence[float | None]]) -> list[dict]:
    """Make a row for each mesh, and one for the mean over the meshes. figures: by column, a value a mesh."""
    names = [title_of(name, record) for name, record in records.items()]
    rows = [{"mesh": m, **{c: values[i] for c, values in figures.items()}} for i, m in enumerate(names)]
    return [*rows, {"mesh": "mean", **{c: mean(values) for c, values in figures.items()}}]
