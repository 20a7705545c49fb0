"""Held-back clicks: none of them is trained on, and the agreement is the IoU with what the teacher said of them."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from iseg_core.clicks.click import VertexClick
from iseg_core.training.held_back import EVERY, agreement, hold_back
from iseg_core.training.observations import Observations

COUNT = 30


def observations() -> Observations:
    singles = [(VertexClick(v, True),) for v in range(20)]
    pairs = [(VertexClick(v, True), VertexClick(v + 1, v % 2 == 0)) for v in range(19)]
    sets = singles + pairs
    rng = np.random.default_rng(0)
    seen = rng.integers(1, 5, (len(sets), 3, COUNT)).astype(np.float32)
    inside = (seen * (np.arange(COUNT) < 15)).astype(np.float32)
    return Observations(sp.csr_matrix((COUNT, COUNT)), np.zeros((COUNT, 2)), 0.0, 1, sets, inside, seen)


def test_no_click_set_that_begins_with_a_held_back_vertex_is_trained_on():
    whole = observations()
    kept, held = hold_back(whole)
    assert len(held.click_sets) == len(range(EVERY // 2, 20, EVERY)) and all(len(c) == 1 for c in held.click_sets)
    vertices = {clicks[0].vertex for clicks in held.click_sets}
    assert all(clicks[0].vertex not in vertices for clicks in kept.click_sets)
    assert {c for c in whole.click_sets if c[0].vertex not in vertices} == set(kept.click_sets)
    for some in (kept, held):
        for clicks, inside in zip(some.click_sets, some.inside, strict=True):
            assert np.array_equal(inside, whole.inside[whole.click_sets.index(clicks)])


class Saying(torch.nn.Module):
    """Decoder that says the same of every click."""

    def __init__(self, region: np.ndarray):
        super().__init__()
        self.logits = torch.where(torch.from_numpy(region), 4.0, -4.0)[None]  # [1, P]

    def precompute(self, features):
        return features

    def decode(self, prepared, clicked, signs, granularity):
        assert granularity.tolist() == [1] and signs.tolist() == [[1]]  # as a part, included
        return self.logits


@pytest.mark.parametrize(("last", "expected"), [(15, 1.0), (30, 0.5), (5, 1 / 3)])
def test_agreement_is_the_iou_with_what_the_teacher_said(last, expected):
    _, held = hold_back(observations())
    features = torch.zeros((COUNT, 2))
    decoder = Saying(np.arange(COUNT) < last)
    assert agreement(decoder, features, held) == pytest.approx(expected)  # pyright: ignore[reportArgumentType]


def test_vertices_that_no_view_showed_do_not_count():
    _, held = hold_back(observations())
    held.seen[:, :, 20:] = 0
    decoder = Saying(np.arange(COUNT) < 30)
    assert agreement(decoder, torch.zeros((COUNT, 2)), held) == pytest.approx(0.75)  # pyright: ignore[reportArgumentType]
    held.seen[:] = 0
    assert agreement(decoder, torch.zeros((COUNT, 2)), held) is None  # pyright: ignore[reportArgumentType]
