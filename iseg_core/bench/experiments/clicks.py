"""Experiment `clicks`: simulated users correct an answer until it is the part they want (the protocol of AGILE3D).

All methods (methods.py) are compared on the same parts; whatever a method needs is made once a mesh.
"""

import sys
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ...clicks.click import VertexClick
from ...clicks.simulated_user import Predictor, VertexTarget, simulate
from ...geometry.domain import Domain
from ...geometry.mesh import face_areas
from ...inference.segmenter import Segmenter
from ..dataset import LabelledMesh
from ..experiment import MACHINE, Experiment, Record, Report, Setup, Table
from ..methods import METHODS, methods_of

if TYPE_CHECKING:
    from PIL.Image import Image

LIMIT = 20  # clicks of a simulated user
SHOWN = (1, 2, 3, 5, 10)  # clicks after which the IoU is reported
REACHED = (0.80, 0.85, 0.90)  # IoU of NoC@80, @85, @90


@dataclass
class Timed:
    """Answer that remembers how long it took, how many clicks it did not honour, and what it said first."""

    answer: Predictor[VertexClick]
    seconds: list[float] = field(default_factory=list)
    broken: int = 0
    first: np.ndarray = field(default_factory=lambda: np.empty(0))  # [V] the last answer to a single click

    def __call__(self, clicks: list[VertexClick]) -> np.ndarray:
        began = time.perf_counter()
        probability = self.answer(clicks)  # [V]
        self.seconds.append(time.perf_counter() - began)
        if len(clicks) == 1:
            self.first = probability
        self.broken += sum((probability[vertex] >= 0.5) != include for vertex, include in clicks)
        return probability


def best_person(item: LabelledMesh, target: VertexTarget, vertex: int, probability: np.ndarray) -> float:
    """Best IoU over all people's part at the clicked face: whose part a single click means cannot be known."""
    faces = np.flatnonzero((item.mesh.faces == vertex).any(axis=1))  # [n]
    inside = faces[target.faces[faces]]
    if len(faces) == 0:
        return 0.0
    face = int(inside[0] if len(inside) else faces[0])
    return max(VertexTarget(item.mesh, labels == labels[face]).iou(probability) for labels in item.people)


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh: every part with every method."""
    began = time.perf_counter()
    model = setup.model(item.mesh)
    waited = time.perf_counter() - began
    targets, area = [VertexTarget(item.mesh, part) for part in item.parts], face_areas(item.mesh)  # [F]
    parts: list[Record] = [{"area": float(area[t.faces].sum() / area.sum()), "methods": {}} for t in targets]
    machine: Record = {"train s": sum(model.info["seconds"].values()), "train or load s": waited, "query ms": {}}
    for name, answer in methods_of(model, setup).items():
        timed = Timed(answer)
        for target, record in zip(targets, parts, strict=True):
            timed.broken = 0
            scores, clicks = simulate(target, timed, LIMIT)
            record["methods"][name] = {
                "iou": [round(score, 6) for score in scores],
                "clicks": [[vertex, include] for vertex, include in clicks],
                "best person": round(best_person(item, target, clicks[0][0], timed.first), 6),
                "broken": timed.broken,
            }
        machine["query ms"][name] = 1e3 * float(np.median(timed.seconds))
    machine["peak GB"] = peak_memory()
    counts = {"vertices": len(item.mesh.vertices), "faces": len(item.mesh.faces)}
    return {"category": item.category, **counts, "parts": parts, MACHINE: machine}


def peak_memory() -> float | None:
    """Peak memory of this process in gigabytes; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e9 if sys.platform == "darwin" else 1e6)  # bytes there, kilobytes elsewhere


def clicks_to_reach(scores: list[float], threshold: float, limit: int = LIMIT) -> int:
    """NoC: number of clicks after which the IoU first reaches a threshold; `limit` where it never does."""
    return next((k + 1 for k, score in enumerate(scores) if score >= threshold), limit)


def curves(record: Record, method: str) -> np.ndarray:
    """IoU of every part of a mesh after every click. [parts, LIMIT]"""
    return np.array([part["methods"][method]["iou"] for part in record["parts"]]).reshape(-1, LIMIT)


