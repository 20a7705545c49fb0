"""Experiment `taught`: does what a teacher knows and geometry cannot reach the user?

The teachers are oracles (../oracle.py) that know oblique slabs (../slabs.py) or the central person's parts, faultless
or noisy. Simulated users click towards what the teacher knows, as in the experiment `clicks`.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ...clicks.click import VertexClick
from ...clicks.simulated_user import Predictor, VertexTarget, simulate
from ...geometry.mesh import Mesh
from ..dataset import LabelledMesh, large_parts
from ..experiment import MACHINE, Experiment, Record, Report, Setup, Table
from ..methods import asking, segmenters_of
from ..oracle import Noise, OracleRecipe, scaled
from ..slabs import CUTS, slabs
from .common import DECIMALS, random_clicks, title_of, vertex_areas

PEOPLE = "people"  # beside the cuts: the parts that the central person drew
LEVELS = (0.0, 1.0)  # times Noise()
CLICKS = 5
SHOWN = (1, 2, 3, 5)  # clicks after which the IoU is reported
GOOD = 0.8  # IoU of the student alone from which on it knows the part
WORSE = 0.1  # fall of the IoU from which on an answer is worse than another
ANYWHERE = 50  # single clicks on any vertex
LEAST_PIECE = 0.001  # of the area: a smaller piece around a click holds it for form's sake
METHODS = ("trained", "student", "instant")


class Held:
    """Method that counts the answers that do not hold all their clicks, or hold one of them by next to nothing."""

    def __init__(self, answer: Predictor[VertexClick], mesh: Mesh):
        self.answer, self.broken, self.alone = answer, 0, 0
        self._faces, self._area = mesh.faces, vertex_areas(mesh)  # [F, 3], [V]
        self._least = LEAST_PIECE * self._area.sum()

    def __call__(self, clicks: list[VertexClick]) -> np.ndarray:
        probability = self.answer(clicks)  # [V]
        taken = probability >= 0.5  # [V]
        broken = any(taken[vertex] != include for vertex, include in clicks)
        piece = pieces(self._faces, taken)  # [V]
        area = np.bincount(piece, self._area)  # [pieces]
        self.broken += broken
        self.alone += not broken and any(area[piece[vertex]] < self._least for vertex, _ in clicks)
        return probability


def pieces(faces: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Number of the connected piece of each vertex, among those taken [V] bool or among the others. [V]"""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])  # [3F, 2]
    edges = edges[taken[edges[:, 0]] == taken[edges[:, 1]]]  # [e, 2]
    graph = coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(len(taken), len(taken)))
    return connected_components(graph, directed=False)[1]


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh: a training for each cut and noise, every part with every method, and clicks anywhere."""
    mesh = item.mesh
    labels = {name: slabs(mesh, cut) for name, cut in CUTS.items()} | {PEOPLE: item.people[item.central]}
    record: Record = {"category": item.category, "settings": [], MACHINE: {"train s": {}}}
    for cut, of_faces in labels.items():
        targets = [VertexTarget(mesh, part) for part in large_parts(mesh, of_faces)]
        for level in LEVELS:
            model = setup.model(mesh, oracle=OracleRecipe(of_faces, setup.seed, scaled(level)))
            methods = {name: asking(segmenter) for name, segmenter in segmenters_of(model, setup).items()}
            parts = [measure_part(target, methods) for target in targets]
            anywhere = measure_anywhere(targets, methods, random_clicks(mesh, ANYWHERE, setup.seed))
            record["settings"].append({"cut": cut, "noise": level, "parts": parts, "anywhere": anywhere})
            record[MACHINE]["train s"][f"{cut}, noise {level:g}"] = sum(model.info["seconds"].values())
    return record


def measure_part(target: VertexTarget, methods: dict[str, Predictor[VertexClick]]) -> Record:
    """Measure one part: each method with the clicks that correct it, and the student alone with the trained model's."""
    record: Record = {}
    for name in METHODS:
        held = Held(methods[name], target.mesh)
        scores, clicks = simulate(target, held, CLICKS)
        record[name] = {
            "iou": np.round(scores, DECIMALS).tolist(),
            "clicks": [[vertex, include] for vertex, include in clicks],
            "not held": held.broken,
            "alone": held.alone,
        }
    clicks = [VertexClick(*click) for click in record["trained"]["clicks"]]
    alone = [target.iou(methods["student"](clicks[:k])) for k in range(1, len(clicks) + 1)]
    return record | {"student with the clicks of trained": np.round(alone, DECIMALS).tolist()}


def measure_anywhere(
    targets: list[VertexTarget], methods: dict[str, Predictor[VertexClick]], vertices: np.ndarray
) -> Record:
    """Measure single clicks on vertices [n], each with the part that it lies in; those in none are left out."""
    wanted = [(int(v), target) for v in vertices for target in targets if target.vertices[v]]
    record: Record = {}
    for name in METHODS if wanted else ():
        held = Held(methods[name], wanted[0][1].mesh)
        scores = [target.iou(held([VertexClick(vertex, True)])) for vertex, target in wanted]
        counted = {"not held": held.broken, "alone": held.alone}
        record[name] = {"iou": np.round(scores, DECIMALS).tolist(), **counted}
    return record


