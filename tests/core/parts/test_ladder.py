"""Ladder: the regions of a click from the smallest to the largest, each within the next."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shapes import bottom, dumbbell, on_vertices, top

from iseg_core.clicks.click import Granularity, size_of
from iseg_core.parts.candidates import Candidates, PartFinder
from iseg_core.parts.ladder import make_ladder
from iseg_core.parts.measure import measure
from iseg_core.parts.sequences import geometric_ladder, propose_parts

MESH = dumbbell()
FINDER = PartFinder(measure(MESH.vertices / 2, MESH.faces).whole)
COUNT = len(MESH.vertices)
MASS = np.full(20, 0.05)


def prefixes(*ends: int) -> np.ndarray:
    return np.arange(20) < np.array(ends)[:, None]


def ladder(ends: tuple[int, ...], part: int, fine=None, whole=None):
    regions = prefixes(*ends)
    found = Candidates(regions, np.arange(len(ends), dtype=float), regions @ MASS)
    cost = np.zeros(len(ends))
    return make_ladder(found, prefixes(part)[0], MASS, cost if fine is None else fine, cost if whole is None else whole)


def test_names_are_fixed_points_and_what_lies_between_is_spread_evenly():
    fine = np.array([9.0, 0.0, 9.0, 9.0, 9.0, 9.0])  # of 3
    whole = np.array([9.0, 9.0, 9.0, 9.0, 0.0, 9.0])  # of 15
    found = ladder((1, 3, 5, 7, 15, 20), 7, fine, whole)
    assert found.sizes.tolist() == [0.0, 0.25, 0.375, 0.5, 0.75, 1.0]
    assert found.regions.sum(axis=1).tolist() == [1, 3, 5, 7, 15, 20]
    assert [found.region(s).sum() for s in (0.1, 0.2, 0.3, 0.36, 0.5, 0.6, 0.9)] == [1, 3, 3, 5, 7, 7, 20]
    assert found.step(0.36) == 0.375


def test_without_anything_finer_or_coarser_all_sizes_are_the_part():
    found = ladder((8,), 8)
    assert found.sizes.tolist() == [0.5]
    assert all(found.region(size).sum() == 8 for size in (0.0, 0.25, 1.0))


def test_regions_that_are_no_pieces_of_the_part_are_no_steps():
    """Of two smaller regions one lies mostly beside the part."""
    regions = np.array([np.arange(20) < 8, (np.arange(20) >= 6) & (np.arange(20) < 10), np.arange(20) < 3])
    found = Candidates(regions, np.zeros(3), regions @ MASS)
    steps = make_ladder(found, regions[0], MASS, np.array([0.0, -1.0, 0.0]), np.zeros(3))
    assert [region.sum() for region in steps.regions] == [3, 8]


@settings(max_examples=30)
@given(st.integers(0, COUNT - 1))
def test_each_region_lies_within_the_next_and_holds_the_click(vertex):
    steps = geometric_ladder(FINDER, vertex)
    assert (np.diff(steps.sizes) > 0).all() and 0 <= steps.sizes[0] and steps.sizes[-1] <= 1
    assert steps.regions[:, vertex].all()
    assert not (steps.regions[:-1] & ~steps.regions[1:]).any()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, COUNT - 1), st.booleans()), min_size=1, max_size=4, unique_by=lambda c: c[0]))
def test_fine_lies_within_part_and_part_within_whole_after_any_clicks(pairs):
    clicks, answers = on_vertices(*pairs), propose_parts(FINDER)
    fine, part, whole = (answers.answer(clicks, size_of(granularity)) for granularity in Granularity)
    mass = FINDER.surface.mass
    assert mass @ (fine & ~part) < 0.02 and mass @ (part & ~whole) < 0.02
    if any(include for _, include in clicks):
        for region in (fine, part, whole):
            assert all(region[v] == include for v, include in clicks)


@pytest.mark.parametrize("end", [top, bottom])
def test_a_ball_of_a_dumbbell_has_a_larger_size_all_of_it(end):
    answers, clicks = propose_parts(FINDER), on_vertices((end(MESH), True))
    part, whole = (answers.answer(clicks, size) for size in (0.5, 0.75))
    assert FINDER.surface.mass @ part == pytest.approx(0.5, abs=0.1) and FINDER.surface.mass @ whole > 0.9
