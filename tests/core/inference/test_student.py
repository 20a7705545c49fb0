"""What a student says reaches the user, at every click, as far as it is sure; and every click holds."""

import numpy as np
import pytest
from support.shapes import on_vertices, sphere

from iseg_core.clicks.click import Granularity, VertexClicks, size_of
from iseg_core.inference import student as students
from iseg_core.inference.student import Student, disagreement, snap
from iseg_core.parts import sequences
from iseg_core.parts.assembly import AssemblyFinder, propose_assembly
from iseg_core.parts.candidates import PartFinder
from iseg_core.parts.measure import measure

BALL = sphere(4)
VERTICES = BALL.vertices / 2
ASSEMBLY = measure(VERTICES, BALL.faces)
X, Z = VERTICES[:, 0], VERTICES[:, 2]
TOP, SIDE, LOW = int(Z.argmax()), int(X.argmax()), int(Z.argmin())
CAP, HALF = X + Z > 0.2, X > 0.1  # [P] no border of the ball is there: only a teacher can know them


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / max((one | other).sum(), 1)


class Saying(Student):
    """Student whose answers are given: by the number of clicks, the last for more. It has no networks."""

    def __init__(self, *said: np.ndarray, geometric: bool = False, agreement: float = 1.0):
        self._said, self._geometric, self._agreement = said, geometric, agreement

    def probability(self, clicks: VertexClicks, granularity: Granularity) -> np.ndarray:
        said = self._said[min(len(clicks), len(self._said)) - 1]  # [P]
        return np.where(said, 0.9, 0.1).astype(np.float32)  # [P]


def answer(student: Student, *pairs: tuple[int, bool], assembly=ASSEMBLY, size: float = 0.5) -> np.ndarray:
    return student.corrections(AssemblyFinder(assembly)).answer(on_vertices(*pairs), size)


def test_what_geometry_cannot_know_is_the_first_answer():
    geometry = propose_assembly(AssemblyFinder(ASSEMBLY)).answer(on_vertices((TOP, True)))
    assert iou(geometry, CAP) < 0.8
    assert iou(answer(Saying(CAP), (TOP, True)), CAP) > 0.97
    assert iou(answer(Saying(CAP, geometric=True), (TOP, True)), geometry) > 0.97  # its teacher is the geometry


def test_a_region_without_the_click_is_no_answer():
    finder = PartFinder(ASSEMBLY.whole)
    region = snap(finder, LOW, CAP.astype(np.float32), geometric=False)
    assert region[LOW] and any(np.array_equal(region, one) for one in finder.candidates(LOW).regions)


def test_a_later_click_is_answered_by_what_the_student_says_to_all():
    """It says CAP to the first click, HALF to both: the region that both answers come nearest to."""
    clicks = (SIDE, True), (TOP, False)
    sure = answer(Saying(CAP, HALF & ~(Z > 0.3)), *clicks)
    unsure = answer(Saying(CAP, HALF & ~(Z > 0.3), agreement=0.0), *clicks)
    wanted = HALF & ~(Z > 0.3)
    assert iou(sure, wanted) > 0.9 and iou(sure, wanted) > iou(unsure, wanted) + 0.1
    for region in (sure, unsure):
        assert region[SIDE] and not region[TOP]


def test_of_a_geometric_students_regions_one_may_take_over_late(monkeypatch):
    """What it says to all clicks is one more rival (tests/core/parts: where it wins), and costs nothing else."""
    told = []

    def correct(finder, steps, clicks, rivals, student, settings):
        told.append((student.region(), student.cost))
        return steps[-1].region

    monkeypatch.setattr(sequences, "correct", correct)
    answer(Saying(CAP, HALF, geometric=True), (TOP, True), (SIDE, True))
    assert told and all(np.array_equal(region, HALF) and cost is None for region, cost in told)


@pytest.mark.parametrize("size", [size_of(granularity) for granularity in Granularity])
def test_every_click_holds_whatever_the_student_says(size):
    rng = np.random.default_rng(0)
    for _ in range(6):
        said = [rng.random(len(X)) < 0.5, Z > rng.uniform(-0.4, 0.4), X > rng.uniform(-0.4, 0.4)]
        pairs = [(int(v), bool(k == 0 or rng.random() < 0.5)) for k, v in enumerate(rng.permutation(len(X))[:3])]
        region = answer(Saying(*said), *pairs, size=size)
        assert all(region[v] == include for v, include in pairs)


def test_disagreement_is_none_where_the_region_is_what_was_said():
    mass = np.full(len(X), 1 / len(X))
    costs = disagreement(np.array([CAP, HALF, ~CAP]), CAP.astype(np.float32), mass)
    assert costs[0] == pytest.approx(0) and costs[0] < costs[1] < costs[2]
    assert costs[2] == pytest.approx(-np.log(students.WEIGHTS.least))