def scores(record: Record, method: str) -> dict[str, float]:
    """Figures of one mesh, means over its parts."""
    iou = curves(record, method)  # [parts, LIMIT]
    mean = iou.mean(axis=0)  # [LIMIT]
    reached = {f"NoC@{100 * r:.0f}": np.mean([clicks_to_reach(row, r) for row in iou.tolist()]) for r in REACHED}
    person = np.mean([part["methods"][method]["best person"] for part in record["parts"]])
    shown = {f"@{k}": mean[k - 1] for k in SHOWN}
    return {name: float(value) for name, value in {**shown, **reached, "best person@1": person}.items()}


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Make tables and pictures of all meshes; a mesh without parts of at least 1 % counts nowhere."""
    records = {name: record for name, record in records.items() if record["parts"]}
    if not records:
        return Report([], [])
    by_method = {m: [scores(record, m) for record in records.values()] for m in METHODS}  # method: a mesh each
    mean = {m: {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} for m, rows in by_method.items()}
    spread = {m: {k: float(np.std([row[f"@{k}"] for row in rows])) for k in SHOWN} for m, rows in by_method.items()}
    count = sum(len(record["parts"]) for record in records.values())
    tables = [
        Table(
            f"IoU after k clicks: {len(records)} meshes, {count} parts",
            [{"method": m, **mean[m]} for m in METHODS],
            "Means over the parts of a mesh, then over meshes; simulated clicks in the middle of the deeper error. "
            f"NoC: clicks until that IoU is reached, {LIMIT} where it never is. best person: the best IoU over all "
            "people's part at the first click. " + " ".join(f"{m}: {what}." for m, what in METHODS.items()),
        ),
        Table(
            "Spread over meshes (standard deviation)",
            [{"method": m, **{f"@{k}": value for k, value in spread[m].items()}} for m in METHODS],
        ),
        Table(
            "From one click to the next",
            [_steps(m, records) for m in METHODS],
            f"Mean IoU, over all parts and meshes as above, of each click less that of the one before, over {LIMIT} "
            "clicks: least and last gain. Clicks not honoured: of all clicks of all answers, those that the answer "
            "puts on the wrong side.",
        ),
        Table(
            "Each mesh: trained model and instant mode",
            [
                {"mesh": f"{name} {record['category']}".strip(), "vertices": record["vertices"]}
                | {"parts": len(record["parts"])}
                | {f"trained @{k}": scores(record, "trained")[f"@{k}"] for k in SHOWN}
                | {f"instant @{k}": scores(record, "instant")[f"@{k}"] for k in SHOWN}
                for name, record in records.items()
            ],
        ),
        Table("The worst ten", [_case(*case, records) for case in ranked(records)[:10]], "Trained model, by IoU@3."),
    ]
    return Report(tables, _draw(records, setup))


def _draw(records: dict[str, Record], setup: Setup) -> list[str]:
    """Write the pictures; returns their names."""
    from ..pictures import draw_cases, draw_categories, draw_curves

    iou = {m: np.stack([curves(record, m).mean(axis=0) for record in records.values()]) for m in METHODS}
    draw_curves(iou, setup.folder / "clicks.png")
    by_category: dict[str, list[list[float]]] = {}
    for name, record in records.items():
        mean = curves(record, "trained").mean(axis=0)  # [LIMIT]
        by_category.setdefault(record["category"] or name, []).append([float(mean[k - 1]) for k in SHOWN])
    draw_categories(
        {name: np.mean(rows, axis=0).tolist() for name, rows in by_category.items()},
        SHOWN,
        setup.folder / "categories.png",
    )

    order = ranked(records)
    middle = max(0, len(order) // 2 - 2)
    chosen = {
        "cases": list(dict.fromkeys([*order[::-1][:4], *order[middle : middle + 4], *order[:4]])),
        "worst": order[:10],
    }

    @cache
    def asked(name: str) -> tuple[LabelledMesh, Segmenter]:
        item = setup.load(name)
        return item, Segmenter(setup.model(item.mesh), setup.device)

    @cache
    def row(case: tuple[str, int]) -> "Image":
        return _draw_case(case, records, *asked(case[0]))

    for name, cases in chosen.items():
        captions = [_caption(case, records) for case in cases]
        draw_cases([row(case) for case in cases], captions, setup.folder / f"{name}.png")
    return ["clicks.png", "categories.png", "cases.png", "worst.png"]


def _draw_case(case: tuple[str, int], records: dict[str, Record], item: LabelledMesh, segmenter: Segmenter) -> "Image":
    from ..pictures import draw_case

    name, part = case
    clicks = [VertexClick(v, include) for v, include in records[name]["parts"][part]["methods"]["trained"]["clicks"]]
    counts = [k for k in SHOWN if k <= len(clicks)]
    answers = [(segmenter.segment(clicks=clicks[:k]), tuple(clicks[:k])) for k in counts]
    return draw_case(item.mesh, VertexTarget(item.mesh, item.parts[part]).vertices, answers, Domain.VERTEX)


def _caption(case: tuple[str, int], records: dict[str, Record]) -> str:
    figures = _case(*case, records)
    scores = ", ".join(f"@{k} {figures[f'@{k}']:.2f}" for k in SHOWN)
    return f"{figures['mesh']}, part {figures['part']}: wanted, then after 1, 2, 3, 5, 10 clicks. IoU {scores}"


def ranked(records: dict[str, Record], clicks: int = 3) -> list[tuple[str, int]]:
    """Sort all parts, as (mesh, part): the worst answers of the trained model first."""
    parts = [(name, part) for name, record in records.items() for part in range(len(record["parts"]))]
    return sorted(parts, key=lambda p: records[p[0]]["parts"][p[1]]["methods"]["trained"]["iou"][clicks - 1])


def _case(name: str, part: int, records: dict[str, Record]) -> dict:
    record = records[name]["parts"][part]
    iou = record["methods"]["trained"]["iou"]
    about = {"mesh": f"{name} {records[name]['category']}".strip(), "part": part, "area": record["area"]}
    return about | {f"@{k}": iou[k - 1] for k in SHOWN}


def _steps(method: str, records: dict[str, Record]) -> dict:
    mean = np.mean([curves(record, method).mean(axis=0) for record in records.values()], axis=0)  # [LIMIT]
    gain = np.diff(mean)  # [LIMIT - 1]
    broken = sum(part["methods"][method]["broken"] for record in records.values() for part in record["parts"])
    return {"method": method, "least gain": gain.min(), "at click": int(gain.argmin()) + 2, "last gain": gain[-1]} | {
        "clicks not honoured": broken
    }


CLICKS = Experiment("clicks", "How good is the answer after 1, 2, 3, ... clicks of a simulated user?", measure, report)
