"""The field, the attention and the decoder: their sizes, and what their answers must not depend on."""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from iseg_core.network import REACH, Decoder, FeatureField, InteractiveAttention
from iseg_core.training.batches import pad
from iseg_core.training.settings import get_settings

DIM, COUNT = 12, 30
close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)

Clicks = list[tuple[int, bool]]
click_lists = st.lists(st.tuples(st.integers(0, COUNT - 1), st.booleans()), min_size=1, max_size=7)
scales = st.integers(0, 2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


FEATURES = torch.randn(COUNT, DIM, generator=seeded(1))  # [N, d]


def make_decoder(seed: int = 0) -> Decoder:
    """Untrained, but with answers that vary: a network's first layers hardly look at the clicks."""
    decoder = Decoder(DIM, (24, 16), seeded(seed))
    with torch.no_grad():
        for parameter in decoder.attention.parameters():
            parameter.mul_(4)
    return decoder.eval()


DECODER = make_decoder()


@torch.no_grad()
def answer(clicks: Clicks, scale: int = 1, features: Tensor = FEATURES) -> Tensor:
    """Logits of one click set. [N]"""
    vertices, signs, scales = pad([tuple(clicks)], [scale])
    return DECODER(features, features[vertices], signs, scales)[0]


def parameter_count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@given(click_lists, scales, st.randoms(use_true_random=False))
def test_the_order_of_the_clicks_does_not_matter(clicks, scale, random):
    shuffled = random.sample(clicks, len(clicks))
    close(answer(shuffled, scale), answer(clicks, scale))


@given(click_lists, scales, st.integers(0, 1000))
def test_reordered_vertices_give_the_same_answers_reordered(clicks, scale, seed):
    order = torch.randperm(COUNT, generator=seeded(seed))  # [N] new place -> old vertex
    place = order.argsort()  # [N] old vertex -> new place
    moved = [(int(place[v]), positive) for v, positive in clicks]
    close(answer(moved, scale, FEATURES[order]), answer(clicks, scale)[order])


@given(click_lists, scales, st.sets(st.integers(0, COUNT - 1), min_size=1))
def test_a_vertex_answers_alike_whatever_other_vertices_are_asked(clicks, scale, some):
    chosen = torch.tensor(sorted(some))  # [n]
    vertices, signs, scales = pad([tuple(clicks)], [scale])
    with torch.no_grad():
        few = DECODER(FEATURES[chosen], FEATURES[vertices], signs, scales)[0]  # [n]
    close(few, answer(clicks, scale)[chosen])


@given(click_lists, scales, st.integers(2, 4))
def test_clicks_repeated_equally_often_change_nothing(clicks, scale, times):
    close(answer(clicks * times, scale), answer(clicks, scale))


@given(st.lists(st.tuples(click_lists, scales), min_size=2, max_size=5))
def test_sets_in_one_batch_answer_as_each_alone(sets):
    clicks, scale = zip(*sets, strict=True)
    vertices, signs, scale = pad([tuple(c) for c in clicks], scale)
    with torch.no_grad():
        together = DECODER(FEATURES, FEATURES[vertices], signs, scale)  # [K, N]
    for row, alone in zip(together, sets, strict=True):
        close(row, answer(*alone))


@given(click_lists, scales)
def test_padding_is_not_looked_at(clicks, scale):
    vertices, signs, scales = pad([tuple(clicks)], [scale])
    features = torch.cat([FEATURES[vertices], torch.full((1, 2, DIM), 1e3)], dim=1)  # [1, n + 2, d]
    signs = torch.cat([signs, torch.zeros(1, 2, dtype=torch.int64)], dim=1)  # [1, n + 2]
    with torch.no_grad():
        for run in (DECODER, lambda f, *clicked: DECODER.decode(DECODER.precompute(f), *clicked)):
            close(run(FEATURES, features, signs, scales)[0], answer(clicks, scale))


@settings(max_examples=40)
@given(st.lists(st.tuples(click_lists, scales), min_size=1, max_size=4), st.integers(0, 5), st.booleans())
def test_the_cheap_way_gives_the_answer_of_the_equations(sets, seed, own_vertices):
    clicks, scale = zip(*sets, strict=True)
    vertices, signs, scale = pad([tuple(c) for c in clicks], scale)
    decoder = make_decoder(seed)
    points = torch.randn(len(sets), 9, DIM, generator=seeded(seed)) if own_vertices else FEATURES  # [K, 9, d] or [N, d]
    with torch.no_grad():
        exact = decoder(points, FEATURES[vertices], signs, scale)  # [K, N]
        cheap = decoder.decode(decoder.precompute(points), FEATURES[vertices], signs, scale)  # [K, N]
    assert exact.shape == (len(sets), 9 if own_vertices else COUNT)
    close(cheap, exact)


def test_the_attention_is_that_of_equations_4_and_5():
    attention = InteractiveAttention(DIM, seeded(2))
    clicks = [(3, True), (0, False), (8, True), (8, False)]
    vertices, signs, scale = pad([tuple(clicks)], [2])
    with torch.no_grad():
        found = attention(FEATURES, FEATURES[vertices], signs, scale)[0]  # [N, d]
        for i in range(COUNT):
            query = attention.query(FEATURES[i])  # [d]
            scores, values = [], []
            for vertex, positive in clicks:
                feature = FEATURES[vertex] + attention.scale[2]  # [d]
                scores.append(torch.exp(query @ attention.key[int(positive)](feature) / DIM**0.5))
                values.append(attention.value[int(positive)](feature))
            wanted = sum(s * v for s, v in zip(scores, values, strict=True)) / sum(scores)
            close(found[i], wanted)


def test_a_set_of_exclusions_only_is_answered():
    logits = answer([(4, False), (9, False)])
    assert torch.isfinite(logits).all()
    assert not torch.allclose(logits, answer([(4, True), (9, True)]), atol=1e-3)


@pytest.mark.parametrize("vertex", [0, 1, COUNT - 1])
def test_every_vertex_vertex_0_too_can_be_excluded(vertex):
    included, excluded = answer([(vertex, True)]), answer([(vertex, False)])
    assert not torch.allclose(included, excluded, atol=1e-3)
    other = (vertex + 5) % COUNT
    assert not torch.allclose(
        answer([(other, True), (vertex, True)]), answer([(other, True), (vertex, False)]), atol=1e-3
    )


@given(st.booleans(), scales)
def test_a_sign_is_not_read_from_the_number_of_the_vertex(positive, scale):
    """Vertex 0 with the feature of vertex 7 answers as vertex 7 does."""
    features = FEATURES.clone()
    features[0] = FEATURES[7]
    close(answer([(0, positive)], scale, features), answer([(7, positive)], scale, features))


def test_click_sets_become_signs_beside_numbers():
    vertices, signs, scale = pad([((0, False),), ((5, True), (0, True), (2, False))], [0, 2])
    assert vertices.tolist() == [[0, 0, 0], [5, 0, 2]]
    assert signs.tolist() == [[-1, 0, 0], [1, 1, -1]]
    assert scale.tolist() == [0, 2]


def test_the_scale_changes_the_answer_of_one_click_too():
    answers = [answer([(6, True)], scale) for scale in range(3)]
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert (answers[a] - answers[b]).abs().max() > 1e-2


def test_the_field_is_whole_in_its_state():
    points = torch.randn(20, 3, generator=seeded(3)) * 0.5  # [N, 3]
    field, other = (FeatureField(DIM, 16, 2, 8, generator=seeded(seed)) for seed in (0, 1))
    field.unit.fill_(3.5)
    state = field.state_dict()
    assert state["frequencies"].shape == (3, 8) and state["unit"] == 3.5
    assert not torch.equal(other(points), field(points))
    other.load_state_dict(state)
    assert torch.equal(other(points), field(points)) and other.unit == 3.5


def test_the_field_is_a_tanh_of_an_mlp_on_fourier_features():
    field = FeatureField(DIM, 16, 2, 8, sigma=2.0, generator=seeded(0))
    points = torch.randn(20, 3, generator=seeded(3))  # [N, 3]
    phase = 2 * torch.pi * points @ field.frequencies  # [N, 8]
    x = torch.cat([points, torch.sin(phase), torch.cos(phase)], dim=1)  # [N, 19]
    linear = [m for m in field.mlp.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(19, 16), (16, 16), (16, DIM)]
    for layer in linear[:-1]:
        x = nn.functional.layer_norm(torch.relu(layer(x)), (16,))  # [N, 16]
    close(field(points), REACH * torch.tanh(linear[-1](x)))
    assert field(100 * points).abs().max() <= REACH


def test_frequencies_have_the_spread_that_was_asked():
    for sigma in (1.0, 5.0):
        frequencies = FeatureField(4, frequencies=4000, sigma=sigma, generator=seeded(0)).frequencies  # [3, 4000]
        assert abs(float(frequencies.std()) / sigma - 1) < 0.03 and abs(float(frequencies.mean())) < 0.05 * sigma


@pytest.mark.parametrize("make", [lambda g: FeatureField(8, generator=g), lambda g: Decoder(8, (16, 16), g)])
def test_a_network_is_drawn_from_its_generator_alone(make):
    torch.manual_seed(0)
    one = make(seeded(5)).state_dict()
    torch.manual_seed(1)
    two = make(seeded(5)).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    other = make(seeded(6)).state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_paper_preset_has_the_papers_sizes():
    paper = get_settings("paper")
    field = FeatureField(256, paper.field_width, paper.field_layers, paper.fourier_frequencies, paper.fourier_sigma)
    decoder = Decoder(256, paper.decoder_widths)
    assert parameter_count(field) == 463_616
    assert parameter_count(decoder.attention) == 328_960 + 3 * 256  # and the embedding of the scale
    assert parameter_count(decoder.hidden, decoder.output) == 1_257_986
    assert field.frequencies.shape == (3, 256)


def test_reduced_precision_does_not_blur_the_waves_of_the_field():
    generator = torch.Generator().manual_seed(0)
    field, points = FeatureField(8, generator=generator), torch.randn(200, 3, generator=generator)
    points /= points.norm(dim=1, keepdim=True)  # [N, 3]
    with torch.no_grad():
        plain = field(points)  # [N, d]
        with torch.autocast("cpu", torch.bfloat16):
            reduced = field(points).float()  # [N, d]
    assert (plain - reduced).norm() < 0.02 * plain.norm()  # 0.24 where the phases are rounded, too
