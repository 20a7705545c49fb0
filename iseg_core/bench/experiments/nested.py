"""Experiment `nested`: users who click points of the surface and see faces, on meshes as artists have them.

Click 1 lies deepest in the wanted part, each further one deepest in the deeper error. All parts count alike, however
many a mesh has.
"""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...clicks.click import Click, SurfacePoint
from ...clicks.simulated_user import FaceTarget, simulate
from ...geometry.domain import Domain
from ..experiment import INSTANT, MACHINE, Experiment, Record, Report, Setup, Table
from ..nested import BODY, NestedFile, NestedMesh, find_nested
from .common import DECIMALS

if TYPE_CHECKING:
    from PIL.Image import Image

PARTS = 4  # of a mesh, at most
CHOICE = 1  # seed of which they are
CLICKS = 5
SHOWN = (1, 2, 3, 5)  # clicks after which the IoU is reported
RANKED = 3  # the worst are those of the least IoU after so many
WORSE = 0.1  # fall of the IoU from which on a click has made it worse
FEW = 300  # vertices
LEGEND = (
    f"By IoU@{RANKED}; areas as fractions of the mesh's. Drawn: what was wanted, then the answers to "
    f"{', '.join(map(str, SHOWN))} clicks."
)
TITLES = {  # of kinds; any other kind is called as it is
    BODY: "body (one smooth shell)",
    "bone": "character (bones)",
    "node": "object (nodes, materials)",
    "material": "object (nodes, materials)",
}


def measure(item: NestedMesh, setup: Setup) -> Record:
    """Measure some parts of one mesh."""
    began = time.perf_counter()
    segmenter = setup.segmenter(item.mesh)
    machine: Record = {"ready s": time.perf_counter() - began}
    seconds: list[float] = []

    def answer(clicks: list[Click]) -> np.ndarray:
        began = time.perf_counter()
        probability = segmenter.segment(clicks=clicks, domain="face")  # [F]
        seconds.append(time.perf_counter() - began)
        return probability

    parts = []
    for part in np.random.default_rng(CHOICE).permutation(len(item.parts))[:PARTS]:
        target = FaceTarget(item.mesh, item.parts[part])
        if not target.faces.any():
            continue
        scores, clicks = simulate(target, answer, CLICKS)
        about = {"part": int(part), "name": item.names[part], "kind": item.kind(part)}
        about |= {"shells": len(np.unique(item.shells[target.faces]))}
        about |= {"area": float(target.area[target.faces].sum() / target.area.sum())}
        parts.append(about | {"iou": np.round(scores, DECIMALS).tolist(), "clicks": [_as_numbers(c) for c in clicks]})
    machine |= {"query ms": 1e3 * float(np.median(seconds)) if seconds else None}
    counts = {"vertices": len(np.unique(item.places)), "faces": len(item.mesh.faces)}
    counts |= {"shells": len(np.unique(item.shells))}
    return {"collection": item.collection, **counts, "parts": parts, MACHINE: machine}


def _as_numbers(click: Click) -> list:
    assert isinstance(click.prompt, SurfacePoint)
    return [click.prompt.face, *click.prompt.barycentric, click.include]


def _as_click(numbers: list) -> Click:
    face, a, b, c, include = numbers
    return Click(SurfacePoint(face, (a, b, c)), include)


class Case(NamedTuple):
    """Part that was measured."""

    mesh: str
    record: Record  # of the mesh
    part: Record

    @property
    def kind(self) -> str:
        kind: str = self.part["kind"]
        return TITLES.get(kind, kind)


