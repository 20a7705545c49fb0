"""Like parts: alike in size and spread, whichever way they are turned or mirrored."""

import itertools

import numpy as np
import pytest
from support.shapes import box, join, moved, sphere

from iseg_core.parts.like_parts import find_like_parts, shape_measures
from iseg_core.parts.measure import measure

BOXES = join(box(), moved(box(), (4, 0, 0)), moved(box(), (8, 0, 0), 1.5), moved(sphere(2), (12, 0, 0)))
SURFACE = measure(BOXES.vertices / 14, BOXES.faces).whole
SHELLS = np.array([SURFACE.components == k for k in range(4)])  # [4, P]


def rotation(seed: int) -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))
    return turn


@pytest.mark.parametrize("seed", range(4))
def test_measures_do_not_change_when_all_is_turned_or_mirrored(seed):
    turned = measure(BOXES.vertices / 14 @ rotation(seed), BOXES.faces).whole
    assert np.allclose(shape_measures(SURFACE, SHELLS), shape_measures(turned, SHELLS), atol=1e-9)


def test_measures_are_the_root_of_the_area_and_the_spread():
    """A half of the points at each end of a line: the spread along it is half its length, and none across it."""
    area = shape_measures(SURFACE, SHELLS)[:, 0] ** 2 / SURFACE.area
    assert np.allclose(area, SHELLS @ SURFACE.mass)
    spread = shape_measures(SURFACE, SHELLS[:1])[0, 1:]
    points, mass = SURFACE.vertices[SHELLS[0]], SURFACE.mass[SHELLS[0]]
    expected = np.sqrt(np.linalg.eigvalsh(np.cov(points.T, aweights=mass, ddof=0)))
    assert np.allclose(spread, expected)


def groups(*shells: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    regions = [SHELLS[[k, 3]] for k in shells]
    return regions, [shape_measures(SURFACE, some) for some in regions]


def test_like_parts_are_found_in_any_order_and_others_are_not():
    for order in itertools.permutations((0, 1)):
        (found,) = find_like_parts(SURFACE, *groups(*order))
        assert np.array_equal(found.union, SHELLS[0] | SHELLS[1]) and found.unlike == pytest.approx(0, abs=1e-9)
    assert not list(find_like_parts(SURFACE, *groups(0, 2)))  # half as large again; and the ball can't be taken twice


def test_parts_that_touch_are_no_two_parts():
    halves = SHELLS[0] & (SURFACE.vertices[:, 0] < 0)
    other = SHELLS[0] & ~halves
    regions = [halves[None], other[None]]
    measures = [np.ones((1, 4)), np.ones((1, 4))]
    assert not list(find_like_parts(SURFACE, regions, measures))
