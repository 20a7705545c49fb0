"""Candidates of a click."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shapes import bottom, dumbbell, join, moved, sphere, top

from iseg_core.parts.candidates import (
    CandidateSettings,
    PartFinder,
    border_energy,
    by_closeness,
    cheapest,
    find_candidates,
    lowest_within,
    region_score,
    sweep,
)
from iseg_core.parts.measure import measure
from iseg_core.parts.surface import Surface


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
    members = rng.permutation(surface.vertex_count)[: rng.integers(1, surface.vertex_count + 1)]
    orders, ranks = by_closeness(rng.random((2, surface.vertex_count)), members)
    got = sweep(surface, orders, ranks, region)
    for order, costs in zip(orders, got, strict=True):
        flipped = region.copy()
        for vertex, cost in zip(order, costs, strict=True):
            flipped[vertex] ^= True
            assert cost == pytest.approx(surface.cut(flipped), abs=1e-9)


def test_closest_first_and_others_last():
    order, ranks = by_closeness(np.array([[0.1, 0.9, 0.5, 0.5], [0.9, 0.1, 0.2, 0.3]]), np.array([1, 2, 3]))
    assert order.tolist() == [[1, 2, 3], [3, 2, 1]]
    assert ranks.tolist() == [[3, 0, 1, 2], [3, 2, 1, 0]]


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.lists(
            st.lists(st.tuples(st.integers(0, 64), st.sampled_from([0.0, 0.5, 1.0, np.inf])), min_size=n, max_size=n),
            min_size=1,
            max_size=3,
        )
    )
)
def test_the_lowest_within_a_window(rows):
    place = np.array([sorted(p for p, _ in row) for row in rows]) / 64  # [T, n] never exactly 0.1 apart
    energy = np.array([[e for _, e in row] for row in rows])  # [T, n]
    near = np.abs(place[:, :, None] - place[:, None]) <= 0.1  # [T, n, n]
    lowest = np.where(near, energy[:, None], np.inf).min(axis=2)  # [T, n]
    found = lowest_within(place, energy, 0.1)
    assert np.array_equal(found, np.nonzero((energy <= lowest) & np.isfinite(energy)))


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.0, 1.0, 2.0])), max_size=20), st.integers(1, 3))
def test_the_cheapest_of_each_row(entries, count):
    rows = np.array(sorted(row for row, _ in entries), dtype=int)
    cost = np.array([c for _, c in entries])
    expected = [
        k for row in range(4) for k in sorted(np.flatnonzero(rows == row), key=lambda k: cost[k])[:count]
    ]  # sorted() is stable
    assert cheapest(rows, cost, count).tolist() == expected


def test_a_region_and_its_complement_have_the_same_energy():
    area = np.array([0.1, 0.4])
    assert np.allclose(border_energy(np.ones(2), area), border_energy(np.ones(2), 1 - area))


@pytest.mark.parametrize("end", [top, bottom])
def test_one_click_on_a_ball_takes_the_ball(end):
    mesh = dumbbell()
    finder = PartFinder(measure(mesh.vertices / 2, mesh.faces).whole)
    part = finder.candidates(end(mesh)).pick()
    side = np.sign(mesh.vertices[end(mesh), 2])
    wanted = mesh.vertices[:, 2] * side > 0
    assert (part & wanted).sum() / (part | wanted).sum() > 0.95


def test_regions_hold_the_click_and_stay_on_its_shell():
    two = join(moved(dumbbell(2), (-0.5, 0, 0), 0.3), moved(sphere(2), (0.5, 0, 0), 0.3))
    surface = measure(two.vertices, two.faces).whole
    for vertex in (3, 170, 200, 300):
        found = find_candidates(surface, vertex, surface.fields(vertex))
        assert found.regions[:, vertex].all()
        assert not found.regions[:, surface.components != surface.components[vertex]].any()
        assert (
            (found.regions == (surface.components == surface.components[vertex])).all(axis=1).any()
        )  # all of it is one
        assert np.allclose(found.areas, found.regions @ surface.mass)


def test_a_single_triangle_is_its_own_part():
    surface = measure(np.eye(3), np.array([[0, 1, 2]], dtype=np.int32)).whole
    assert find_candidates(surface, 1, surface.fields(1)).pick().all()


def test_settings_of_ones_own_change_what_is_a_candidate():
    mesh = dumbbell()
    surface = measure(mesh.vertices / 2, mesh.faces).whole
    usual, own = PartFinder(surface), PartFinder(surface, CandidateSettings(per_field=1, area_range=(0.2, 0.9)))
    found = own.candidates(top(mesh))
    assert len(found.regions) < len(usual.candidates(top(mesh)).regions)
    pieces = found.areas[found.areas < 0.999]  # all but the shell
    assert len(pieces) and ((pieces > 0.2) & (pieces < 0.9)).all()
    prior = CandidateSettings(size_prior=0.0)
    area = np.array([0.1, 0.4])
    assert np.array_equal(region_score(np.ones(2), area, prior), border_energy(np.ones(2), area))
