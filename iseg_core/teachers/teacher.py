"""Teachers: 2D models that say which pixels of a view belong to a click (paper, sections 3.1 and 3.3).

A teacher is whatever has the members of Teacher. What it can do beyond that it declares by having the members of
BatchTeacher, SurfaceTeacher or TargetTeacher as well; nobody asks in another way than isinstance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..clicks.click import VertexClicks
from ..render.camera import Camera
from ..render.raster import Raster


@dataclass(frozen=True)
class RenderedView:
    """View as a teacher is shown it: one camera, what its rays hit, and the picture drawn from that."""

    camera: Camera
    raster: Raster
    image: np.ndarray  # [H, W, 3] uint8


@dataclass(frozen=True)
class Embedding:
    """View as a teacher has encoded it: features for the field, and all that its own `predict` needs."""

    features: np.ndarray  # [d, h, w] float32, covering the same square as the view
    data: Any = None


class Prediction(NamedTuple):
    """Answers to Q prompt sets; the middle axis is the granularity: fine, part, whole."""

    masks: np.ndarray  # [Q, 3, H, W] bool
    scores: np.ndarray  # [Q, 3] float32, the teacher's own guess of each mask's quality in 0..1
    logits: Any = None  # [Q, 3, h, w] float32, an array or a tensor; one granularity of it is the next click's `prior`


@runtime_checkable
class Teacher(Protocol):
    """Promptable 2D segmentation model. `look` is expensive and runs once a view; `predict` is cheap."""

    name: str  # of its entry in registry.TEACHERS, if it has one; models keep it
    fingerprint: str  # identifies the weights or the recipe; stored with the model
    feature_dim: int  # d
    resolution: int  # H = W, in pixels, of the views that it is shown

    def look(self, view: RenderedView) -> Embedding:
        """Encode one view."""
        ...

    def predict(
        self,
        embedding: Embedding,
        points: np.ndarray,  # [Q, N, 2] float32, pixels: x right, y down, the top left pixel's centre at (0.5, 0.5)
        labels: np.ndarray,  # [Q, N] int8: 1 include, 0 exclude, -1 padding
        prior: Any = None,  # [Q, h, w] float32, array or tensor: logits of one granularity of an earlier Prediction
    ) -> Prediction:
        """Segment a view for Q prompt sets of up to N clicks each."""
        ...


@runtime_checkable
class BatchTeacher(Teacher, Protocol):
    """Teacher that encodes several views faster together than one by one."""

    @property
    def views_at_once(self) -> int:
        """Number of views to give to `look_many`; it may fall when memory runs out."""
        ...

    def look_many(self, views: Sequence[RenderedView]) -> list[Embedding]:
        """Encode several views."""
        ...


@runtime_checkable
class SurfaceTeacher(Teacher, Protocol):
    """Teacher that also answers in 3D: for the views that do not see the clicks, of which a 2D model knows nothing."""

    def regions(self, clicks: VertexClicks) -> np.ndarray:
        """Segment the proxy's vertices for clicks on some of them, at every granularity. [3, P] bool"""
        ...


@runtime_checkable
class TargetTeacher(Teacher, Protocol):
    """Teacher that can propose parts: towards them, long click sequences are simulated in training."""

    def hidden_targets(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw parts that a user may want. [count, P] bool over the proxy's vertices"""
        ...


def views_at_once(teacher: Teacher) -> int:
    """Number of views that a teacher is best shown together."""
    return teacher.views_at_once if isinstance(teacher, BatchTeacher) else 1


def look_at(teacher: Teacher, views: Sequence[RenderedView]) -> list[Embedding]:
    """Show a teacher several views, together where it has a way for that."""
    return teacher.look_many(views) if isinstance(teacher, BatchTeacher) else [teacher.look(view) for view in views]


@dataclass(frozen=True)
class TeacherCard:
    """Facts about a teacher that lives in another process."""

    name: str
    fingerprint: str
    feature_dim: int
    resolution: int

    @classmethod
    def of(cls, teacher: Teacher) -> "TeacherCard":
        return cls(teacher.name, teacher.fingerprint, teacher.feature_dim, teacher.resolution)
