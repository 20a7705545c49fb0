"""Stability (section 4.3): a click beside a click should mean the same part."""

import time

import numpy as np

from ..dataset import LabelledMesh
from ..experiment import MACHINE, Experiment, Record, Report, Setup, Table
from ..methods import segmenters_of, votes_of
from .common import iou, mean, mesh_rows, random_clicks, single_answers, vertex_areas

CLICKS = 100  # the paper's number
METHODS = ("trained", "student", "instant", "votes")
CLAIM = {"trained": 0.8, "votes": 0.7}  # of the paper, on 7 meshes of its own


def neighbours(faces: np.ndarray, vertex: int) -> np.ndarray:
    """Find the one-ring of a vertex. [n]"""
    around = np.unique(faces[(faces == vertex).any(axis=1)])
    return around[around != vertex]


def stability(regions: np.ndarray, rings: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Mean IoU of each region with those of its ring. regions [n, V] bool; rings: rows of regions, one a click. [m]

    The click of rings[i] is regions[i].
    """
    return np.array([iou(regions[i], regions[ring], weight).mean() for i, ring in enumerate(rings)])


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh."""
    mesh = item.mesh
    model = setup.model(mesh)
    clicks = random_clicks(mesh, CLICKS, setup.seed)  # [m]
    around = [neighbours(mesh.faces, int(vertex)) for vertex in clicks]  # m of [n]
    place = {int(v): i for i, v in enumerate(clicks)}
    for vertex in np.concatenate(around):
        place.setdefault(int(vertex), len(place))
    rings = [np.array([place[int(v)] for v in ring]) for ring in around]
    asked, weight = np.array(list(place)), vertex_areas(mesh)  # [n], [V]
    record: Record = {"category": item.category, "vertices": len(mesh.vertices), "clicks": len(clicks), "methods": {}}
    record[MACHINE] = {"seconds": {}}
    segmenters, votes = segmenters_of(model, setup), votes_of(model, setup)
    for name in METHODS:
        began = time.perf_counter()
        answers = single_answers(segmenters[name], asked) if name in segmenters else votes.singles(asked)  # [n, V]
        regions = answers >= 0.5  # [n, V]
        record[MACHINE]["seconds"][name] = time.perf_counter() - began
        each = stability(regions, rings, weight)  # [m]
        empty = ~regions[: len(clicks)].any(axis=1)  # [m]
        record["methods"][name] = {"stability": mean(each), "least": float(each.min()), "empty": float(empty.mean())}
    return record


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes; write the pictures."""

    def of(method: str, figure: str) -> list[float]:
        return [record["methods"][method][figure] for record in records.values()]

    rows = [
        {
            "method": method,
            "stability": mean(of(method, "stability")),
            "spread over meshes": float(np.std(of(method, "stability"))),
            "least click": min(of(method, "least")),
            "empty answers": mean(of(method, "empty")),
            "the paper's": CLAIM.get(method),
        }
        for method in METHODS
    ]
    clicks = next(iter(records.values()))["clicks"]
    note = (
        f"Mean IoU, by area, between a click's region and those of its one-ring neighbours' clicks, on the user's own "
        f"mesh; {clicks} random clicks a mesh. empty answers: share of the clicks whose region is empty; two empty "
        "regions count as equal. The paper's figures are for its own seven meshes with SAM. On a mesh of more vertices "
        "than its proxy, neighbours may share the proxy's vertex and then agree by construction, with every method."
    )
    figures = {method: of(method, "stability") for method in METHODS}
    tables = [
        Table(f"Stability: {len(records)} meshes", rows, note),
        Table("Stability of each mesh", mesh_rows(records, figures)),
    ]
    return Report(tables, [])


STABILITY = Experiment("stability", "Does a click beside a click mean the same part?", measure, report)
