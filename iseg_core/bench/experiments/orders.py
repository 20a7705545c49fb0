"""Experiment `orders`: the clicks of a simulated user, asked in other orders than that in which they were made.

The clicks are those of the experiment `clicks`, and include and exclude what they did.
"""

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np

from ...clicks.click import VertexClick
from ...clicks.simulated_user import Predictor, VertexTarget, simulate
from ..dataset import LabelledMesh
from ..experiment import INSTANT, Experiment, Record, Report, Setup, Table
from ..methods import asking, in_use
from .common import DECIMALS, iou, mean, mesh_rows

COUNTS = (2, 3, 5)  # clicks that are put into other orders
ORDERS = 4  # other orders, at most
WORSE = 0.1  # loss of IoU from which on an order ruins the answer


def measure(item: LabelledMesh, setup: Setup) -> Record:
    """Measure one mesh: every part in every order."""
    methods = {name: asking(segmenter) for name, segmenter in in_use(item.mesh, setup).items()}
    targets = [VertexTarget(item.mesh, part) for part in item.parts]
    parts = [
        {
            name: measure_part(target, answer, np.random.default_rng([setup.seed, part]))
            for name, answer in methods.items()
        }
        for part, target in enumerate(targets)
    ]
    return {"category": item.category, "methods": list(methods), "parts": parts}


def measure_part(target: VertexTarget, answer: Predictor[VertexClick], rng: np.random.Generator) -> list[Record]:
    """Measure one part: for each number of clicks that the user made, the IoU in each order; the one made is first."""
    _, clicks = simulate(target, answer, max(COUNTS))
    records = []
    for count in COUNTS:
        if count > len(clicks):  # nothing was wrong any more
            break
        orders = [tuple(range(count)), *other_orders(count, rng)]
        answers = [answer([clicks[i] for i in order]) for order in orders]  # of [V]
        taken = np.array([target.taken(probability) for probability in answers])  # [orders, F]
        agreement = [float(iou(a, b, target.area)) for a, b in combinations(taken, 2)]
        records.append(
            {
                "clicks": [[vertex, include] for vertex, include in clicks[:count]],
                "orders": [list(order) for order in orders],
                "iou": [round(target.iou(probability), DECIMALS) for probability in answers],
                "agreement": mean(agreement),
            }
        )
    return records


def other_orders(count: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Draw at most ORDERS orders of `count` clicks, none twice, and not the one in which they were made."""
    every = list(permutations(range(count)))[1:]
    return [every[i] for i in rng.permutation(len(every))[:ORDERS]]


def _asked(record: Record, method: str, count: int) -> Iterator[Record]:
    """Yield the parts of a mesh that got so many clicks."""
    for part in record["parts"]:
        yield from (asked for asked in part[method] if len(asked["clicks"]) == count)


def figures(record: Record, method: str, count: int) -> dict[str, float] | None:
    """Figures of one mesh, means over its parts; None where no part got so many clicks."""
    rows = []
    for asked in _asked(record, method, count):
        made, others = asked["iou"][0], np.array(asked["iou"][1:])  # [orders]
        row = {"as made": made, "other orders": others.mean(), "loss": (made - others).mean()}
        row |= {"worst order": others.min(), "ruined": (made - others > WORSE).mean(), "agreement": asked["agreement"]}
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} if rows else None


def report(records: dict[str, Record], setup: Setup) -> Report:
    """Sum up all meshes."""
    methods = next(iter(records.values()))["methods"]
    rows, losses = [], {}
    for method in methods:
        for count in COUNTS:
            found = {name: figures(record, method, count) for name, record in records.items()}  # a mesh each
            known = [row for row in found.values() if row]
            losses[f"{method} @{count}"] = [row["loss"] if row else None for row in found.values()]
            if known:
                parts = sum(len(list(_asked(record, method, count))) for record in records.values())
                means = {name: float(np.mean([row[name] for row in known])) for name in known[0]}
                rows.append({"method": method, "clicks": count, "meshes": len(known), "parts": parts, **means})
    note = (
        "The clicks of a simulated user (each in the middle of the deeper error), asked again in other orders: the "
        f"only other one of two clicks, {ORDERS} others, by chance, of more. as made: IoU with the person's part in "
        "the order in which they were made; other orders: their mean; loss: the former less the latter; worst order: "
        f"the least of them; ruined: share of the orders whose IoU is more than {WORSE:g} lower; agreement: IoU of the "
        "answers in two orders, over all pairs of orders. Means over orders, parts that needed so many clicks, then "
        "meshes."
    )
    if not rows:
        return Report([], [])
    return Report(
        [
            Table(f"Order of the clicks: {len(records)} meshes", rows, note),
            Table("Loss of IoU on each mesh", mesh_rows(records, losses), "Empty where no part needed so many clicks."),
        ],
        [],
    )


ORDER = Experiment(
    "orders",
    f"How much does the order of the clicks matter? (--teacher {INSTANT}: without training)",
    measure,
    report,
    trains=False,
)
