"""Simulated user who knows the wanted part: clicks it, then the middle of the largest error (AGILE3D's protocol).

The benchmark measures with these clicks; a selection or a vertex group becomes clicks with them. A user clicks vertices
and sees answers for vertices (VertexTarget), or clicks points of the surface and sees answers for faces (FaceTarget).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from ..geometry.depth import depths
from ..geometry.domain import Domain
from ..geometry.mesh import Mesh, face_areas
from .click import Click, SurfacePoint, VertexClick

MOST = 12  # clicks that are proposed for a part
ENOUGH = 0.95  # IoU at which they end
PATIENCE = 3  # clicks in a row without a gain after which they end, too; fewer are tried, as a gain may follow
GAIN = 0.005  # rise of IoU from which on a click counts as a gain
MANY = 10_000  # points of a region from which on not all are measured
CELLS = 32  # of space along each side, to measure one point in each first
SPREAD = 6000  # points over the whole surface, between which depth is measured; a small face has one more

ClickT = TypeVar("ClickT", VertexClick, Click)
Predictor = Callable[[list[ClickT]], np.ndarray]  # clicks -> probability of the vertices [V] or faces [F]


@dataclass(frozen=True, eq=False)
class Target(ABC, Generic[ClickT]):
    """Part that a simulated user wants, a set of faces of a mesh; and how the user clicks and sees answers."""

    domain: ClassVar[Domain]  # of the answers that the user sees
    mesh: Mesh
    faces: np.ndarray  # [F] bool

    @cached_property
    def area(self) -> np.ndarray:
        """Area of each face. [F]"""
        return face_areas(self.mesh)

    def iou(self, probability: np.ndarray) -> float:
        """Area-weighted intersection over union with the faces that an answer takes."""
        taken = self.taken(probability)  # [F]
        union = self.area[taken | self.faces].sum()
        return float(self.area[taken & self.faces].sum() / union) if union > 0 else 1.0

    @abstractmethod
    def taken(self, probability: np.ndarray) -> np.ndarray:
        """Find the faces that an answer takes. [F] bool"""

    @abstractmethod
    def first_click(self) -> ClickT:
        """Click the middle of the part."""

    @abstractmethod
    def next_click(self, probability: np.ndarray) -> ClickT | None:
        """Click the middle of the deeper error: True where the part was missed, False where too much was taken.

        None where nothing is wrong.
        """


class VertexTarget(Target[VertexClick]):
    """Part whose user clicks vertices and sees probabilities of vertices [V]."""

    domain = Domain.VERTEX

    @classmethod
    def of_vertices(cls, mesh: Mesh, chosen: np.ndarray) -> "VertexTarget":
        """Make a target of the faces most of whose vertices are chosen [V] bool, as `taken` counts them."""
        return cls(mesh, chosen[mesh.faces].sum(axis=1) >= 2)

    @cached_property
    def vertices(self) -> np.ndarray:
        """Vertices most of whose faces are in the target. [V] bool"""
        votes = np.bincount(self.mesh.faces.ravel(), np.repeat(self.faces, 3), minlength=len(self.mesh.vertices))
        total = np.bincount(self.mesh.faces.ravel(), minlength=len(self.mesh.vertices))
        return votes > total / 2

    def taken(self, probability: np.ndarray) -> np.ndarray:
        """Find the faces most of whose vertices have probability >= 0.5. [F] bool"""
        return (probability >= 0.5)[self.mesh.faces].sum(axis=1) >= 2

    def first_click(self) -> VertexClick:
        own = self.vertices if self.vertices.any() else self._touched  # [V]
        return VertexClick(deepest(self.mesh.vertices, own)[0], True)

    def next_click(self, probability: np.ndarray) -> VertexClick | None:
        taken = probability >= 0.5  # [V]
        used = np.zeros(len(taken), dtype=bool)  # [V] unreferenced vertices are no errors
        used[self.mesh.faces] = True
        found = deeper_error(self.mesh.vertices, self.vertices & ~taken & used, taken & ~self.vertices & used)
        return VertexClick(*found) if found else None

    @property
    def _touched(self) -> np.ndarray:
        """Vertices of the target's faces, where it is so thin that it owns none. [V] bool"""
        touched = np.zeros(len(self.mesh.vertices), dtype=bool)  # [V]
        touched[self.mesh.faces[self.faces]] = True
        return touched


class SurfaceSamples(NamedTuple):
    """Points spread over the faces of a mesh, at least one on each. N points."""

    points: np.ndarray  # [N, 3] float64
    face: np.ndarray  # [N] int64, ascending
    barycentric: np.ndarray  # [N, 3] float64


