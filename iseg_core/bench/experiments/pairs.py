"""Experiment `pairs`: two includes on like parts, the left and the right one of a rig, in both orders.

Each lies in the middle of its part. The answer should hold both parts and nothing else, in either order.
"""

import re
import time

import numpy as np

from ...clicks.click import SurfacePoint, VertexClick
from ...clicks.simulated_user import FaceTarget
from ...inference.segmenter import Segmenter
from ..experiment import INSTANT, MACHINE, Experiment, Record, Report, Setup, Table
from ..nested import NestedFile, NestedMesh
from .common import DECIMALS, iou

PAIRS = 3  # of a mesh, at most
CHOICE = 1  # seed of which they are
LEFT = re.compile(r"([._])L($|\.)")  # .L or _L, at the end of a name or before its number
FIGURES = ("left first", "right first", "orders agree", "plain union")


def measure(item: NestedMesh, setup: Setup) -> Record:
    """Measure some pairs of one mesh; it is not even made ready where it has none."""
    record: Record = {"collection": item.collection, "pairs": []}
    pairs = chosen_pairs(item)
    if not pairs:
        return record
    began = time.perf_counter()
    segmenter = setup.segmenter(item.mesh)
    record[MACHINE] = {"ready s": time.perf_counter() - began}
    for left, right in pairs:
        figures = measure_pair(segmenter, item, left, right)
        record["pairs"].append({"parts": [item.names[left], item.names[right]], **figures})
    return record


def chosen_pairs(item: NestedMesh) -> list[tuple[int, int]]:
    """Choose at most PAIRS of the parts whose names differ in L and R alone, without those that share faces."""
    mirrored = [(part, LEFT.sub(r"\1R\2", name)) for part, name in enumerate(item.names) if LEFT.search(name)]
    pairs = [(part, item.names.index(other)) for part, other in mirrored if other in item.names]
    chosen = [pairs[i] for i in np.random.default_rng(CHOICE).permutation(len(pairs))[:PAIRS]]
    return [(a, b) for a, b in chosen if not (item.parts[a] & item.parts[b]).any()]


def measure_pair(segmenter: Segmenter, item: NestedMesh, left: int, right: int) -> dict[str, float]:
    """Measure the answers to one include on each of two parts."""
    clicks = [middle(item, part) for part in (left, right)]
    both = FaceTarget(item.mesh, item.parts[left] | item.parts[right])
    asked = (clicks, clicks[::-1], clicks[:1], clicks[1:])
    answers = np.array([segmenter.segment(clicks=some, domain="face") >= 0.5 for some in asked])  # [4, F]
    found = {
        "left first": both.iou(answers[0]),
        "right first": both.iou(answers[1]),
        "orders agree": iou(answers[0], answers[1], both.area),
        "plain union": both.iou(answers[2] | answers[3]),
    }
    return {name: round(float(value), DECIMALS) for name, value in found.items()}


def middle(item: NestedMesh, part: int) -> VertexClick:
    """Include the corner that is next to the point that lies deepest in a part."""
    point = FaceTarget(item.mesh, item.parts[part]).first_click().prompt
    assert isinstance(point, SurfacePoint)
    return VertexClick(int(item.mesh.faces[point.face, np.argmax(point.barycentric)]), True)


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Make tables of all meshes that have pairs."""
    records = {name: record for name, record in records.items() if record["pairs"]}
    if not records:
        return Report([], [])
    collections = sorted({record["collection"] for record in records.values()})
    groups = {c: [r for r in records.values() if r["collection"] == c] for c in collections if c}
    rows = [_row(name, some) for name, some in [*groups.items(), ("all", list(records.values()))]]
    pairs = [(mesh, pair) for mesh, record in records.items() for pair in record["pairs"]]
    worst = sorted(pairs, key=lambda case: (case[1]["left first"] + case[1]["right first"], case[0]))[:10]
    tables = [
        Table(
            f"Two includes on like parts: {len(records)} meshes, {len(pairs)} pairs",
            rows,
            f"One include in the middle of each of two parts whose names differ in L and R alone; of a mesh at most "
            f"{PAIRS} pairs. left first, right first: IoU, by area of the faces, of the answer with both parts, in "
            "either order of the clicks. orders agree: IoU of the two answers with each other. plain union: IoU that "
            "the answers to the single clicks would reach together. Means over the pairs of a mesh, then over meshes.",
        ),
        Table(
            "The worst ten",
            [{"mesh": mesh, "pair": " ".join(pair["parts"]), **{f: pair[f] for f in FIGURES}} for mesh, pair in worst],
            "By the mean IoU of both orders.",
        ),
    ]
    return Report(tables, [])


def _row(name: str, some: list[Record]) -> dict:
    means = np.mean([np.mean([[pair[f] for f in FIGURES] for pair in r["pairs"]], axis=0) for r in some], axis=0)
    count = sum(len(record["pairs"]) for record in some)
    return {"collection": name, "meshes": len(some), "pairs": count, **dict(zip(FIGURES, means.tolist(), strict=True))}


PAIRS_OF_PARTS = Experiment(
    "pairs",
    f"Do two includes on like parts give both of them? (--teacher {INSTANT}: without training)",
    measure,
    report,
    NestedFile.kind,
    trains=False,
)
