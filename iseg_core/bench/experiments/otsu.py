"""Separability (supplementary A, figure 21): are the probabilities two populations that any threshold separates?"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...clicks.simulated_user import VertexTarget
from ...inference.threshold import otsu
from ..dataset import LabelledMesh
from ..experiment import Experiment, Record, Report, Setup, Table
from ..methods import segmenters_of, votes_of
from ..plots import INK, colour, figure, save
from .common import iou, mean, mesh_rows, single_answers, vertex_areas

BINS = 40
METHODS = ("trained", "student", "votes")


def separability(probability: np.ndarray, threshold: float) -> float | None:
    """Otsu's eta: share of the variance of values [V] that lies between the two classes of a threshold.

    None where all values are equal.
    """
    values = probability.astype(np.float64)  # [V]
    total = values.var()
    if total == 0:
        return None
    above = values >= threshold  # [V]
    if above.all() or not above.any():
        return 0.0
    share = above.mean()
    return float(share * (1 - share) * (values[above].mean() - values[~above].mean()) ** 2 / total)


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh."""
    mesh = item.mesh
    model = setup.model(mesh)
    targets = [VertexTarget(mesh, part) for part in item.parts]
    clicks = [target.first_click().vertex for target in targets]
    weight = vertex_areas(mesh)  # [V]
    segmenters = segmenters_of(model, setup)
    answers = {name: single_answers(segmenters[name], clicks) for name in METHODS if name in segmenters}
    answers["votes"] = votes_of(model, setup).singles(clicks)
    record: Record = {"category": item.category, "clicks": len(clicks), "methods": {}}
    for name in METHODS:
        found = answers[name]  # [n, V]
        counts = sum((np.histogram(p, BINS, (0, 1))[0] for p in found), np.zeros(BINS))  # [BINS]
        cuts = [otsu(p) for p in found]
        record["methods"][name] = {
            "histogram": (counts / max(counts.sum(), 1)).round(8).tolist(),
            "threshold": mean(cuts),
            "eta": mean(separability(p, cut) for p, cut in zip(found, cuts, strict=True)),
            "same region": mean(float(iou(p >= 0.5, p >= cut, weight)) for p, cut in zip(found, cuts, strict=True)),
            "IoU at 0.5": mean(target.iou(p) for target, p in zip(targets, found, strict=True)),
            "IoU at Otsu": mean(
                target.iou((p >= cut).astype(np.float32)) for target, p, cut in zip(targets, found, cuts, strict=True)
            ),
        }
    return record


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes; write the pictures."""
    records = {name: record for name, record in records.items() if record["clicks"]}
    if not records:
        return Report([], [])
    names = ("eta", "threshold", "same region", "IoU at 0.5", "IoU at Otsu")
    values = {m: {n: [r["methods"][m][n] for r in records.values()] for n in names} for m in METHODS}
    rows = [{"method": m} | {n: mean(values[m][n]) for n in names} for m in METHODS]
    note = (
        "One click in the middle of each part. eta: share of the variance of the probabilities that lies between the "
        "two sides of Otsu's threshold, 1 where there are two values only. same region: IoU of the regions at 0.5 and "
        "at Otsu's threshold. IoU: with the person's part. The paper's claim (figure 21): there are two populations, "
        "and the region before and after thresholding remains almost the same. The refinement moves the trained "
        "model's probabilities away from 0.5; the student's are the decoder's own."
    )
    histograms = {m: np.mean([r["methods"][m]["histogram"] for r in records.values()], axis=0) for m in METHODS}
    _draw(histograms, {m: float(np.mean(values[m]["threshold"])) for m in METHODS}, setup.folder / "otsu.png")
    tables = [
        Table(f"Separability: {len(records)} meshes, {sum(r['clicks'] for r in records.values())} clicks", rows, note),
        Table("eta of each mesh", mesh_rows(records, {m: values[m]["eta"] for m in METHODS})),
    ]
    return Report(tables, ["otsu.png"])


def _draw(histograms: Mapping[str, np.ndarray], thresholds: Mapping[str, float], path: Path) -> None:
    """Plot a histogram a method: share of the vertices [BINS], logarithmic, with the mean threshold."""
    drawn, axes = figure(9.6, 3.2, columns=len(histograms))
    left = np.arange(BINS) / BINS  # [BINS]
    for axis, (method, share) in zip(axes, histograms.items(), strict=True):
        axis.bar(left, 100 * share, 1 / BINS, align="edge", color=colour(method))
        axis.axvline(thresholds[method], color=INK, linewidth=1, linestyle="--")
        axis.text(thresholds[method] + 0.02, 70, "Otsu", color=INK, fontsize=9)
        axis.set(title=method, xlabel="probability", xlim=(0, 1), yscale="log", ylim=(0.01, 100))
    axes[0].set(ylabel="% of the vertices")
    save(drawn, path)


OTSU = Experiment("otsu", "Are the probabilities two populations that a threshold separates?", measure, report)
