"""Occluded clicks (figure 13): recall of the part's vertices that no view of the click shows."""

from dataclasses import dataclass

import numpy as np

from ...clicks.click import VertexClick
from ...clicks.simulated_user import VertexTarget
from ...inference.segmenter import Segmenter
from ...render.figures import contact_sheet, draw_from
from ...storage.trained_model import Model
from ...teachers.make import make_teacher
from ...teachers.teacher import Embedding, Prediction, RenderedView, SurfaceTeacher, Teacher
from ...training.train import train
from ..dataset import LabelledMesh
from ..experiment import Experiment, Record, Report, Setup, Table
from ..methods import asking, segmenters_of, votes_of
from ..pictures import best_direction
from .common import DECIMALS, mean, title_of, vertex_areas

LEAST_HIDDEN = 0.02  # of a part's area: parts with less of it hidden say nothing here
METHODS = ("trained", "student", "student, 2D only", "votes")
SIDE = 300  # pixels of each picture


@dataclass
class ViewsOnly(Teacher):
    """Teacher reduced to its 2D answers: it is not asked in 3D."""

    teacher: Teacher

    def __post_init__(self) -> None:
        self.name, self.fingerprint = self.teacher.name, f"{self.teacher.fingerprint}, 2D only"
        self.feature_dim, self.resolution = self.teacher.feature_dim, self.teacher.resolution

    def look(self, view: RenderedView) -> Embedding:
        return self.teacher.look(view)

    def predict(
        self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: np.ndarray | None = None
    ) -> Prediction:
        return self.teacher.predict(embedding, points, labels, prior)


def found_there(region: np.ndarray, wanted: np.ndarray, there: np.ndarray, weight: np.ndarray) -> dict:
    """Recall and precision of a region [V] bool among the vertices `there` [V] bool; None where nothing is asked."""
    right = (region & wanted & there) @ weight
    asked, taken = (wanted & there) @ weight, (region & there) @ weight
    return {
        "recall": round(float(right / asked), DECIMALS) if asked > 0 else None,
        "precision": round(float(right / taken), DECIMALS) if taken > 0 else None,
    }


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh."""
    model = setup.model(item.mesh)
    votes = votes_of(model, setup)
    answers = {name: asking(segmenter) for name, segmenter in segmenters_of(model, setup).items()}
    answers |= {"student, 2D only": asking(_student_of_views(item, setup, model)), "votes": votes.answer}
    weight = vertex_areas(item.mesh)  # [V]
    record: Record = {"category": item.category, "parts": []}
    for part in item.parts:
        target = VertexTarget(item.mesh, part)
        click, wanted = target.first_click().vertex, target.vertices  # [V]
        hidden = ~votes.shown_with(click)  # [V]
        area = wanted @ weight
        found: Record = {"click": click, "hidden": float((wanted & hidden) @ weight / area) if area > 0 else 0.0}
        for name in METHODS:
            probability = answers[name]([VertexClick(click, True)])  # [V]
            there = found_there(probability >= 0.5, wanted, hidden, weight)
            found[name] = there | {"IoU": round(target.iou(probability), DECIMALS)}
        record["parts"].append(found)
    return record


def _student_of_views(item: LabelledMesh, setup: Setup, model: Model) -> Segmenter:
    """Train a student, as one of a 2D model, without answers for the views that do not see a click."""
    if isinstance(make_teacher(setup.teacher, model, setup.device), SurfaceTeacher):
        model = train(
            item.mesh,
            lambda prepared: ViewsOnly(make_teacher(setup.teacher, prepared, setup.device)),
            setup.settings,
            setup.seed,
            device=setup.device,
        )
    return Segmenter(model, setup.device, refine=False)


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes; write the pictures."""
    counted = {
        name: [part for part in record["parts"] if part["hidden"] >= LEAST_HIDDEN] for name, record in records.items()
    }
    counted = {name: parts for name, parts in counted.items() if parts}
    if not counted:
        return Report([], [])
    parts = sum(len(found) for found in counted.values())

    def of(method: str, figure: str) -> float | None:
        return mean(mean(part[method][figure] for part in found) for found in counted.values())

    rows = [{"method": m} | {figure: of(m, figure) for figure in ("recall", "precision", "IoU")} for m in METHODS]
    note = (
        f"One click in the middle of each part; parts of which no view that sees the click shows at least "
        f"{100 * LEAST_HIDDEN:.0f} % of the area: {parts} of {sum(len(r['parts']) for r in records.values())}, and of "
        f"these {100 * (mean(part['hidden'] for found in counted.values() for part in found) or 0):.0f} % on average. "
        "recall: how much of that hidden area is found; precision: how much of what is taken among all that is hidden "
        "belongs to the part; IoU: of the whole part. Means over parts, then over meshes, against the person's part. "
        "votes find next to nothing there by construction: vertices between shown ones. student, 2D only: trained "
        "without what the geometric teacher says in 3D about views that do not see a click, as with a 2D model; what "
        "is hidden from a click is in none of that click's targets. "
        "The paper's claim (figure 13): the model finds what is occluded from the click, the votes do not."
    )
    each = [
        {"mesh": title_of(name, records[name]), "parts": len(found), "hidden": mean(part["hidden"] for part in found)}
        | {f"recall, {m}": mean(part[m]["recall"] for part in found) for m in METHODS}
        for name, found in counted.items()
    ]
    tables = [Table(f"Occluded from the click: {len(counted)} meshes", rows, note), Table("Each mesh", each)]
    name, part = max(
        ((name, part) for name, found in counted.items() for part in found),
        key=lambda case: case[1]["trained"]["IoU"] - case[1]["votes"]["IoU"],
    )
    _draw(name, records[name]["parts"].index(part), part["click"], setup)
    return Report(tables, ["occluded.png"])


def _draw(name: str, part: int, click: int, setup: Setup) -> None:
    """Draw the example where votes lose most: from the click's side, then from where most of what is hidden is seen."""
    item = setup.load(name)
    model = setup.model(item.mesh)
    votes, segmenters = votes_of(model, setup), segmenters_of(model, setup)
    wanted = VertexTarget(item.mesh, item.parts[part]).vertices  # [V]
    clicks, dots = [(click, True)], [(item.mesh.vertices[click], True)]  # the latter of [3]
    shown = {
        "the person's part": wanted.astype(np.float32),
        "votes": votes.answer(clicks),
        "student": segmenters["student"].segment(clicks),
        "trained": segmenters["trained"].segment(clicks),
    }
    directions = {
        "the click's side": best_direction(item.mesh, wanted, [click]),
        "the far side": best_direction(item.mesh, wanted & ~votes.shown_with(click), []),
    }
    pictures = [
        draw_from(direction, item.mesh.vertices, item.mesh.faces, answer, dots, SIDE)
        for direction in directions.values()
        for answer in shown.values()
    ]
    captions = [f"{answer}: {side}" for side in directions for answer in shown]
    contact_sheet(pictures, captions, columns=len(shown)).save(setup.folder / "occluded.png")


OCCLUDED = Experiment("occluded", "How much of the part is found that no view of the click shows?", measure, report)
