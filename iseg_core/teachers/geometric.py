"""Teacher of parts by geometry alone: no download, no GPU. It answers through the same 2D path as SAM."""

# pyright: reportMissingTypeStubs=false

import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ..clicks.click import Granularity, VertexClick, VertexClicks, first_included, size_of
from ..parts.assembly import AssemblyFinder, propose_assembly
from ..parts.sequences import AS_MADE, geometric_ladder
from ..render.raster import Raster
from ..storage.trained_model import Model
from .registry import TeacherEntry
from .teacher import Embedding, Prediction, RenderedView, SurfaceTeacher, TargetTeacher

FEATURES = 64  # eigenvectors shown to the field
RECIPE = "geometric-5"  # raised whenever the recipe's answers change


def make(entry: TeacherEntry, weights: Path | None, model: Model, device: str) -> "GeometricTeacher":
    """Make the teacher of one mesh."""
    return GeometricTeacher(AssemblyFinder(model.assembly), model.proxy.faces)


class GeometricTeacher(SurfaceTeacher, TargetTeacher):
    """Teacher whose masks are regions of the surface, drawn into the view.

    A prompt's points stand for the nearest visible vertices on the screen; several points are corrected in the order
    given, each granularity for itself. The score of a mask is 1 / (1 + exp(score of the first click's region)).
    """

    name = "geometric"
    fingerprint = RECIPE
    feature_dim = FEATURES

    def __init__(self, finder: AssemblyFinder, faces: np.ndarray, resolution: int = 112):
        """finder: of the proxy's surfaces; faces [G, 3] of the proxy."""
        self.resolution = resolution
        self._finder, self._faces, self._surface = finder, faces, finder.assembly.whole
        self._features = self._surface.spectral_features(FEATURES)  # [P, d]
        self._answers = propose_assembly(finder, AS_MADE)

    def look(self, view: RenderedView) -> Embedding:
        """Draw the spectral features of the surface into the view."""
        matrix: Any = view.raster.matrix(self._faces, len(self._features))  # [p, P]
        side = view.raster.face_id.shape[0]
        features = np.zeros((side * side, FEATURES), dtype=np.float32)  # [HW, d]
        features[view.raster.covered] = matrix @ self._features
        shown = np.zeros(len(self._features), dtype=bool)  # [P] corners of faces that a pixel shows
        shown[matrix.indices] = True
        visible = np.flatnonzero(view.raster.visible & shown)
        visible = visible if len(visible) else np.flatnonzero(shown)  # [n]
        pixels = view.camera.project(self._surface.vertices[visible], side)  # [n, 2]
        return Embedding(features.T.reshape(FEATURES, side, side), (view.raster, matrix, visible, KDTree(pixels)))

    def predict(
        self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: np.ndarray | None = None
    ) -> Prediction:
        """Segment a view for Q prompt sets; `prior` is not needed: the answers to earlier clicks are remembered."""
        raster, matrix, visible, tree = embedding.data
        nearest = visible[tree.query(points.reshape(-1, 2))[1]].reshape(points.shape[:2])  # [Q, N]
        sets = [
            tuple(VertexClick(int(v), bool(label)) for v, label in zip(vertices, given, strict=True) if label >= 0)
            for vertices, given in zip(nearest, labels, strict=True)
        ]
        distinct, place = _number(sets)
        regions = np.array([self.regions(clicks) for clicks in distinct])  # [D, 3, P]
        drawn = self._draw(regions.reshape(-1, regions.shape[2]), raster, matrix)  # [3D, H, W]
        masks = drawn.reshape(len(distinct), len(Granularity), *drawn.shape[1:])[place]  # [Q, 3, H, W]
        scores = np.array([self._scores(clicks) for clicks in distinct], dtype=np.float32)[place]  # [Q, 3]
        return Prediction(masks, scores)

    def regions(self, clicks: VertexClicks) -> np.ndarray:
        """Segment the surface at every granularity. [3, P] bool"""
        if not any(include for _, include in clicks):
            return np.zeros((len(Granularity), len(self._features)), dtype=bool)  # [3, P]
        return np.array([self._answers.answer(clicks, size_of(granularity)) for granularity in Granularity])

    def hidden_targets(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw regions that a user may want: candidates of random clicks, the better more often. [count, P] bool"""
        surface = self._surface
        chance = surface.mass / surface.mass.sum()  # [P]
        targets: list[np.ndarray] = []
        for vertex in rng.choice(surface.vertex_count, size=count, p=chance):
            found = self._finder.candidates(int(vertex))
            odds = np.exp(-found.scores + found.scores.min())  # [N]
            region = found.regions[rng.choice(len(odds), p=odds / odds.sum())]  # [n]
            targets.append(self._finder.expand(int(vertex), region))
        return np.array(targets)

    def _scores(self, clicks: VertexClicks) -> list[float]:
        """Guess the quality of each granularity's region, in 0..1. [3]"""
        if not any(include for _, include in clicks):
            return [0.0] * len(Granularity)
        cluster, vertex = self._finder.place(first_included(clicks))
        own = self._finder.finder(cluster)
        found, ladder = own.candidates(vertex), geometric_ladder(own, vertex)
        regions = [ladder.region(size_of(granularity)) for granularity in Granularity]  # of [n]
        return [1 / (1 + math.exp(found.score_of(region, own.surface.mass))) for region in regions]

    def _draw(self, regions: np.ndarray, raster: Raster, matrix: Any) -> np.ndarray:
        """Draw regions [R, P] as masks [R, H, W]: inside is where the interpolated membership is at least half."""
        shape = raster.face_id.shape
        masks = np.zeros((shape[0] * shape[1], len(regions)), dtype=bool)  # [HW, R]
        masks[raster.covered] = matrix @ np.ascontiguousarray(regions.T, dtype=np.float32) >= 0.5
        return masks.T.reshape(len(regions), *shape)


def _number(items: list[VertexClicks]) -> tuple[list[VertexClicks], np.ndarray]:
    """Number equal items alike: the distinct ones in order of appearance, and the index of each item among them."""
    places: dict[VertexClicks, int] = {}
    place = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(place, dtype=np.int64)
