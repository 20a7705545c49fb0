"""Experiment `sizes`: are fine, part and whole three sizes of what is clicked, one within the other?

Asked at places spread over the mesh: for one click, and for this click and a second one that corrects the answer of
`part` towards the part that is known to be there.
"""

import numpy as np

from ...clicks.click import Granularity, VertexClick
from ...clicks.simulated_user import VertexTarget
from ...clicks.training_sequences import farthest_points
from ...geometry.mesh import face_areas
from ...inference.segmenter import Segmenter
from ..dataset import LabelledMesh
from ..experiment import INSTANT, Experiment, Record, Report, Setup, Table
from ..methods import in_use
from ..nested import NestedMesh
from .common import DECIMALS, mean, mesh_rows, vertex_areas

PLACES = 20  # of a mesh
DIFFERENT = 0.05  # of the smaller one: areas that differ by more are two sizes
OUTSIDE = 0.02  # of its area: so much of a smaller answer may lie outside of the larger one
CLICKS = (1, 2)
FIGURES = ("three sizes", "nested", "both", "out of order", *map(str, Granularity))


def measure(item: LabelledMesh | NestedMesh, setup: Setup) -> Record:
    """Measure one mesh: the answers of every size at every place."""
    mesh = item.mesh
    used, rng = np.unique(mesh.faces), np.random.default_rng(setup.seed)  # [U]
    places = used[farthest_points(mesh.vertices[used], PLACES, rng)]  # [n]
    record: Record = {"category": item.category if isinstance(item, LabelledMesh) else item.collection, "methods": {}}
    for name, segmenter in in_use(mesh, setup).items():
        asked: dict[int, list[Record]] = {count: [] for count in CLICKS}
        for place in places.tolist():
            clicks = [VertexClick(place, True)]
            asked[1].append(measure_place(segmenter, clicks))
            second = correction(segmenter, clicks, part_at(item, place))
            if second is not None:
                asked[2].append(measure_place(segmenter, [*clicks, second]))
        record["methods"][name] = [{"clicks": count, "places": rows} for count, rows in asked.items()]
    return record


def part_at(item: LabelledMesh | NestedMesh, vertex: int) -> np.ndarray | None:
    """Find the person's part at a vertex, the smallest of nested ones; None where there is none. [F] bool"""
    face = int(np.flatnonzero((item.mesh.faces == vertex).any(axis=1))[0])
    if isinstance(item, LabelledMesh):
        labels = item.people[item.central]  # [F]
        return labels == labels[face]
    holding = item.parts[item.parts[:, face]]  # [n, F]
    return holding[int((holding @ face_areas(item.mesh)).argmin())] if len(holding) else None


def correction(segmenter: Segmenter, clicks: list[VertexClick], part: np.ndarray | None) -> VertexClick | None:
    """Click the middle of the deeper error of the answer of `part`, for a user who wants a part [F] bool.

    None where nothing is wrong, or the click would be one of those made.
    """
    if part is None:
        return None
    click = VertexTarget(segmenter.model.mesh, part).next_click(segmenter.segment(clicks=clicks))
    return None if click is None or click.vertex in dict(clicks) else click


def measure_place(segmenter: Segmenter, clicks: list[VertexClick]) -> Record:
    """Measure the three answers to some clicks: areas as fractions of the mesh's, and how far each leaves the next."""
    weight = vertex_areas(segmenter.model.mesh)  # [V]
    weight = weight / weight.sum()
    regions = np.array([segmenter.segment(clicks=clicks, granularity=size) >= 0.5 for size in Granularity])  # [3, V]
    outside = (regions[:-1] & ~regions[1:]) @ weight  # [2] of fine outside of part, of part outside of whole
    return {
        "clicks": [[vertex, include] for vertex, include in clicks],
        "areas": np.round(regions @ weight, DECIMALS).tolist(),
        "outside": np.round(outside, DECIMALS).tolist(),
    }


def figures(place: Record) -> dict[str, float]:
    """Figures of one place."""
    areas, outside = np.array(place["areas"]), np.array(place["outside"])  # [3], [2]
    ordered = np.sort(areas)  # [3]
    differ = bool((ordered[1:] > (1 + DIFFERENT) * ordered[:-1]).all())
    nested = bool((outside <= OUTSIDE * areas[:-1]).all())
    wrong = bool((areas[:-1] > (1 + DIFFERENT) * areas[1:]).any())
    values = (differ, nested, differ and nested, wrong, *areas)
    return {name: float(value) for name, value in zip(FIGURES, values, strict=True)}


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes."""
    methods = list(next(iter(records.values()))["methods"])
    rows, each = [], {}
    for method in methods:
        for position, count in enumerate(CLICKS):
            places = [record["methods"][method][position]["places"] for record in records.values()]  # a list a mesh
            found = [[figures(place) for place in some] for some in places]
            by_mesh = {name: [mean(f[name] for f in some) for some in found] for name in FIGURES}
            means = {name: mean(values) for name, values in by_mesh.items()}
            rows.append({"method": method, "clicks": count, "places": sum(map(len, places)), **means})
            each |= {f"{method}, {count}: {name}": by_mesh[name] for name in ("three sizes", "nested")}
    note = (
        f"At {PLACES} places of each mesh, each the farthest from those before it. three sizes: share of the places "
        f"where the areas of fine, part and whole differ by more than {100 * DIFFERENT:.0f} % from each other. nested: "
        f"share where fine is inside part and part inside whole, up to {100 * OUTSIDE:.0f} % of the smaller's area. "
        f"out of order: a smaller size has an area more than {100 * DIFFERENT:.0f} % above that of a larger one. fine, "
        "part, whole: areas as fractions of the mesh's. 2 clicks: the place, and the middle of the deeper error of the "
        "answer of part against the person's part at the place, where anything is wrong. Means over the places of a "
        "mesh, then over meshes."
    )
    tables = [
        Table(f"Three sizes: {len(records)} meshes", rows, note),
        Table("Each mesh", mesh_rows(records, each)),
    ]
    return Report(tables, [])


SIZES = Experiment(
    "sizes",
    f"Are fine, part and whole three sizes, one within the other? (--teacher {INSTANT}: without training)",
    measure,
    report,
    dataset=None,
    trains=False,
)