def cases(records: dict[str, Record]) -> Iterator[Case]:
    """Yield all parts of all meshes."""
    for mesh, record in records.items():
        for part in record["parts"]:
            yield Case(mesh, record, part)


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Make tables and pictures of all meshes."""
    every = list(cases(records))
    if not every:
        return Report([], [])
    kinds = dict.fromkeys([*TITLES.values(), *sorted(case.kind for case in every)])
    groups: dict[str, Callable[[Case], bool]] = {
        **{kind: lambda case, kind=kind: case.kind == kind for kind in kinds},
        "part that is one of several shells": lambda case: case.record["shells"] > 1 and case.part["shells"] == 1,
        "part of several shells": lambda case: case.part["shells"] > 1,
        f"mesh of fewer than {FEW} vertices": lambda case: case.record["vertices"] < FEW,
        "all": lambda case: True,
    }
    collections = sorted({record["collection"] for record in records.values()})
    worst = sorted(every, key=lambda case: (case.part["iou"][RANKED - 1], case.part["iou"][-1]))[:10]
    tables = [
        Table(
            f"IoU after k clicks: {len(records)} meshes, {len(every)} parts",
            _rows("kind", every, groups),
            f"Means over parts; of a mesh at most {PARTS}, by chance. Clicks on points of the surface, deepest in "
            "the part, then in the deeper error; answers for faces; IoU by area. worse: of the clicks 2 to "
            f"{CLICKS}, the share after which the IoU is more than {WORSE:g} lower than before.",
        ),
        Table(
            "Each collection",
            _rows("collection", every, {c: lambda case, c=c: case.record["collection"] == c for c in collections}),
        ),
        Table("The worst ten", [_row(case) for case in worst], LEGEND),
    ]
    return Report(tables if any(collections) else [tables[0], tables[2]], _draw(every, worst, list(kinds), setup))


def figures(some: list[Case]) -> dict:
    """Figures of parts, means over them."""
    iou = np.array([case.part["iou"] for case in some])  # [n, CLICKS]
    means = {f"@{k}": float(iou[:, k - 1].mean()) for k in SHOWN}
    return means | {"worse": float((np.diff(iou, axis=1) < -WORSE).mean())}


def _rows(title: str, every: list[Case], groups: dict[str, Callable[[Case], bool]]) -> list[dict]:
    """Make a row of figures for each group that has parts."""
    rows = []
    for name, belongs in groups.items():
        some = [case for case in every if belongs(case)]
        if some:
            meshes = len({case.mesh for case in some})
            rows.append({title: name, "meshes": meshes, "parts": len(some), **figures(some)})
    return rows


def _row(case: Case) -> dict:
    about = {"mesh": case.mesh, "vertices": case.record["vertices"], "part": case.part["name"]}
    about |= {"shells": f"{case.part['shells']} of {case.record['shells']}", "area": case.part["area"]}
    return about | {f"@{k}": case.part["iou"][k - 1] for k in SHOWN}


def _draw(every: list[Case], worst: list[Case], kinds: list[str], setup: Setup) -> list[str]:
    """Write the pictures; returns their names."""
    from ..pictures import draw_cases, draw_categories

    by_kind = {kind: [case for case in every if case.kind == kind] for kind in kinds}
    bars = {kind: [figures(some)[f"@{k}"] for k in SHOWN] for kind, some in by_kind.items() if some}
    draw_categories(bars, SHOWN, setup.folder / "kinds.png")
    files = {file.name: file for file in find_nested(setup.dataset)}
    drawn = [_draw_case(case, files[case.mesh].load(), setup) for case in worst]
    draw_cases(drawn, [_caption(case) for case in worst], setup.folder / "worst-parts.png")
    return ["kinds.png", "worst-parts.png"]


def _draw_case(case: Case, item: NestedMesh, setup: Setup) -> "Image":
    from ..pictures import draw_case

    segmenter = setup.segmenter(item.mesh)
    clicks = tuple(_as_click(numbers) for numbers in case.part["clicks"])
    made = [clicks[:k] for k in SHOWN if k <= len(clicks)]
    answers = [(segmenter.segment(clicks=some, domain="face"), some) for some in made]  # of [F]
    return draw_case(item.mesh, item.parts[case.part["part"]], answers, Domain.FACE)


def _caption(case: Case) -> str:
    scores = ", ".join(f"@{k} {case.part['iou'][k - 1]:.2f}" for k in SHOWN)
    return f"{case.mesh}, {case.part['name']}: {scores}"


NESTED = Experiment(
    "nested",
    f"How good is the answer for nested parts of artists' meshes? (--teacher {INSTANT}: without training)",
    measure,
    report,
    NestedFile.kind,
    trains=False,
)
