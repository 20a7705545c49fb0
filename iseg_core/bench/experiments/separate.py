"""Separate against joint training of field and decoder (supplementary C, figure 14), on clicks seen and unseen."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...inference.segmenter import Segmenter
from ...storage.trained_model import Model
from ...teachers.registry import is_geometric
from ..dataset import LabelledMesh
from ..experiment import Experiment, Record, Report, Setup, Table
from ..methods import untrained, votes_of
from ..plots import INK, colour, figure, save
from .common import (
    AT_MOST_TWO,
    REDUCED,
    iou,
    mean,
    mesh_rows,
    single_answers,
    spread,
    stand_ins,
    training_clicks,
    unseen_clicks,
    vertex_areas,
)

TRAININGS = {"separate": False, "joint": True}
KINDS = ("trained on", "unseen")


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh."""
    changes: dict[str, Any] = AT_MOST_TWO | REDUCED
    models = {training: setup.model(item.mesh, joint=joint, **changes) for training, joint in TRAININGS.items()}
    model, settings = models["separate"], replace(setup.settings, **changes)
    clicked = training_clicks(model, settings, setup.seed)  # [T]
    clicks = {
        "trained on": stand_ins(model, clicked),
        "unseen": unseen_clicks(model, settings, setup.seed, len(clicked)),
    }  # of [n]
    weight = vertex_areas(item.mesh)  # [V]
    record: Record = {"category": item.category, "clicks": {kind: len(asked) for kind, asked in clicks.items()}}
    regions = {kind: _teacher(model, setup, asked) >= 0.5 for kind, asked in clicks.items()}  # of [n, V]
    for training, trained in models.items():
        student = Segmenter(trained, setup.device, refine=False)
        record[training] = {
            kind: mean(iou(single_answers(student, asked) >= 0.5, regions[kind], weight).tolist())
            for kind, asked in clicks.items()
        }
    return record


def _teacher(model: Model, setup: Setup, vertices: np.ndarray) -> np.ndarray:
    """Ask the teacher for single clicks on vertices [n]: in 3D where it answers so, else by votes. [n, V]"""
    if is_geometric(setup.teacher):
        return single_answers(untrained(model), vertices)
    return votes_of(model, setup).singles(vertices)


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes; write the pictures."""
    values = {t: {k: [r[t][k] for r in records.values()] for k in KINDS} for t in TRAININGS}
    rows = [
        {"training": t}
        | {k: mean(values[t][k]) for k in KINDS}
        | {"loss on unseen": mean(np.subtract(values[t][KINDS[0]], values[t][KINDS[1]]).tolist())}
        | {f"spread, {k}": spread(values[t][k]) for k in KINDS}
        for t in TRAININGS
    ]
    note = (
        "Agreement (IoU by area) of the student's own answer to a single click with the teacher's region for it (the "
        "geometric teacher's answer in 3D; of another teacher, its votes), means over clicks, then over meshes. "
        "trained on: the clicks of the training; unseen: as many that it did not ask as a single click. Both trainings "
        "have at most two clicks, as the paper's, and the same number of the decoder's steps, in which the joint one "
        "learns the field as well. The joint training evaluates the field at every vertex in every step, so both are "
        f"reduced: {REDUCED['proxy_vertices']} vertices, {REDUCED['decoder_steps']} steps. The paper's claim: equal on "
        "training vertices, separate better on test vertices."
    )
    _draw(values, setup.folder / "separate.png")
    columns = {f"{t}, {k}": values[t][k] for t in TRAININGS for k in KINDS}
    tables = [
        Table(f"Separate against joint training: {len(records)} meshes", rows, note),
        Table("Each mesh", mesh_rows(records, columns)),
    ]
    return Report(tables, ["separate.png"])


def _draw(values: Mapping[str, Mapping[str, list[float]]], path: Path) -> None:
    """Plot a bar for each training and kind of click, a dot for each mesh."""
    drawn, axes = figure(5.2, 3.8)
    colours = {"separate": colour("student"), "joint": colour("joint")}
    for i, kind in enumerate(KINDS):
        for j, training in enumerate(TRAININGS):
            x, heights = i + 0.4 * (j - 0.5), values[training][kind]
            axes.bar(x, np.mean(heights), 0.36, color=colours[training], label=training if i == 0 else None)
            offsets = np.linspace(-0.1, 0.1, len(heights)) if len(heights) > 1 else [0.0]
            axes.scatter(x + np.array(offsets), heights, s=8, color=INK, zorder=3)
    axes.set_xticks(range(len(KINDS)), [f"clicks {kind}" for kind in KINDS])
    axes.set(ylabel="agreement with the teacher (IoU)", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=9, loc="upper center", ncols=2, bbox_to_anchor=(0.5, 1.12))
    save(drawn, path)


SEPARATE = Experiment(
    "separate", "Does training the field before the decoder help on clicks not trained on?", measure, report
)
