"""Trained models that the engine has for a mesh, and which one answers."""

from typing import NamedTuple

import bpy

from ..core import EngineError
from ..document import parts
from ..mesh.snapshot import Look
from ..tasks import NONSENSE, Reply


class Model(NamedTuple):
    """A model of a mesh, as it was trained."""

    teacher: str
    preset: str
    seed: int

    @classmethod
    def of(cls, report: dict) -> "Model":
        """The one that the engine reports on. Raises EngineError where that is none."""
        teacher, preset, seed = (report.get(field) for field in cls._fields)
        if not isinstance(teacher, str) or not isinstance(preset, str) or type(seed) is not int:
            raise EngineError(NONSENSE)
        return cls(teacher, preset, seed)


models: dict[str, list[dict]] = {}  # by the geometry's name; the newest first
chosen: dict[str, Model] = {}  # by the geometry's name: the one that Train was pressed for last, which need not be new
poses: dict[str, str] = {}  # names of trained geometries, by their topology


def pose_trained(thing: bpy.types.Object, topology: str) -> str:
    """The name of a trained geometry that has this topology; empty where there is none."""
    saved = parts.trained_name(thing) if thing.iseg.trained_topology == topology else ""
    return saved or poses.get(topology, "")


def model_for(thing: bpy.types.Object, look: Look) -> tuple[str, Model | None]:
    """Which geometry and which of its models answer: the one that was trained last for this geometry, else one of
    another pose of the same mesh, else none (instant mode).
    """
    return newest(look.hash, pose_trained(thing, look.topology))


def newest(name: str, pose: str) -> tuple[str, Model | None]:
    """The same, of a geometry's name and that of the pose that was trained."""
    for known in (name, pose):
        if models.get(known):
            return known, Model.of(report_of(known))
    return name, None


def report_of(name: str) -> dict:
    """What the engine reports on the model of a geometry that answers."""
    return next((report for report in models[name] if Model.of(report) == chosen.get(name)), models[name][0])


def listed(reply: Reply) -> list[dict]:
    """The models that an answer lists; what is none of a model raises here, not wherever it is used."""
    return [report for report in reply.fields["models"] if Model.of(report)]
