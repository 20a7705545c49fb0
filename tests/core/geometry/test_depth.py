"""Depth of vertices in regions, and what a click off the middle costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shapes import bottom, dumbbell, sphere, top

from iseg_core.geometry.depth import COARSE, SAMPLE, Depth, depths, spread

MESH = sphere(2)  # 162 vertices
POINTS = MESH.vertices
DEPTH = Depth(POINTS)
MANY = dumbbell(4).vertices  # [P, 3] more than the coarse points
MANY_DEPTH = Depth(MANY)
regions = st.lists(st.booleans(), min_size=len(POINTS), max_size=len(POINTS)).map(np.array)


@settings(max_examples=50)
@given(regions)
def test_depth_is_the_distance_to_the_nearest_point_outside(inside):
    at = np.flatnonzero(inside)  # [n]
    found = depths(POINTS, inside, at)
    outside = POINTS[~inside]  # [Q, 3]
    if len(outside) == 0:
        assert np.isinf(found).all()
    elif len(at):
        expected = np.linalg.norm(POINTS[at][:, None] - outside[None], axis=2).min(axis=1)  # [n]
        np.testing.assert_allclose(found, expected)


def test_points_outside_may_be_far_away():
    points = np.concatenate([POINTS * 0.01, [[50.0, 0.0, 0.0], [0.0, 70.0, 0.0]]])  # [P, 3]
    inside = np.arange(len(points)) < len(POINTS)  # [P]
    found = depths(points, inside, np.array([0, 5]))
    np.testing.assert_allclose(found, np.linalg.norm(points[[0, 5]] - points[-2], axis=1))


def test_a_click_in_the_middle_costs_nothing_and_more_towards_the_border():
    cap = POINTS[:, 2] > 0.2  # [P]
    order = np.argsort(-POINTS[:, 2])  # [P] from the pole to the border
    costs = [DEPTH.off_middle(cap, int(v))[0] for v in order[: cap.sum() : 8]]
    assert costs[0] == 0 == DEPTH.off_middle(cap, top(MESH))[0]
    assert costs[-1] > costs[len(costs) // 2] > 0
    assert costs[-1] <= 1


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_cost_does_not_depend_on_the_scale(scale):
    cap = POINTS[:, 2] > 0
    vertex = int(np.flatnonzero(cap)[7])
    assert Depth(POINTS * scale).off_middle(cap, vertex)[0] == pytest.approx(DEPTH.off_middle(cap, vertex)[0])


def test_everything_has_no_border_and_nothing_no_depth():
    everything = np.ones(len(POINTS), dtype=bool)  # [P]
    assert DEPTH.off_middle(everything, 3) == (0.0, np.inf)
    assert DEPTH.greatest(~everything) == 0
    assert DEPTH.greatest(~everything, 0.5) == 0.5
    assert DEPTH.greatest(everything) == np.inf


def test_a_sample_finds_nearly_the_greatest_depth():
    fine = dumbbell(4)
    depth = Depth(fine.vertices)
    half = fine.vertices[:, 2] > 0  # [P]
    assert half.sum() > 4 * SAMPLE
    exact = depths(fine.vertices, half, np.flatnonzero(half)).max()
    assert 0.95 * exact <= depth.greatest(half) <= exact
    assert depth.off_middle(~half, bottom(fine))[0] == pytest.approx(0, abs=0.1)


@settings(max_examples=50)
@given(regions)
def test_the_greatest_depth_of_few_points_is_exact(inside):
    assert len(POINTS) <= COARSE
    expected = depths(POINTS, inside, np.flatnonzero(inside)).max(initial=0.0)
    sampled = inside.sum() > SAMPLE  # then the deepest may be missed, and is never exceeded
    found = DEPTH.greatest(inside)
    assert found <= expected * (1 + 1e-5) if sampled else found == pytest.approx(expected, rel=1e-5)


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(-1, 1), st.floats(0, 2))
def test_looking_first_at_what_may_lie_deepest_misses_nothing(seed, height, least):
    rng = np.random.default_rng(seed)
    inside = (MANY @ rng.standard_normal(3) > height) & (rng.random(len(MANY)) < 0.98)  # [P]
    at = spread(np.flatnonzero(inside), SAMPLE)  # [m]
    coarse = spread(np.arange(len(MANY)), COARSE)  # [C]
    outside = MANY[coarse[~inside[coarse]]]  # [Q, 3]
    apart = np.linalg.norm(MANY[at][:, None] - outside, axis=2)  # [m, Q]
    expected = apart.min(axis=1).max(initial=0.0)
    assert MANY_DEPTH.greatest(inside) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert MANY_DEPTH.greatest(inside, least) == pytest.approx(max(expected, least), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("left", [1, 4, 40])
def test_nearly_everything_has_a_depth_though_no_coarse_point_is_outside(left):
    assert len(MANY) > COARSE
    inside = np.ones(len(MANY), dtype=bool)  # [P]
    inside[np.setdiff1d(np.arange(len(MANY)), spread(np.arange(len(MANY)), COARSE))[:left]] = False
    at = spread(np.flatnonzero(inside), SAMPLE)  # [m]
    expected = depths(MANY, inside, at).max()
    assert MANY_DEPTH.greatest(inside) == MANY_DEPTH.greatest(inside, expected / 2) == pytest.approx(expected)
    assert MANY_DEPTH.greatest(inside, 2 * expected) == 2 * expected


def test_products_hold_numbers_only(monkeypatch):
    """Infinities times the zeros that a product is padded with would be no numbers, of which numpy warns (AMD)."""
    columns = []
    monkeypatch.setattr(np, "putmask", lambda row, mask, value: columns.append(value) or row.__setitem__(mask, value))
    with np.errstate(all="raise"):
        assert np.isfinite(MANY_DEPTH.greatest(MANY[:, 0] > 0))
        assert MANY_DEPTH.greatest(np.ones(len(MANY), dtype=bool)) == np.inf
    assert columns and np.isfinite(columns).all()
