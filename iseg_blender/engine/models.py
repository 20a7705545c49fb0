"""Trained models that the engine has for a mesh, and the choice of the one that answers."""

import bpy

from ..core import messages
from ..document import parts
from ..mesh.snapshot import MeshSnapshot
from ..session import Kept


class ModelLists(Kept):
    """Models that the engine has reported."""

    def __init__(self) -> None:
        self.reports: dict[str, list[messages.ModelReport]] = {}  # by the geometry's hash; the newest first
        self.chosen: dict[str, messages.ModelName] = {}  # by hash: the model that Train asked for last; may be old
        self.poses: dict[str, str] = {}  # hashes of trained geometries, by the hash of their topology


def pose_trained(obj: bpy.types.Object, topology: str) -> str:
    """Return the hash of a trained geometry that has this topology; empty where there is none."""
    saved = parts.trained_hash(obj) if obj.iseg.trained_topology == topology else ""
    return saved or ModelLists.current().poses.get(topology, "")


def model_for(obj: bpy.types.Object, snapshot: MeshSnapshot) -> tuple[str, messages.ModelName | None]:
    """Return the hash of the geometry and the model that answer for a mesh: the model that was trained last for this
    geometry, else that of another pose of the same mesh, else None (instant mode).
    """
    return newest(snapshot.hash, pose_trained(obj, snapshot.topology))


def newest(name: str, pose: str) -> tuple[str, messages.ModelName | None]:
    """Return the same as model_for, from the hash of a geometry and the hash of the pose that was trained."""
    for known in (name, pose):
        if ModelLists.current().reports.get(known):
            return known, report_of(known).name
    return name, None


def report_of(name: str) -> messages.ModelReport:
    """Return the engine's report on the model that answers for a geometry, given the geometry's hash."""
    known = ModelLists.current()
    reports, chosen = known.reports[name], known.chosen.get(name)
    return next((report for report in reports if report.name == chosen), reports[0])
