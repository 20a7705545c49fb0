"""The order of the clicks: it counts, and no order ruins the answer."""

import itertools

import numpy as np
import pytest
from support.shapes import on_vertices, sphere

import iseg_core as iseg
from iseg_core.parts.sequences import AS_MADE, ORDER, propose_parts


def horned(count: int = 4) -> tuple[iseg.Mesh, list[int]]:
    """Ball with like horns, and their tips."""
    ball = sphere(4)
    directions = ball.vertices / np.linalg.norm(ball.vertices, axis=1)[:, None]  # [V, 3]
    angles = np.arange(count) * 2 * np.pi / count + 0.3
    axes = np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], axis=1)  # [n, 3]
    height = 0.9 * np.exp(-((np.arccos(np.clip(directions @ axes.T, -1, 1)) / 0.25) ** 2)).sum(axis=1)  # [V]
    mesh = iseg.Mesh(directions * (1 + height)[:, None], ball.faces)
    return mesh, (directions @ axes.T).argmax(axis=0).tolist()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_includes_on_like_parts_say_the_same_in_any_order(count):
    mesh, tips = horned()
    segmenter = iseg.instant(mesh)
    answers = [segmenter.segment(positive=order) >= 0.5 for order in itertools.permutations(tips[:count])]
    assert all(np.array_equal(answers[0], answer) for answer in answers)
    single = sum((segmenter.segment(positive=[tip]) >= 0.5).sum() for tip in tips[:count])
    assert 0.7 * single < answers[0].sum() < 1.5 * single  # all of them, and no ball between


def test_an_exclude_takes_a_part_away_whole():
    mesh, tips = horned()
    segmenter = iseg.instant(mesh)
    horn = segmenter.segment(positive=tips[1:2]) >= 0.5
    everything = segmenter.segment(positive=tips[:1], granularity=1.0) >= 0.5
    left = segmenter.segment([(tips[0], True), (tips[1], False)], granularity=1.0) >= 0.5
    assert everything.all() and left[horn].mean() < 0.1 and left[~horn].mean() > 0.9


def test_the_order_that_explains_the_clicks_is_taken_whichever_way_they_were_made():
    """A click on a horn's tip, and an exclude at its foot: made the other way round."""
    mesh, tips = horned(2)
    segmenter = iseg.instant(mesh)
    part = segmenter.segment(positive=[tips[0]]) >= 0.5
    base = np.flatnonzero(part)[np.argsort(mesh.vertices[part] @ mesh.vertices[tips[0]])[0]]  # at the horn's foot
    made = [(tips[0], True), (int(base), False)]
    assert np.array_equal(segmenter.segment(made), segmenter.segment(made[::-1]))


def test_undo_gives_the_same_answer_though_the_order_is_another():
    mesh, tips = horned(3)
    rng = np.random.default_rng(2)
    clicks = on_vertices(*((int(v), bool(rng.random() < 0.6)) for v in rng.permutation(len(mesh.vertices))[:5]))
    finder = iseg.instant(mesh)._finder.finder(0)
    answers, fresh = propose_parts(finder), propose_parts(finder)
    clicks = tuple(type(c)(c.vertex % finder.surface.vertex_count, c.include) for c in clicks)
    before = [answers.answer(clicks[:k]).copy() for k in range(1, 6)]
    for k in reversed(range(1, 6)):
        assert np.array_equal(answers.answer(clicks[:k]), before[k - 1])
        assert np.array_equal(fresh.answer(clicks[:k]), before[k - 1])


def test_as_made_takes_no_other_order():
    mesh, tips = horned(2)
    finder = iseg.instant(mesh)._finder.finder(0)
    answers = propose_parts(finder, AS_MADE)
    clicks = on_vertices((3, True), (40, True), (90, False))
    assert answers._order(clicks) == clicks


def test_includes_on_like_parts_have_one_order_and_others_their_own():
    mesh, tips = horned()
    segmenter = iseg.instant(mesh)
    finder, proxy = segmenter._finder.finder(0), segmenter.model.proxy
    answers, like = propose_parts(finder), [proxy.nearest_to(tip) for tip in tips[:3]]
    orders = {answers._order(on_vertices(*((v, True) for v in order))) for order in itertools.permutations(like)}
    assert len(orders) == 1


def test_another_order_is_taken_only_where_it_explains_the_clicks_far_better():
    mesh, _ = horned()
    finder = iseg.instant(mesh)._finder.finder(0)
    answers, rng, changed = propose_parts(finder), np.random.default_rng(0), 0
    for _ in range(60):
        made = on_vertices(*((int(v), True) for v in rng.choice(finder.surface.vertex_count, 2, replace=False)))
        if answers._of_like_parts(made) is None and answers._order(made) != made:
            changed += 1
            assert answers._doubt(made[::-1]) <= answers._doubt(made) - ORDER.margin
    assert changed
