"""A made-up teacher, as a newcomer would add one: a class, a function that makes it, and an entry for the registry."""

from pathlib import Path

import numpy as np

from iseg_core.storage.trained_model import Model
from iseg_core.teachers.registry import Extra, TeacherEntry, WeightsFile
from iseg_core.teachers.teacher import Embedding, Prediction, RenderedView, Teacher

SIDE, FEATURES = 48, 3


class HeightTeacher(Teacher):
    """Teacher whose part is everything on the click's side of the picture's middle row. It can nothing optional."""

    name, fingerprint = "height", "height-1"
    feature_dim, resolution = FEATURES, SIDE

    def look(self, view: RenderedView) -> Embedding:
        features = np.moveaxis(view.image[::8, ::8].astype(np.float32) / 255, -1, 0)  # [3, h, w]
        return Embedding(features, view.raster.face_id >= 0)

    def predict(self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior=None) -> Prediction:
        first = np.argmax(labels == 1, axis=1)  # [Q]
        above = points[np.arange(len(points)), first, 1] < SIDE / 2  # [Q]
        half = (np.arange(SIDE) < SIDE / 2)[:, None] & embedding.data  # [H, W]
        masks = np.where(above[:, None, None], half, embedding.data & ~half)  # [Q, H, W]
        scores = np.full((len(points), 3), 0.95, dtype=np.float32)  # [Q, 3]
        return Prediction(np.repeat(masks[:, None], 3, axis=1), scores)


def make(entry: TeacherEntry, weights: Path | None, model: Model, device: str) -> HeightTeacher:
    assert entry.name == "height" and weights is None and len(model.proxy.vertices)
    return HeightTeacher()


HEIGHT = TeacherEntry("height", "Height", "Learns what is above", f"{__name__}:make")
WEIGHTS = WeightsFile("https://weights.example/files/tower.pth", 12_000_000, "0" * 64, "Towers", "MIT")
TOWERS = Extra("towers", "Towers", "the tower teachers", ("no-such-towers",))
TOWER = TeacherEntry("tower", "Tower", "Learns from towers", f"{__name__}:make", weights=WEIGHTS, extra=TOWERS)
