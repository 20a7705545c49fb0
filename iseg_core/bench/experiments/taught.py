"""Experiment `taught`: does what a teacher knows and geometry cannot reach the user?

The teachers are oracles (../oracle.py) that know oblique slabs (../slabs.py) or the central person's parts, faultless
or noisy. Simulated users click towards what the teacher knows, as in the experiment `clicks`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...clicks.click import VertexClick
from ...clicks.simulated_user import Predictor, VertexTarget, simulate
from ..dataset import LabelledMesh, large_parts
from ..experiment import MACHINE, Experiment, Record, Report, Setup, Table
from ..methods import asking, segmenters_of
from ..oracle import Noise, OracleRecipe, scaled
from ..slabs import CUTS, slabs
from .common import DECIMALS, title_of

PEOPLE = "people"  # beside the cuts: the parts that the central person drew
LEVELS = (0.0, 1.0)  # times Noise()
CLICKS = 5
SHOWN = (1, 2, 3, 5)  # clicks after which the IoU is reported
GOOD = 0.8  # IoU of the student alone from which on it knows the part
WORSE = 0.1  # fall of the IoU from which on an answer is worse than another
METHODS = ("trained", "student", "instant")


class Held:
    """Method that counts the answers that do not hold all their clicks."""

    def __init__(self, answer: Predictor[VertexClick]):
        self.answer, self.broken = answer, 0

    def __call__(self, clicks: list[VertexClick]) -> np.ndarray:
        probability = self.answer(clicks)  # [V]
        self.broken += any((probability[vertex] >= 0.5) != include for vertex, include in clicks)
        return probability


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh: a training for each cut and noise, every part with every method."""
    labels = {name: slabs(item.mesh, cut) for name, cut in CUTS.items()} | {PEOPLE: item.people[item.central]}
    record: Record = {"category": item.category, "settings": [], MACHINE: {"train s": {}}}
    for cut, of_faces in labels.items():
        targets = [VertexTarget(item.mesh, part) for part in large_parts(item.mesh, of_faces)]
        for level in LEVELS:
            model = setup.model(item.mesh, oracle=OracleRecipe(of_faces, setup.seed, scaled(level)))
            methods = {name: asking(segmenter) for name, segmenter in segmenters_of(model, setup).items()}
            parts = [measure_part(target, methods) for target in targets]
            record["settings"].append({"cut": cut, "noise": level, "parts": parts})
            record[MACHINE]["train s"][f"{cut}, noise {level:g}"] = sum(model.info["seconds"].values())
    return record


def measure_part(target: VertexTarget, methods: dict[str, Predictor[VertexClick]]) -> Record:
    """Measure one part: each method with the clicks that correct it, and the student alone with the trained model's."""
    record: Record = {}
    for name in METHODS:
        held = Held(methods[name])
        scores, clicks = simulate(target, held, CLICKS)
        record[name] = {
            "iou": np.round(scores, DECIMALS).tolist(),
            "clicks": [[vertex, include] for vertex, include in clicks],
            "not held": held.broken,
        }
    clicks = [VertexClick(*click) for click in record["trained"]["clicks"]]
    alone = [target.iou(methods["student"](clicks[:k])) for k in range(1, len(clicks) + 1)]
    return record | {"student with the clicks of trained": np.round(alone, DECIMALS).tolist()}


class Setting(NamedTuple):
    """Training of one mesh by one teacher."""

    mesh: str
    cut: str
    noise: float
    parts: list[Record]

    def iou(self, method: str) -> np.ndarray:
        """IoU of every part after every click. [parts, CLICKS]"""
        return np.array([part[method]["iou"] for part in self.parts])

    def good(self) -> np.ndarray:
        """Loss of the trained model against the student alone at each of the trained model's clicks where that is good.

        [good answers]
        """
        losses = []
        for part in self.parts:
            alone = np.array(part["student with the clicks of trained"])  # [clicks made]
            losses.append((alone - part["trained"]["iou"][: len(alone)])[alone >= GOOD])
        return np.concatenate(losses)

    def answers(self, method: str) -> int:
        """Number of answers that were given."""
        return sum(len(part[method]["clicks"]) for part in self.parts)

    def not_held(self, method: str) -> int:
        """Number of answers that do not hold all their clicks."""
        return sum(part[method]["not held"] for part in self.parts)


