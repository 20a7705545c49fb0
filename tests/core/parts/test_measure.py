"""Measures of a proxy: borders that the mesh itself has are cheap."""

import numpy as np
import pytest
from support.shapes import sphere

import iseg_core as iseg
from iseg_core.geometry.mesh import face_areas, with_marks
from iseg_core.parts.measure import LABEL_DAMPING, measure

BALL = sphere(4)
CENTRES = BALL.vertices[BALL.faces].mean(axis=1)  # [F, 3]
CAP = CENTRES[:, 2] > 0.4  # [F]
POLE = (iseg.SurfacePoint(int(CENTRES[:, 2].argmax()), (1 / 3, 1 / 3, 1 / 3)), True)


def iou(inside: np.ndarray, wanted: np.ndarray) -> float:
    area = face_areas(BALL)
    return float(area[inside & wanted].sum() / area[inside | wanted].sum())


def test_only_edges_between_labels_are_damped():
    labels = (BALL.vertices[:, 2] > 0.4).astype(np.int32)  # [V]
    plain, marked = (measure(BALL.vertices / 2, BALL.faces, given).surfaces[0] for given in (None, labels))
    crossing = labels[plain.edges[:, 0]] != labels[plain.edges[:, 1]]
    np.testing.assert_allclose(marked.weights, np.where(crossing, LABEL_DAMPING, 1.0) * plain.weights)
    assert crossing.any() and np.array_equal(marked.edges, plain.edges)


@pytest.mark.parametrize("by_edges", [False, True])
def test_a_part_without_any_shape_is_found_by_its_marks(by_edges):
    """A cap of a ball has no geometric border; the mesh itself says that there is one, by labels or by a seam."""
    sides = np.sort(BALL.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    order = np.lexsort(sides.T)
    cap = np.repeat(CAP, 3)[order].reshape(-1, 2)
    edges = sides[order][::2][cap[:, 0] != cap[:, 1]]
    marked = with_marks(BALL, **({"marked_edges": edges} if by_edges else {"labels": CAP.astype(int)}))
    answer = iseg.instant(marked).segment([POLE], domain="face") >= 0.5
    plain = iseg.instant(BALL).segment([POLE], domain="face") >= 0.5
    assert iou(answer, CAP) > 0.95 > 0.8 > iou(plain, CAP)
