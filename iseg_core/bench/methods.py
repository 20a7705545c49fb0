"""Methods that are compared: the trained model, its controls, the baselines. Each turns clicks into probabilities."""

import numpy as np

from ..clicks.click import VertexClick
from ..clicks.simulated_user import Predictor
from ..geometry.mesh import Mesh
from ..inference.segmenter import Segmenter, instant
from ..storage.trained_model import Model
from ..teachers.make import make_teacher
from .experiment import INSTANT, Setup
from .votes import Votes

METHODS = {
    "trained": "the trained model: the student's region, refined by the geometry of the surface",
    "student": "control: the student without refinement (the paper's decoder)",
    "instant": "control: refinement without the student, which is instant mode and the geometric teacher's own answer",
    "votes": "baseline: the teacher's 2D masks of the clicks, averaged over the views that see them",
    "shell": "baseline: the connected component that holds the first click",
}


def methods_of(model: Model, setup: Setup) -> dict[str, Predictor[VertexClick]]:
    """Make every method of METHODS on a trained mesh."""
    segmenters = {name: asking(segmenter) for name, segmenter in segmenters_of(model, setup).items()}
    return {**segmenters, "votes": votes_of(model, setup).answer, "shell": shell_of(model)}


def segmenters_of(model: Model, setup: Setup) -> dict[str, Segmenter]:
    """Make the trained model and its two controls."""
    return {
        "trained": Segmenter(model, setup.device),
        "student": Segmenter(model, setup.device, refine=False),
        "instant": untrained(model),
    }


def in_use(mesh: Mesh, setup: Setup) -> dict[str, Segmenter]:
    """Make what users work with: the trained model and instant mode; the latter alone where it is the run's teacher."""
    if setup.teacher == INSTANT:
        return {"instant": instant(mesh)}
    model = setup.model(mesh)
    return {"trained": Segmenter(model, setup.device), "instant": untrained(model)}


def untrained(model: Model) -> Segmenter:
    """Make a segmenter of the same mesh without its student."""
    features = np.zeros((len(model.proxy.vertices), 0), dtype=np.float32)  # [P, 0]
    return Segmenter(Model(model.mesh, model.proxy, model.assembly, features, info=model.info))


def asking(segmenter: Segmenter) -> Predictor[VertexClick]:
    """Make the method of a segmenter that answers for vertices."""
    return lambda clicks: segmenter.segment(clicks=clicks)


def votes_of(model: Model, setup: Setup) -> Votes:
    """Make the votes of the run's teacher in as many views as the training has."""
    return Votes(model, make_teacher(setup.teacher, model, setup.device), setup.settings.views)


def shell_of(model: Model) -> Predictor[VertexClick]:
    """Make the method that answers with the whole connected component of the first included click."""
    shells = model.assembly.shells[model.proxy.nearest]  # [V]

    def answer(clicks: list[VertexClick]) -> np.ndarray:
        first = next((vertex for vertex, include in clicks if include), None)
        return np.zeros(len(shells)) if first is None else (shells == shells[first]).astype(np.float32)  # [V]

    return answer
