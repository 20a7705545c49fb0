"""Candidates of a click."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapes import bottom, dumbbell, join, moved, sphere, top

from iseg_core.regions import PartFinder, border_energy, find_candidates, range_minimum, sweep
from iseg_core.surface import Surface, measure_surface


@st.composite
def graphs(draw):
    count = draw(st.integers(2, 12))
    pairs = [(i, j) for i in range(count) for j in range(i)]
    edges = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weights, lengths = rng.random((2, len(edges)))
    mass = rng.random(count)
    points = rng.standard_normal((count, 3))
    return Surface(points, np.array(edges, dtype=np.int32), weights, lengths, mass / mass.sum(), 1.0), rng


@given(graphs())
def test_sweep_is_the_cut_after_every_flip(case):
    surface, rng = case
    region = rng.random(surface.vertex_count) < 0.5
    order = rng.permutation(surface.vertex_count)[: rng.integers(1, surface.vertex_count + 1)]
    rank = np.full(surface.vertex_count, len(order))
    rank[order] = np.arange(len(order))
    got = sweep(surface, rank, region, len(order))
    for k in range(len(order)):
        region = region.copy()
        region[order[k]] ^= True
        assert got[k] == pytest.approx(surface.cut(region), abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.data())
def test_range_minimum(values, data):
    array = np.array(values)
    low = np.array(data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=20)))
    high = np.array([data.draw(st.integers(a + 1, len(values))) for a in low])
    expected = [array[a:b].min() for a, b in zip(low, high, strict=True)]
    assert np.array_equal(range_minimum(array, low, high), expected)


def test_a_region_and_its_complement_have_the_same_energy():
    area = np.array([0.1, 0.4])
    assert np.allclose(border_energy(np.ones(2), area), border_energy(np.ones(2), 1 - area))


@pytest.mark.parametrize("end", [top, bottom])
def test_one_click_on_a_ball_takes_the_ball(end):
    mesh = dumbbell()
    finder = PartFinder(measure_surface(mesh.vertices / 2, mesh.faces))
    part = finder.candidates(end(mesh)).pick()
    side = np.sign(mesh.vertices[end(mesh), 2])
    wanted = mesh.vertices[:, 2] * side > 0
    assert (part & wanted).sum() / (part | wanted).sum() > 0.95


def test_granularities_are_ordered_by_area():
    mesh = dumbbell()
    finder = PartFinder(measure_surface(mesh.vertices / 2, mesh.faces))
    for vertex in range(0, 600, 37):
        found = finder.candidates(vertex)
        fine, part, whole = (found.areas[found.best(scale)] for scale in ("fine", "part", "whole"))
        assert fine <= part <= whole


def test_regions_hold_the_click_and_stay_on_its_shell():
    two = join(moved(dumbbell(2), (-0.5, 0, 0), 0.3), moved(sphere(2), (0.5, 0, 0), 0.3))
    surface = measure_surface(two.vertices, two.faces)
    for vertex in (3, 170, 200, 300):
        found = find_candidates(surface, vertex, surface.fields(vertex))
        assert found.regions[:, vertex].all()
        assert not found.regions[:, surface.shells != surface.shells[vertex]].any()
        assert (found.regions == (surface.shells == surface.shells[vertex])).all(axis=1).any()  # the whole shell is one
        assert np.allclose(found.areas, found.regions @ surface.mass)


def test_a_single_triangle_is_its_own_part():
    surface = measure_surface(np.eye(3), np.array([[0, 1, 2]], dtype=np.int32))
    assert find_candidates(surface, 1, surface.fields(1)).pick().all()