def settings_of(records: dict[str, Record]) -> Iterator[Setting]:
    """Yield all trainings of all meshes; a cut without parts of at least 1 % counts nowhere."""
    for name, record in records.items():
        for setting in record["settings"]:
            if setting["parts"]:
                yield Setting(title_of(name, record), **setting)


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Make tables of all settings."""
    every = list(settings_of(records))
    if not every:
        return Report([], [])
    groups = {"all": every}
    groups |= {f"noise {level:g}": [s for s in every if s.noise == level] for level in LEVELS}
    groups |= {"slabs": [s for s in every if s.cut in CUTS]}
    groups |= {cut if cut == PEOPLE else f"slabs, {cut}": [s for s in every if s.cut == cut] for cut in (*CUTS, PEOPLE)}
    groups = {name: some for name, some in groups.items() if some}
    noise = Noise()
    tables = [
        Table(
            f"What the teacher knows: {len(records)} meshes, {len(every)} settings",
            [_row(name, some, method) for name, some in groups.items() for method in METHODS],
            "IoU with the teacher's part after k clicks, each in the middle of the method's own deeper error: means "
            "over the parts of a setting (mesh, cut, noise), then over settings. The teacher is an oracle, asked "
            "in 2D views. slabs: it knows oblique slabs, whose borders have no geometric sign; people: the person's "
            f"parts. noise 1: {100 * noise.leak:.0f} % of its masks take in a neighbouring part, "
            f"{100 * noise.half:.0f} % stop half-way, borders are moved by {noise.warp} pixels; noise 0: no mask is "
            "wrong. trained: the product; student: without refinement; instant: without the teacher. worse: of the "
            f"clicks from the second on, the share after which the IoU is more than {WORSE:g} lower. not held: answers "
            "that leave a click on its wrong side.",
        ),
        Table(
            "Good answers taken back",
            [_taken_back(name, some) for name, some in groups.items()],
            f"Of the clicks of the trained model's users, each with those before it: where the student alone has an "
            f"IoU of at least {GOOD:g}, the share where the trained model's answer is more than {WORSE:g} worse.",
        ),
        Table("Each setting", [_each(setting) for setting in every]),
    ]
    return Report(tables, [])


def _row(name: str, some: list[Setting], method: str) -> dict:
    mean = np.mean([s.iou(method).mean(axis=0) for s in some], axis=0)  # [CLICKS]
    steps = np.concatenate([np.diff(s.iou(method), axis=1).ravel() for s in some])
    return {
        "teacher": name,
        "method": method,
        "settings": len(some),
        **{f"@{k}": float(mean[k - 1]) for k in SHOWN},
        "worse": float((steps < -WORSE).mean()),
        "not held": f"{sum(s.not_held(method) for s in some)} of {sum(s.answers(method) for s in some)}",
    }


def _taken_back(name: str, some: list[Setting]) -> dict:
    losses = np.concatenate([s.good() for s in some])  # [good answers]
    share = float((losses > WORSE).mean()) if len(losses) else None
    return {
        "teacher": name,
        "good answers": len(losses),
        "taken back": share,
        "clicks": sum(s.answers("trained") for s in some),
    }


def _each(setting: Setting) -> dict:
    losses = setting.good()  # [good answers]
    means = {method: setting.iou(method).mean(axis=0) for method in METHODS}  # of [CLICKS]
    return {
        "mesh": setting.mesh,
        "cut": setting.cut,
        "noise": f"{setting.noise:g}",
        **{f"{method} @{k}": float(means[method][k - 1]) for method in ("trained", "student") for k in SHOWN},
        **{f"instant @{k}": float(means["instant"][k - 1]) for k in (SHOWN[0], SHOWN[-1])},
        "taken back": f"{int((losses > WORSE).sum())} of {len(losses)}",
        "not held": setting.not_held("trained"),
    }


TAUGHT = Experiment("taught", "Does what a teacher knows and geometry cannot reach the user?", measure, report)
