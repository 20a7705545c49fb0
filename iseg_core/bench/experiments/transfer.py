"""Transfer (figure 8): a click's feature from one mesh answered by the decoder of another."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...clicks.simulated_user import VertexTarget
from ...geometry.mesh import Mesh
from ...geometry.proxy import make_proxy
from ...inference.segmenter import Segmenter
from ...render.figures import contact_sheet, draw_from
from ..dataset import LabelledMesh
from ..experiment import Experiment, Record, Report, Setup, Table
from ..pictures import best_direction
from .common import DECIMALS, iou, mean, random_clicks, title_of, vertex_areas

CLICKS = 50
PRESET = "draft"  # every mesh is trained four times
JITTER = 0.1  # standard deviation, of the mean length of the edges
PAIRS, SIDE = 4, 300  # meshes in the picture, and the pixels of each


class Copy(NamedTuple):
    """Changed mesh, and where its vertices and the clicks on the original are found. V and C vertices."""

    mesh: Mesh  # C vertices
    clicked: np.ndarray  # [V]: the copy's vertex for a click on each of the original's
    original: np.ndarray  # [C]: a vertex of the original for each of the copy's, -1 where there is none


def rotated(mesh: Mesh, rng: np.random.Generator) -> Copy:
    """Rotate at random."""
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))  # [3, 3]
    turn *= np.sign(np.linalg.det(turn))  # a rotation, no mirror image
    same = np.arange(len(mesh.vertices))
    return Copy(Mesh(mesh.vertices @ turn.T, mesh.faces), same, same)


def jittered(mesh: Mesh, rng: np.random.Generator) -> Copy:
    """Move every vertex at random, by JITTER of an edge."""
    ends = mesh.vertices[mesh.faces]  # [F, 3, 3]
    edge = np.linalg.norm(ends - np.roll(ends, 1, axis=1), axis=2).mean()
    same = np.arange(len(mesh.vertices))
    moved = mesh.vertices + JITTER * edge * rng.standard_normal(mesh.vertices.shape)  # [V, 3]
    return Copy(Mesh(moved, mesh.faces), same, same)


def simplified(mesh: Mesh, rng: np.random.Generator) -> Copy:
    """Decimate to half as many vertices, of those that a training sees."""
    proxy = make_proxy(mesh, max(min(len(mesh.vertices), 3000) // 2, 4))
    original = np.full(len(proxy.vertices), -1)  # [C]
    known, first = np.unique(proxy.nearest, return_index=True)
    original[known] = first
    return Copy(Mesh(proxy.vertices, proxy.faces), proxy.nearest, original)


COPIES: dict[str, Callable[[Mesh, np.random.Generator], Copy]] = {
    "rotated": rotated,
    "jittered": jittered,
    "simplified": simplified,
}


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh."""
    setup = replace(setup, preset=PRESET)
    mesh = item.mesh
    source = Segmenter(setup.model(mesh), setup.device, refine=False)
    clicks = random_clicks(mesh, CLICKS, setup.seed).tolist()
    here = [source.segment(positive=[v]) for v in clicks]  # of [V]
    record: Record = {"category": item.category, "clicks": len(clicks), "copies": {}}
    back = [source.transfer(source, [(v, True)]) for v in clicks]  # of [V]
    record["self"] = {"greatest difference": max(float(np.abs(a - b).max()) for a, b in zip(here, back, strict=True))}
    for name, change in COPIES.items():
        copy = change(mesh, np.random.default_rng(setup.seed))
        target = Segmenter(setup.model(copy.mesh), setup.device, refine=False)
        weight = vertex_areas(copy.mesh) * (copy.original >= 0)  # [C]
        sent = [target.transfer(source, [(v, True)]) >= 0.5 for v in clicks]  # of [C]
        own = [target.segment(positive=[int(copy.clicked[v])]) >= 0.5 for v in clicks]  # of [C]
        there = [(answer >= 0.5)[copy.original] for answer in here]  # of [C]
        record["copies"][name] = {
            "transferred": _agreement(sent, own, weight),
            "two trainings": _agreement(there, own, weight),
        }
    return record


def _agreement(a: list[np.ndarray], b: list[np.ndarray], weight: np.ndarray) -> float:
    return round(float(np.mean(iou(np.array(a), np.array(b), weight))), DECIMALS)


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes; write the pictures."""
    exact = max(record["self"]["greatest difference"] for record in records.values())
    figures = ("transferred", "two trainings")
    rows = [
        {"target": name} | {f: mean(r["copies"][name][f] for r in records.values()) for f in figures} for name in COPIES
    ]
    note = (
        f"{CLICKS} random clicks a mesh, preset {PRESET}, the student's own answers. transferred: IoU by area of the "
        "copy's answer to the original's feature with its answer to its own click at the same place. two trainings: "
        "IoU of the two models' answers to the click itself, which says how much of the difference is due to training "
        f"twice. To itself: greatest difference of a probability {exact:g}. rotated: at random; jittered: vertices "
        f"moved by {100 * JITTER:.0f} % of an edge; simplified: half the vertices. "
        "The paper's claim (figure 8) is about different shapes, and about features of SAM, which mean the same on all "
        "of them. The geometric teacher's features are eigenvectors of one shape: they can carry over to a copy of it "
        "at best, so different shapes are shown as pictures and not measured."
    )
    each = [
        {"mesh": title_of(name, record)}
        | {f"{copy}, {figure}": value for copy in COPIES for figure, value in record["copies"][copy].items()}
        for name, record in records.items()
    ]
    tables = [Table(f"Transfer: {len(records)} meshes", rows, note), Table("Each mesh", each)]
    return Report(tables, _draw(list(records)[: PAIRS + 1], setup))


def _draw(names: list[str], setup: Setup) -> list[str]:
    """Draw a click on each mesh: its own answer, and that of the mesh after it."""
    if len(names) < 2:
        return []
    setup = replace(setup, preset=PRESET)
    items = [setup.load(name) for name in names]
    segmenters = [Segmenter(setup.model(item.mesh), setup.device, refine=False) for item in items]
    pictures, captions = [], []
    pairs = list(zip(range(len(items)), [*range(1, len(items)), 0], strict=True))[:PAIRS]
    for i, j in pairs:
        item, other = items[i], items[j]
        parts = item.parts or [item.people[0] >= 0]  # of [F]
        targets = [VertexTarget(item.mesh, part) for part in parts]
        target = sorted(targets, key=lambda t: -t.area[t.faces].sum())[min(1, len(targets) - 1)]
        click = target.first_click().vertex
        own, dots = segmenters[i].segment(positive=[click]), [(item.mesh.vertices[click], True)]  # [V], of [3]
        sent = segmenters[j].transfer(segmenters[i], [(click, True)])  # [V']
        front = best_direction(item.mesh, target.vertices, [click])
        back = best_direction(other.mesh, sent >= 0.5 if (sent >= 0.5).any() else np.ones(len(sent), bool), [])
        pictures.append(draw_from(front, item.mesh.vertices, item.mesh.faces, own, dots, SIDE))
        pictures.append(draw_from(back, other.mesh.vertices, other.mesh.faces, sent, (), SIDE))
        captions += [f"{names[i]} {item.category}", f"on {names[j]} {other.category}"]
    contact_sheet(pictures, captions, columns=4).save(setup.folder / "transfer.png")
    return ["transfer.png"]


TRANSFER = Experiment("transfer", "Does a click's feature mean the same on another mesh?", measure, report)