class Setting(NamedTuple):
    """Training of one mesh by one teacher."""

    mesh: str
    cut: str
    noise: float
    parts: list[Record]
    anywhere: Record

    def iou(self, method: str) -> np.ndarray:
        """IoU of every part after every click. [parts, CLICKS]"""
        return np.array([part[method]["iou"] for part in self.parts])

    def losses(self) -> np.ndarray:
        """Loss of the trained model at each of its clicks where the student alone is good. [good answers]"""
        alone = [np.array(part["student with the clicks of trained"]) for part in self.parts]  # of [clicks made]
        ours = [np.array(part["trained"]["iou"][: len(row)]) for part, row in zip(self.parts, alone, strict=True)]
        return losses(np.concatenate(ours), np.concatenate(alone))

    def losses_anywhere(self) -> np.ndarray:
        """Loss of the trained model at each click anywhere where the student alone is good. [good answers]"""
        return losses(*(np.array(self.anywhere[method]["iou"]) for method in ("trained", "student")))

    def answers(self, method: str) -> int:
        """Number of answers that were given."""
        return sum(len(part[method]["clicks"]) for part in self.parts)

    def count(self, method: str, kind: str) -> int:
        """Number of answers that do not hold all their clicks ("not held"), or one by next to nothing ("alone")."""
        return sum(part[method][kind] for part in self.parts)


def losses(trained: np.ndarray, student: np.ndarray) -> np.ndarray:
    """Loss of IoU of the trained model [n] against the student alone [n] where that is good. [good answers]"""
    return (student - trained)[student >= GOOD]


def settings_of(records: dict[str, Record]) -> Iterator[Setting]:
    """Yield all trainings of all meshes; a cut without parts of at least 1 % counts nowhere."""
    for name, record in records.items():
        for setting in record["settings"]:
            if setting["parts"] and setting["anywhere"]:
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
            "that leave a click on its wrong side; alone: others in which the piece around a click, of "
            f"what is taken or of what is not, has less than {100 * LEAST_PIECE:g} % of the area.",
        ),
        Table(
            "Good answers taken back",
            [_taken_back(name, some) for name, some in groups.items()],
            f"Of the clicks of the trained model's users, each with those before it: where the student alone has an "
            f"IoU of at least {GOOD:g}, the share where the trained model's answer is more than {WORSE:g} worse.",
        ),
        Table(
            "Single clicks anywhere",
            [_anywhere(name, some) for name, some in groups.items()],
            f"{ANYWHERE} vertices of each mesh, by chance: IoU with the teacher's part at the click, means over all "
            "clicks; the other columns as above, of the trained model.",
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
        "answers": sum(s.answers(method) for s in some),
        **{kind: sum(s.count(method, kind) for s in some) for kind in ("not held", "alone")},
    }


def _taken_back(name: str, some: list[Setting]) -> dict:
    lost = np.concatenate([s.losses() for s in some])  # [good answers]
    clicks = sum(s.answers("trained") for s in some)
    return {"teacher": name, "clicks": clicks, "good answers": len(lost), "taken back": _share(lost)}


def _anywhere(name: str, some: list[Setting]) -> dict:
    lost = np.concatenate([s.losses_anywhere() for s in some])  # [good answers]
    scores = {method: np.concatenate([s.anywhere[method]["iou"] for s in some]) for method in METHODS}  # of [n]
    row = {"teacher": name, "clicks": len(scores["trained"])} | {m: float(iou.mean()) for m, iou in scores.items()}
    row |= {"good answers": len(lost), "taken back": _share(lost)}
    return row | {kind: sum(s.anywhere["trained"][kind] for s in some) for kind in ("not held", "alone")}


def _share(lost: np.ndarray) -> float | None:
    """Share of good answers that were taken back, by their losses [n]; None where there are none."""
    return float((lost > WORSE).mean()) if len(lost) else None


def _each(setting: Setting) -> dict:
    lost = setting.losses()  # [good answers]
    means = {method: setting.iou(method).mean(axis=0) for method in METHODS}  # of [CLICKS]
    return {
        "mesh": setting.mesh,
        "cut": setting.cut,
        "noise": f"{setting.noise:g}",
        **{f"{method} @{k}": float(means[method][k - 1]) for method in ("trained", "student") for k in SHOWN},
        **{f"instant @{k}": float(means["instant"][k - 1]) for k in (SHOWN[0], SHOWN[-1])},
        "taken back": f"{int((lost > WORSE).sum())} of {len(lost)}",
        **{kind: setting.count("trained", kind) for kind in ("not held", "alone")},
    }


TAUGHT = Experiment("taught", "Does what a teacher knows and geometry cannot reach the user?", measure, report)
