"""Later clicks correct the answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shapes import bottom, dumbbell, join, moved, on_vertices, sphere, top

import iseg_core as iseg
from iseg_core.clicks.click import VertexClick
from iseg_core.parts.candidates import PartFinder
from iseg_core.parts.corrections import (
    CorrectionSettings,
    Step,
    StudentWord,
    correct,
    expected_change,
    remove_crumbs,
)
from iseg_core.parts.ladder import Ladder
from iseg_core.parts.measure import measure
from iseg_core.parts.sequences import Corrections, propose_parts

MESH = dumbbell()
FINDER = PartFinder(measure(MESH.vertices / 2, MESH.faces).whole)
COUNT = len(MESH.vertices)
TOP, BOTTOM = top(MESH), bottom(MESH)
sequences = st.lists(
    st.tuples(st.integers(0, COUNT - 1), st.booleans()), min_size=1, max_size=6, unique_by=lambda click: click[0]
).map(lambda pairs: on_vertices(*pairs))


@settings(max_examples=40)
@given(sequences)
def test_every_click_is_honoured(clicks):
    region = propose_parts(FINDER).answer(clicks)
    if any(include for _, include in clicks):
        assert all(region[v] == include for v, include in clicks)
    else:
        assert not region.any()


@settings(max_examples=20)
@given(sequences, sequences)
def test_undo_gives_back_the_very_same_answer(clicks, others):
    answers = propose_parts(FINDER)
    before = [answers.answer(clicks[:k]).copy() for k in range(1, len(clicks) + 1)]
    answers.answer(others)
    fresh = propose_parts(FINDER)
    for k, expected in reversed(list(enumerate(before, start=1))):
        assert np.array_equal(answers.answer(clicks[:k]), expected)
        assert np.array_equal(fresh.answer(clicks[:k]), expected)


def test_a_second_click_adds_the_other_ball_and_a_third_takes_it_back():
    answers = propose_parts(FINDER)
    both = answers.answer(on_vertices((TOP, True), (BOTTOM, True)))
    assert FINDER.surface.mass[both].sum() > 0.95
    back = answers.answer(on_vertices((TOP, True), (BOTTOM, True), (int(MESH.vertices[:, 0].argmin()), False)))
    assert FINDER.surface.mass[back].sum() < FINDER.surface.mass[both].sum()


def test_a_click_where_the_answer_is_right_changes_nothing():
    region = MESH.vertices[:, 2] > 0
    clicks = on_vertices((TOP, True), (BOTTOM, False))
    assert correct(FINDER, [Step(region, clicks[1])], clicks) is region


def test_exclusions_before_the_first_inclusion_count():
    region = propose_parts(FINDER).answer(on_vertices((BOTTOM, False), (TOP, True)))
    assert region[TOP] and not region[BOTTOM]


def test_corrections_stay_on_the_shell_of_the_click():
    two = join(moved(dumbbell(2), (-0.5, 0, 0), 0.3), moved(sphere(2), (0.5, 0, 0), 0.3))
    surface = measure(two.vertices, two.faces).whole
    region = np.zeros(surface.vertex_count, dtype=bool)
    region[surface.components == surface.components[0]] = True
    clicks = on_vertices((0, True), (200, True))
    after = correct(PartFinder(surface), [Step(region, clicks[1])], clicks)
    assert after[200] and after[surface.components == surface.components[0]].all()


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ([0, 1, 2], [0, 1, 2]),  # takes over
        ([2], [0, 2]),  # leaves out what an earlier click includes
        ([0, 2], [0, 2]),  # what the growth found already
        ([0, 1, 2, 3], [0, 2]),  # too large to be meant
    ],
)
def test_a_students_region_may_take_over_as_any_other_where_it_honours_the_clicks(late, expected):
    balls = join(*(moved(sphere(2), (3 * k, 0, 0)) for k in range(4)))
    surface = measure(balls.vertices / 10, balls.faces).whole
    first, second = (int(np.flatnonzero(surface.components == k)[0]) for k in (0, 2))
    clicks = on_vertices((first, True), (second, True))
    steps = [Step(np.zeros_like(surface.components, dtype=bool), clicks[0]), Step(surface.components == 0, clicks[1])]
    region, finder = np.isin(surface.components, late), PartFinder(surface)
    after = correct(finder, steps, clicks, student=StudentWord(lambda: region))
    assert np.unique(surface.components[after]).tolist() == expected
    assert np.array_equal(after, correct(finder, steps, clicks, rivals=region[None]))


@pytest.mark.parametrize(("first", "second"), [(30, 151), (159, 279), (TOP, BOTTOM), (300, 40)])
def test_a_students_region_that_is_known_already_changes_nothing(first, second):
    found = FINDER.candidates(first)
    clicks = on_vertices((first, True), (second, not found.pick()[second]))
    steps = [Step(np.zeros(COUNT, dtype=bool), clicks[0]), Step(found.pick(), clicks[1])]
    expected = correct(FINDER, steps, clicks, found.regions)
    for region in found.regions:
        assert np.array_equal(correct(FINDER, steps, clicks, found.regions, StudentWord(lambda r=region: r)), expected)


def change(surface, region, vertex: int, include: bool) -> float:
    return expected_change(surface, region, VertexClick(vertex, include), surface.distances(vertex))


def test_expected_change_is_a_disc_of_the_clicks_depth():
    near = int(np.abs(MESH.vertices[:, 2] - 0.3).argmin())
    region = MESH.vertices[:, 2] > 0
    changes = [change(FINDER.surface, region, v, False) for v in (TOP, near)]
    assert 0 < changes[1] < changes[0] <= 4
    everything = np.ones(COUNT, dtype=bool)
    assert change(FINDER.surface, everything, TOP, False) == FINDER.surface.mass.sum()


def test_a_vertex_without_faces_can_be_included_and_excluded():
    lone = np.vstack([MESH.vertices / 2, [[0.9, 0.0, 0.0]]])
    surface = measure(lone, MESH.faces).whole
    assert change(surface, np.zeros(COUNT + 1, dtype=bool), COUNT, True) > 0
    answers = propose_parts(PartFinder(surface))
    both = answers.answer(on_vertices((TOP, True), (COUNT, True)))
    assert both[TOP] and both[COUNT]
    assert not answers.answer(on_vertices((TOP, True), (COUNT, True), (5, True), (COUNT - 1, False)))[COUNT - 1]


def test_crumbs_go_clicked_ones_and_whole_shells_stay():
    region = MESH.vertices[:, 2] > 0
    crumb = bottom(MESH)
    region[crumb] = True
    assert not remove_crumbs(FINDER.surface, region, [])[crumb]
    assert remove_crumbs(FINDER.surface, region, on_vertices((crumb, True)))[crumb]
    two = join(moved(sphere(3), (-0.4, 0, 0), 0.5), moved(sphere(1), (0.5, 0, 0), 0.02))
    surface = measure(two.vertices, two.faces).whole
    small = surface.components == surface.components[-1]
    assert remove_crumbs(surface, small, [])[small].all()


def test_settings_of_ones_own_change_the_correction():
    clicks = (VertexClick(TOP, True), VertexClick(int(np.abs(MESH.vertices[:, 2] - 0.3).argmin()), False))

    def changed(own: CorrectionSettings) -> float:
        half = MESH.vertices[:, 2] > 0
        one = Ladder(half[None], np.array([0.5]))
        answers = Corrections(FINDER, lambda _: half, lambda _: one, settings=own)
        return float(FINDER.surface.mass[answers.answer(clicks[:1]) & ~answers.answer(clicks)].sum())

    large = CorrectionSettings(area_per_depth=40.0, size_prior=(50.0,))
    assert 0 < changed(CorrectionSettings()) < changed(large)


def test_a_second_include_adds_its_part_and_not_what_lies_between():
    """Two blunt ears of a ball, in either order: both, and nearly nothing of the ball."""
    ball = sphere(4)
    directions = ball.vertices / np.linalg.norm(ball.vertices, axis=1)[:, None]  # [V, 3]
    towards = directions @ np.array([[1.0, 0, 1], [-1, 0, 1]]).T / np.sqrt(2)  # [V, 2] cosine of the angle to each ear
    height = 0.3 * np.exp(-((np.arccos(np.clip(towards, -1, 1)) / 0.4) ** 2)).sum(axis=1)  # [V]
    segmenter = iseg.instant(iseg.Mesh(directions * (1 + height)[:, None], ball.faces))
    tips = towards.argmax(axis=0).tolist()
    one, other = (segmenter.segment(positive=[tip]) >= 0.5 for tip in tips)
    for order in (tips, tips[::-1]):
        both = segmenter.segment(positive=order) >= 0.5
        assert (both & (one | other)).sum() > 0.95 * (one | other).sum()
        assert (both & ~(one | other)).mean() < 0.05  # how far up an ear reaches is no sharp line


def test_an_exclude_leaves_much_of_what_was_there():
    """Of a dumbbell it takes a ball; less, where leaving a half of it is dear."""
    clicks, everything = on_vertices((TOP, True), (BOTTOM, False)), np.ones(COUNT, dtype=bool)
    steps = [Step(np.zeros(COUNT, dtype=bool), clicks[0]), Step(everything, clicks[1])]
    left = [
        FINDER.surface.mass @ correct(FINDER, steps, clicks, settings=CorrectionSettings(kept=kept, kept_share=0.9))
        for kept in (0.0, 30.0)
    ]
    assert left[0] < 0.55 and left[1] > 0.7


def test_where_no_border_tells_the_size_of_an_error_it_counts_less():
    """All of a ball is the region: how much an exclude takes is not what a hemisphere would be."""
    clicks = on_vertices((TOP, True), (BOTTOM, False))
    everything = np.ones(COUNT, dtype=bool)
    steps = [Step(np.zeros(COUNT, dtype=bool), clicks[0]), Step(everything, clicks[1])]
    taken = [
        FINDER.surface.mass
        @ ~correct(FINDER, steps, clicks, settings=CorrectionSettings(unknown=unknown, size_prior=(9.0,)))
        for unknown in (0.0, 1.0)
    ]
    assert taken[0] < taken[1]


def test_like_parts_are_an_answer_though_the_region_is_another():
    """Two horns were clicked; of the first one only the tip was taken."""
    ball = sphere(4)
    directions = ball.vertices / np.linalg.norm(ball.vertices, axis=1)[:, None]  # [V, 3]
    height = 0.9 * np.exp(-((np.arccos(np.clip(np.abs(directions[:, 0]), 0, 1)) / 0.25) ** 2))  # [V]
    points = directions * (1 + height)[:, None]
    finder = PartFinder(measure(points / 2, ball.faces).whole)
    tips = int(points[:, 0].argmax()), int(points[:, 0].argmin())
    clicks = on_vertices((tips[0], True), (tips[1], True))
    region = points[:, 0] > 1.6  # the tip of a horn
    steps = [Step(np.zeros_like(region), clicks[0]), Step(region, clicks[1])]
    both = correct(finder, steps, clicks)
    horns = [both & (points[:, 0] * sign > 0) for sign in (1, -1)]
    assert 0.7 < horns[0].sum() / horns[1].sum() < 1.4
