"""Simulated user who knows the wanted part: clicks it, then the middle of the largest error (AGILE3D's protocol).

The benchmark measures with these clicks; a selection or a vertex group becomes clicks with them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from ..geometry.depth import depths
from ..geometry.mesh import Mesh, face_areas
from .click import VertexClick

MOST = 12  # clicks that are proposed for a part
ENOUGH = 0.95  # IoU at which they end
PATIENCE = 3  # clicks in a row without a gain after which they end, too; fewer are tried, as a gain may follow
GAIN = 0.005  # rise of IoU from which on a click counts as a gain

Predictor = Callable[[list[VertexClick]], np.ndarray]  # clicks -> probability [V]


@dataclass(frozen=True, eq=False)
class Target:
    """Part that a simulated user wants: a set of faces of a mesh."""

    mesh: Mesh
    faces: np.ndarray  # [F] bool

    @classmethod
    def of_vertices(cls, mesh: Mesh, chosen: np.ndarray) -> "Target":
        """Make a target of the faces most of whose vertices are chosen [V] bool, as `iou` counts them."""
        return cls(mesh, chosen[mesh.faces].sum(axis=1) >= 2)

    @cached_property
    def vertices(self) -> np.ndarray:
        """Vertices most of whose faces are in the target. [V] bool"""
        votes = np.bincount(self.mesh.faces.ravel(), np.repeat(self.faces, 3), minlength=len(self.mesh.vertices))
        total = np.bincount(self.mesh.faces.ravel(), minlength=len(self.mesh.vertices))
        return votes > total / 2

    @cached_property
    def area(self) -> np.ndarray:
        return face_areas(self.mesh)

    def iou(self, probability: np.ndarray) -> float:
        """Area-weighted intersection over union with the faces most of whose vertices have probability >= 0.5."""
        taken = (probability >= 0.5)[self.mesh.faces].sum(axis=1) >= 2  # [F]
        union = self.area[taken | self.faces].sum()
        return float(self.area[taken & self.faces].sum() / union) if union > 0 else 1.0


def deepest(points: np.ndarray, inside: np.ndarray) -> tuple[int, float]:
    """Find the point of a set that is farthest from all points outside, and its distance (-1, 0 for an empty set)."""
    if not inside.any():
        return -1, 0.0
    if inside.all():
        return int(np.flatnonzero(inside)[0]), np.inf
    found = np.flatnonzero(inside)  # [n]
    depth = depths(points, inside, found)  # [n]
    best = int(depth.argmax())
    return int(found[best]), float(depth[best])


def next_click(target: Target, probability: np.ndarray) -> VertexClick | None:
    """Click the middle of the deeper error: True where the target was missed, False where too much was taken."""
    taken = probability >= 0.5  # [V]
    used = np.zeros(len(taken), dtype=bool)  # [V] unreferenced vertices are no errors
    used[target.mesh.faces] = True
    missed, miss_depth = deepest(target.mesh.vertices, target.vertices & ~taken & used)
    wrong, wrong_depth = deepest(target.mesh.vertices, taken & ~target.vertices & used)
    if missed < 0 and wrong < 0:
        return None
    return VertexClick(missed, True) if miss_depth >= wrong_depth else VertexClick(wrong, False)


def first_click(target: Target) -> int:
    """Find the vertex in the middle of the part, which is clicked first."""
    return deepest(target.mesh.vertices, target.vertices if target.vertices.any() else _any_vertex(target))[0]


def play(target: Target, predict: Predictor) -> Iterator[tuple[list[VertexClick], float]]:
    """Yield, after each click, all clicks so far and the IoU of their answer, until nothing is wrong any more."""
    clicks = [VertexClick(first_click(target), True)]
    while True:
        probability = predict(clicks)  # [V]
        yield list(clicks), target.iou(probability)
        click = next_click(target, probability)
        if click is None or click.vertex in dict(clicks):  # where the part owns no vertex, the first may be wrong
            return
        clicks.append(click)


def simulate(target: Target, predict: Predictor, count: int = 10) -> tuple[list[float], list[VertexClick]]:
    """Simulate `count` clicks: IoU after each, and the clicks. Once nothing is wrong any more, the last IoU repeats."""
    steps = list(islice(play(target, predict), count))
    scores = [score for _, score in steps]
    return scores + [scores[-1]] * (count - len(scores)), steps[-1][0]


def propose(target: Target, predict: Predictor) -> tuple[list[VertexClick], float]:
    """Find a few clicks whose answer comes near to a target, and the IoU that they reach; the last one is a gain."""
    best, reached = [], -1.0
    for clicks, score in islice(play(target, predict), MOST):
        if score > reached + GAIN:
            best, reached = clicks, score
        if reached >= ENOUGH or len(clicks) - len(best) >= PATIENCE:
            break
    return best, reached


def _any_vertex(target: Target) -> np.ndarray:
    touched = np.zeros(len(target.mesh.vertices), dtype=bool)  # [V] a part so thin that it owns no vertex
    touched[target.mesh.faces[target.faces]] = True
    return touched
