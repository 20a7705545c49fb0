"""Experiment on unseen numbers of clicks (section 4.4, figure 10): trained on at most two, asked with up to ten."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...clicks.simulated_user import VertexTarget, simulate
from ...inference.segmenter import Segmenter
from ..dataset import LabelledMesh
from ..experiment import Experiment, Record, Report, Setup, Table
from ..methods import asking
from ..plots import colour, figure, legend, save
from .common import AT_MOST_TWO, DECIMALS, mean, title_of

CLICKS = 10
SHOWN = (1, 2, 3, 5, 10)
TRAININGS = {"2 clicks": AT_MOST_TWO, "8 clicks": {}}  # the most clicks of a training
ANSWERS = {"student": False, "refined": True}
METHODS = [(training, answer) for answer in ANSWERS for training in TRAININGS]


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh."""
    targets = [VertexTarget(item.mesh, part) for part in item.parts]
    record: Record = {"category": item.category, "parts": len(targets), "iou": {}}
    for training, changes in TRAININGS.items():
        model = setup.model(item.mesh, **changes)
        for answer, refine in ANSWERS.items():
            ask = asking(Segmenter(model, setup.device, refine=refine))
            scores = [np.round(simulate(target, ask, CLICKS)[0], DECIMALS).tolist() for target in targets]
            record["iou"].setdefault(training, {})[answer] = scores  # [parts, CLICKS]
    return record


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes; write the pictures."""
    records = {name: record for name, record in records.items() if record["parts"]}
    if not records:
        return Report([], [])
    curves = {
        (training, answer): np.array([np.mean(r["iou"][training][answer], axis=0) for r in records.values()])
        for training, answer in METHODS
    }  # of [meshes, CLICKS]
    rows = []
    for (training, answer), curve in curves.items():
        middle = curve.mean(axis=0)  # [CLICKS]
        rows.append(
            {"trained on at most": training, "answer": answer}
            | {f"@{k}": float(middle[k - 1]) for k in SHOWN}
            | {"@10 - @2": float(middle[-1] - middle[1]), "least gain": float(np.diff(middle).min())}
        )
    note = (
        "IoU with the person's part after k simulated clicks, means over parts, then over meshes. 2 clicks: singles "
        "and pairs, as in the paper; 8 clicks: simulated sequences and corrected answers as well, the default. "
        "student: the decoder's own answer; refined: corrected by the geometry at every click. least gain: the least "
        "change of the mean from one click to the next. The paper's claim: trained on two clicks, the model still "
        "answers more of them."
    )
    _draw(curves, setup.folder / "counts.png")
    each = [
        {"mesh": title_of(name, record)}
        | {f"{answer}, {training} @{k}": mean(s[k - 1] for s in record["iou"][training][answer])
           for training, answer in METHODS for k in (2, 10)}
        for name, record in records.items()
    ]  # fmt: skip
    tables = [Table(f"Unseen number of clicks: {len(records)} meshes", rows, note), Table("Each mesh", each)]
    return Report(tables, ["counts.png"])


def _draw(curves: Mapping[tuple[str, str], np.ndarray], path: Path) -> None:
    """Plot IoU against the number of clicks: full lines for the default training, dashed for the paper's."""
    drawn, axes = figure(6.0, 4.0)
    colours = {"student": colour("student"), "refined": colour("trained")}
    for (training, answer), curve in curves.items():
        axes.plot(
            range(1, CLICKS + 1),
            curve.mean(axis=0),
            color=colours[answer],
            linestyle="--" if TRAININGS[training] else "-",
            linewidth=2,
            marker="o",
            markersize=3,
            label=f"{answer}, trained on at most {training}",
        )
    axes.axvspan(1, 2, color="black", alpha=0.04, linewidth=0)
    axes.text(1.05, 0.03, "trained on\n(dashed)", fontsize=8)
    axes.set(xlabel="clicks", ylabel="IoU with the person's part", ylim=(0, 1), xlim=(1, CLICKS))
    legend(axes, loc="lower right", handlelength=3)
    save(drawn, path)


COUNTS = Experiment("counts", "Trained on at most two clicks, does the model gain from more of them?", measure, report)
