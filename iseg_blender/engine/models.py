"""Trained models that the engine has for a mesh, and which one answers."""

import bpy

from ..core import messages
from ..document import parts
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept


class ModelLists(Kept):
    """The models that the engine has said there are."""

    def __init__(self) -> None:
        self.reports: dict[str, list[messages.ModelReport]] = {}  # by the geometry's name; the newest first
        self.chosen: dict[str, messages.ModelName] = {}  # likewise: what Train was pressed for last, which may be old
        self.poses: dict[str, str] = {}  # names of trained geometries, by their topology


def pose_trained(obj: bpy.types.Object, topology: str) -> str:
    """The name of a trained geometry that has this topology; empty where there is none."""
    saved = parts.trained_name(obj) if obj.iseg.trained_topology == topology else ""
    return saved or ModelLists.current().poses.get(topology, "")


def model_for(obj: bpy.types.Object, snapshot: MeshSnapshot) -> tuple[str, messages.ModelName | None]:
    """Which geometry and which of its models answer: the one that was trained last for this geometry, else one of
    another pose of the same mesh, else none (instant mode).
    """
    return newest(snapshot.hash, pose_trained(obj, snapshot.topology))


def newest(name: str, pose: str) -> tuple[str, messages.ModelName | None]:
    """The same, of a geometry's name and that of the pose that was trained."""
    for known in (name, pose):
        if ModelLists.current().reports.get(known):
            return known, report_of(known).name
    return name, None


def report_of(name: str) -> messages.ModelReport:
    """What the engine reports on the model of a geometry that answers."""
    known = ModelLists.current()
    reports, chosen = known.reports[name], known.chosen.get(name)
    return next((report for report in reports if report.name == chosen), reports[0])
