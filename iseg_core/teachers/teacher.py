"""Teachers: 2D models that say which pixels of a view belong to a click (paper, section 3.1 and 3.3)."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..render.camera import Camera
from ..render.raster import Raster


@dataclass(frozen=True)
class RenderedView:
    """What a teacher is shown: one camera, what its rays hit, and the picture drawn from that."""

    camera: Camera
    raster: Raster
    image: np.ndarray  # [H, W, 3] uint8


@dataclass(frozen=True)
class Embedding:
    """What a teacher keeps of one view: features for the field, and whatever its own predict needs."""

    features: np.ndarray  # [d, h, w] float32, covering the same square as the view
    data: Any = None


class Prediction(NamedTuple):
    """Answer to Q prompt sets; the middle axis is the scale: fine, part, whole."""

    masks: np.ndarray  # [Q, 3, H, W] bool
    scores: np.ndarray  # [Q, 3] float32, the teacher's own guess of each mask's quality in 0..1
    logits: Any = None  # [Q, 3, h, w] float32, an array or a tensor, fed back as `prior` with the next click


class Teacher(Protocol):
    """A promptable 2D segmentation model. `look` is expensive and runs once a view; `predict` is cheap.

    One that is faster with several views at once also has `look_many(views) -> list[Embedding]` and `views_at_once`.
    """

    name: str  # as the user gives it: "geometric", "sam_vit_b", ...
    fingerprint: str  # identifies the weights or the recipe; stored with the model
    feature_dim: int
    resolution: int  # side, in pixels, of the views it is shown

    def look(self, view: RenderedView) -> Embedding: ...

    def predict(
        self,
        embedding: Embedding,
        points: np.ndarray,  # [Q, N, 2] float32, pixels: x right, y down, the top left pixel's centre at (0.5, 0.5)
        labels: np.ndarray,  # [Q, N] int8: 1 include, 0 exclude, -1 padding
        prior: Any = None,  # [Q, h, w] float32, logits of an earlier Prediction
    ) -> Prediction: ...