class FaceTarget(Target[Click]):
    """Part whose user clicks points of the surface and sees probabilities of faces [F].

    Depth is measured between points spread over the faces, so that one big face has a middle.
    """

    domain = Domain.FACE

    @classmethod
    def of_vertices(cls, mesh: Mesh, chosen: np.ndarray) -> "FaceTarget":
        """Make a target of the polygons all of whose vertices are chosen [V] bool."""
        inside = np.asarray(chosen[mesh.faces].all(axis=1))  # [F]
        if mesh.polygons is not None:
            outside = np.bincount(mesh.polygons, ~inside) > 0  # [polygons]
            inside = ~outside[mesh.polygons]  # [F]
        return cls(mesh, inside)

    @cached_property
    def samples(self) -> SurfaceSamples:
        """Points among which the user looks for the deepest."""
        return spread_points(self.mesh)

    def taken(self, probability: np.ndarray) -> np.ndarray:
        """Find the faces that have probability >= 0.5. [F] bool"""
        return probability >= 0.5

    def first_click(self) -> Click:
        return Click(self._point(deepest(self.samples.points, self.faces[self.samples.face])[0]), True)

    def next_click(self, probability: np.ndarray) -> Click | None:
        taken, face = self.taken(probability), self.samples.face  # [F], [N]
        found = deeper_error(self.samples.points, (self.faces & ~taken)[face], (taken & ~self.faces)[face])
        return Click(self._point(found[0]), found[1]) if found else None

    def _point(self, sample: int) -> SurfacePoint:
        a, b, c = self.samples.barycentric[sample].tolist()
        return SurfacePoint(int(self.samples.face[sample]), (a, b, c))


def spread_points(mesh: Mesh) -> SurfaceSamples:
    """Spread points over the faces of a mesh by area, the first of each face in its centroid; always the same."""
    area = face_areas(mesh)  # [F]
    count = np.maximum(np.rint(area / area.sum() * SPREAD), 1).astype(np.int64)  # [F]
    face = np.repeat(np.arange(len(area)), count)  # [N]
    barycentric = np.random.default_rng(0).dirichlet([1.5, 1.5, 1.5], len(face))  # [N, 3] seldom at the rim
    barycentric[np.cumsum(count) - count] = 1 / 3
    points = (mesh.vertices[mesh.faces[face]] * barycentric[:, :, None]).sum(axis=1)  # [N, 3]
    return SurfaceSamples(points, face, barycentric)


def deepest(points: np.ndarray, inside: np.ndarray) -> tuple[int, float]:
    """Find the point of a set that is farthest from all points outside, and its distance (-1, -1 for an empty set)."""
    if not inside.any():
        return -1, -1.0
    if inside.all():
        return int(np.flatnonzero(inside)[0]), np.inf
    found = np.flatnonzero(inside)  # [n]
    if len(found) > MANY:
        found = may_be_deepest(points, inside, found)  # [n']
    depth = depths(points, inside, found)  # [n']
    best = int(depth.argmax())
    return int(found[best]), float(depth[best])


def may_be_deepest(points: np.ndarray, inside: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Find those of the points `found` [n] (indices of all that are inside) that may be the deepest. [n'] ascending

    From one point to another the depth differs by no more than the way between them: a cell of space, one of whose
    points has been measured, says how deep the others can be at most.
    """
    asked = points[found]  # [n, 3]
    low, size = asked.min(axis=0), max(float(np.ptp(asked, axis=0).max()), 1e-300)
    cells = np.minimum((asked - low) * (CELLS / size), CELLS - 1).astype(np.int64) @ [CELLS * CELLS, CELLS, 1]  # [n]
    _, first, cell = np.unique(cells, return_index=True, return_inverse=True)  # [C], [n]
    depth = depths(points, inside, found[first])  # [C]
    most = depth[cell] + np.linalg.norm(asked - asked[first][cell], axis=1)  # [n]
    return found[most >= depth.max() * (1 - 1e-9)]


def deeper_error(points: np.ndarray, missed: np.ndarray, wrong: np.ndarray) -> tuple[int, bool] | None:
    """Find the middle of the deeper of two errors [P] bool, and whether it was missed; None where there is neither."""
    (missing, miss_depth), (extra, wrong_depth) = deepest(points, missed), deepest(points, wrong)
    if missing < 0 and extra < 0:
        return None
    return (missing, True) if miss_depth >= wrong_depth else (extra, False)


def play(target: Target[ClickT], predict: Predictor[ClickT]) -> Iterator[tuple[list[ClickT], float]]:
    """Yield, after each click, all clicks so far and the IoU of their answer, until nothing is wrong any more."""
    clicks = [target.first_click()]
    while True:
        probability = predict(clicks)  # [V] or [F]
        yield list(clicks), target.iou(probability)
        click = target.next_click(probability)
        if click is None or click[0] in dict(clicks):  # where the part owns no vertex, the first may be wrong
            return
        clicks.append(click)


def simulate(target: Target[ClickT], predict: Predictor[ClickT], count: int = 10) -> tuple[list[float], list[ClickT]]:
    """Simulate `count` clicks: IoU after each, and the clicks. Once nothing is wrong any more, the last IoU repeats."""
    steps = list(islice(play(target, predict), count))
    scores = [score for _, score in steps]
    return scores + [scores[-1]] * (count - len(scores)), steps[-1][0]


def propose(target: Target[ClickT], predict: Predictor[ClickT]) -> tuple[list[ClickT], float]:
    """Find a few clicks whose answer comes near to a target, and the IoU that they reach; the last one is a gain."""
    best, reached = [], -1.0
    for clicks, score in islice(play(target, predict), MOST):
        if score > reached + GAIN:
            best, reached = clicks, score
        if reached >= ENOUGH or len(clicks) - len(best) >= PATIENCE:
            break
    return best, reached
