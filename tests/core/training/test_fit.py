"""Fits: their losses are the paper's, their gradients are right, and something is learned."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs import run_on, telling
from support.shapes import dumbbell, tiny_settings
from torch import Tensor

from iseg_core.bench.oracle import Noise, NoisyOracle
from iseg_core.clicks.click import VertexClick
from iseg_core.errors import SettingsError
from iseg_core.network import Decoder, FeatureField
from iseg_core.storage.prepare import prepare
from iseg_core.training.batches import Ahead, ViewBatches, VoteBatches, pad
from iseg_core.training.fit import (
    FieldLoss,
    decoder_gradients,
    fit_decoder,
    fit_field,
    fit_joint,
    least_squares_features,
)
from iseg_core.training.observations import Observations
from iseg_core.training.observe import observe
from iseg_core.training.optimizer import Descent
from iseg_core.training.run import Run

SHORT = tiny_settings(views=8, click_range=(16, 16), second_clicks=1, fourier_frequencies=32, field_batch=128)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The tensors here are tiny: more threads than free cores only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def taught() -> SimpleNamespace:
    """A dumbbell whose two balls an oracle without noise knows."""
    model = prepare(dumbbell(3), 1000)
    vertices, faces = model.proxy.vertices, model.proxy.faces  # [P, 3], [F, 3]
    labels = (vertices[:, 2] > 0).astype(int)  # [P]
    teacher = NoisyOracle(model, labels, noise=Noise(0, 0, 0, 8, 0.3), resolution=32)
    run = run_on(vertices, faces, teacher, SHORT)
    observations = observe(replace(run, objective="rendered"))  # which keeps the views
    return SimpleNamespace(
        run=run, vertices=vertices, labels=labels, observations=observations, views=observations.views
    )


def with_settings(run: Run, **changes) -> Run:
    return replace(run, settings=replace(run.settings, **changes))


def small(seed: int, vertices: int = 6, pixels: int = 40, dim: int = 3) -> tuple[Observations, np.ndarray, np.ndarray]:
    """Random field sums, with the stacked B [n, P] and targets [n, d] that they are of."""
    import scipy.sparse as sp

    rng = np.random.default_rng(seed)
    corners = np.stack([rng.choice(vertices, 3, replace=False) for _ in range(pixels)])  # [n, 3]
    B = np.zeros((pixels, vertices))  # [n, P]
    np.put_along_axis(B, corners, rng.dirichlet([1, 1, 1], pixels), axis=1)
    target = rng.standard_normal((pixels, dim))  # [n, d]
    none = np.zeros((0, 3, vertices), dtype=np.float32)  # [0, 3, P]
    A = sp.csr_matrix(B.T @ B)
    return Observations(A, B.T @ target, float((target**2).sum()), pixels, [], none, none), B, target


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(0.01, 10))
def test_least_squares_features_are_the_minimiser(seed, ridge):
    observations, B, target = small(seed)
    weight = ridge * (B**2).sum(axis=0)  # [P]
    weight = np.maximum(weight, 0.01 * weight.mean())  # vertices that are only grazed
    found = torch.tensor(least_squares_features(observations, ridge), requires_grad=True)  # [P, d]
    error = torch.from_numpy(B) @ found - torch.from_numpy(target)  # [n, d]
    loss = error.square().sum() + (torch.from_numpy(weight)[:, None] * found.square()).sum()
    loss.backward()
    assert found.grad is not None and found.grad.abs().max() < 1e-8 * (1 + float(loss.detach()))


def test_an_unseen_vertex_has_the_feature_zero():
    observations, _, _ = small(0)
    wider = Observations(
        observations.A.copy(),
        np.vstack([observations.b, np.zeros((1, 3))]),
        1.0,
        1,
        [],
        observations.inside,
        observations.inside,
    )
    wider.A.resize((7, 7))
    features = least_squares_features(wider, 0.5)
    assert np.isfinite(features).all() and (features[6] == 0).all()


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.floats(1e-2, 1e2))
def test_the_loss_over_all_views_is_that_of_the_pixels_and_so_is_its_gradient(seed, size):
    observations, B, target = small(seed)
    f = torch.randn(6, 3, generator=seeded(seed), dtype=torch.float64) * size  # [P, d]
    ours, theirs = (f.clone().requires_grad_() for _ in range(2))
    loss = FieldLoss(observations)(ours)
    rendered = (torch.from_numpy(B) @ theirs - torch.from_numpy(target)).square().mean()
    assert np.isclose(loss.item(), rendered.item(), rtol=1e-6)
    (3 * loss).backward()
    (3 * rendered).backward()
    assert ours.grad is not None and theirs.grad is not None
    assert (ours.grad - theirs.grad).norm() <= 1e-6 * theirs.grad.norm()


def test_the_gradient_of_the_field_loss_equals_finite_differences():
    observations, _, _ = small(1)
    f = torch.randn(6, 3, generator=seeded(1), dtype=torch.float64).requires_grad_()  # [P, d]
    assert torch.autograd.gradcheck(FieldLoss(observations), (f,))


@pytest.mark.parametrize("ridge", [0.5, 0.0])
def test_the_field_comes_close_to_its_optimum(taught, ridge):
    run = with_settings(taught.run, ridge=ridge, field_steps=100, field_rate=1e-2, fourier_sigma=1.0)
    points = torch.as_tensor(taught.vertices, dtype=torch.float32)  # [P, 3]
    loss = taught.observations.field_loss
    untrained = fit_field(with_settings(run, field_steps=0), taught.observations, seeded())
    field = fit_field(run, taught.observations, seeded())
    with torch.no_grad():
        before, after = ((f(points) * f.unit).double().numpy() for f in (untrained, field))
    optimum = loss(least_squares_features(taught.observations, 1e-3))
    nothing = loss(np.zeros_like(after))
    assert loss(after) - optimum < 0.25 * (nothing - optimum) < loss(before) - optimum


@pytest.fixture(scope="module")
def learned(taught) -> tuple[Tensor, Decoder]:
    observations = taught.observations
    features = torch.from_numpy(least_squares_features(observations, 0.5)).float()  # [P, d]
    features /= features.square().mean().sqrt()
    run = with_settings(taught.run, decoder_steps=150, decoder_rate=4e-3)
    return features, fit_decoder(run, observations, features, seeded())


def region(features: Tensor, decoder: Decoder, clicks: tuple[tuple[int, bool], ...]) -> np.ndarray:
    vertices, signs, scale = pad([clicks], [1])
    with torch.no_grad():
        return (decoder(features, features[vertices], signs, scale)[0] > 0).numpy()  # [P]


def test_training_clicks_give_the_parts_that_the_teacher_showed(taught, learned):
    singles = [clicks for clicks in taught.observations.click_sets if len(clicks) == 1]
    overlaps = []
    for clicks in singles:
        found = region(learned[0], learned[1], clicks)  # [P]
        wanted = taught.labels == taught.labels[clicks[0][0]]  # [P]
        overlaps.append((found & wanted).sum() / (found | wanted).sum())
    assert len(singles) == 16 and set(taught.labels[[c[0][0] for c in singles]]) == {0, 1}
    assert np.mean(overlaps) > 0.8


@pytest.mark.parametrize("objective", ["votes", "rendered"])
def test_field_and_decoder_can_be_trained_together(taught, objective):
    points = torch.as_tensor(taught.vertices, dtype=torch.float32)  # [P, 3]
    losses = []
    for steps in (0, 40):
        run = replace(with_settings(taught.run, decoder_steps=steps), objective=objective)
        field, decoder = fit_joint(run, taught.observations, seeded())
        with torch.no_grad():
            features = field(points)  # [P, d]
            source = VoteBatches(taught.observations, taught.vertices, replace(SHORT, decoder_sets=200), seeded(9))
            batch = source.draw()
            clicked, signs, scale = batch.clicks
            logits = decoder(features[batch.vertices], features[clicked], signs, scale)  # [K, N]
            losses.append((float(FieldLoss(taught.observations).of(field, points)), float(source.loss(batch, logits))))
    (field_before, decoder_before), (field_after, decoder_after) = losses
    assert field_after < 0.9 * field_before
    assert decoder_after < 0.9 * decoder_before


def test_the_weight_of_the_joint_training_says_how_much_the_field_counts(taught):
    points = torch.as_tensor(taught.vertices, dtype=torch.float32)  # [P, 3]
    losses = []
    for weight in (0.0, 5.0):
        run = with_settings(taught.run, decoder_steps=40, joint_weight=weight)
        field, _ = fit_joint(run, taught.observations, seeded())
        with torch.no_grad():
            losses.append(float(FieldLoss(taught.observations).of(field, points)))
    assert losses[1] < 0.9 * losses[0]


def test_the_rendered_objective_is_equation_7_on_the_views(taught):
    """One view: draw the probabilities pixel by pixel, compare with the mask."""
    observations = replace_views(taught.observations, [taught.views[2]])
    source = ViewBatches(observations, replace(SHORT, decoder_sets=6), seeded(1))
    batch = source.draw()
    logits = torch.randn(6, len(taught.vertices), generator=seeded(2)) * 2  # [K, P]
    matrix, total = taught.views[2].matrix.toarray(), []  # [p, P]
    for k in range(6):
        clicks = tuple(
            VertexClick(int(v), bool(s > 0))
            for v, s in zip(batch.clicks.vertices[k], batch.clicks.signs[k], strict=True)
            if s != 0
        )
        row = [observations.click_sets.index(clicks), int(batch.clicks.granularity[k])]
        masks = [m for r, m in zip(taught.views[2].rows.tolist(), taught.views[2].masks, strict=True) if r == row]
        assert len(masks) == 1
        p = matrix @ (1 / (1 + np.exp(-logits[k].double().numpy())))  # [p]
        total.append(-np.where(masks[0], np.log(p), np.log(1 - p)).mean())
    assert np.isclose(source.loss(batch, logits).item(), np.mean(total), rtol=1e-4)


def replace_views(observations: Observations, views: list | None) -> Observations:
    return replace(observations, views=views)


def test_vertices_are_drawn_as_often_as_they_were_seen_with_their_share_of_the_votes(taught):
    """So the loss of a batch is, on average, the bound of equation 7 for each of its click sets."""
    observations = taught.observations
    source = VoteBatches(observations, taught.vertices, replace(SHORT, decoder_vertices=20000), seeded())
    batch = source.draw()
    logits = torch.randn(len(taught.vertices), generator=seeded(3))  # [P]
    for k, (place, clicks) in enumerate(batch.sources):
        assert observations.click_sets[place // 3] == clicks and int(batch.clicks.granularity[k]) == place % 3
        inside, seen = (votes[place // 3, place % 3] for votes in (observations.inside, observations.seen))  # [P] each
        drawn = batch.vertices[k].numpy()  # [N]
        assert np.allclose(batch.target[k].numpy(), np.clip(inside[drawn] / seen[drawn], 0, 1), atol=1e-5)
        p = torch.sigmoid(logits).double().numpy()  # [P]
        bound = -(inside * np.log(p) + (seen - inside) * np.log(1 - p)).sum() / seen.sum()
        one = batch._replace(target=batch.target[k : k + 1])
        assert np.isclose(source.loss(one, logits[batch.vertices[k : k + 1]]).item(), bound, rtol=0.05)


def test_a_wrong_answer_is_corrected_by_a_click_on_its_wrong_side(taught):
    source = VoteBatches(taught.observations, taught.vertices, SHORT, seeded())
    batch = source.draw()
    source.learn(batch, torch.where(batch.target > 0.5, 3.0, -3.0))
    assert not source.pool  # all right: nothing to correct
    source.learn(batch, torch.full_like(batch.target, 3.0))  # everything inside
    assert source.pool
    origin = {(place, clicks): k for k, (place, clicks) in enumerate(batch.sources)}
    for place, clicks in source.pool:
        k = origin[place, clicks[:-1]]
        vertex, positive = clicks[-1]
        assert not positive
        assert (batch.target[k][batch.vertices[k] == vertex] < 0.5).all()
        assert len(clicks) <= SHORT.max_clicks
    before = set(source.pool)
    replayed = [entry for _ in range(10) for entry in source.draw().sources if entry in before]
    assert replayed


Told = Callable[[float], None]


def run_field(t: SimpleNamespace, step: Told = lambda fraction: None, seed: int = 0, **changes):
    run = replace(with_settings(t.run, **changes), reporter=telling("field", step))
    return fit_field(run, t.observations, seeded(seed))


def run_full(t: SimpleNamespace, step: Told = lambda fraction: None, seed: int = 0):
    return run_field(t, step, seed, ridge=0.0)


def run_decoder(t: SimpleNamespace, step: Told = lambda fraction: None, seed: int = 0, objective: str = "votes"):
    features = torch.randn(len(t.vertices), 8, generator=seeded(7))  # [P, d]
    run = replace(t.run, reporter=telling("decoder", step), objective=objective)
    return fit_decoder(run, t.observations, features, seeded(seed))


def run_rendered(t: SimpleNamespace, step: Told = lambda fraction: None, seed: int = 0):
    return run_decoder(t, step, seed, "rendered")


def run_joint(t: SimpleNamespace, step: Told = lambda fraction: None, seed: int = 0):
    run = replace(t.run, reporter=telling("decoder", step), joint=True)
    return torch.nn.ModuleList(fit_joint(run, t.observations, seeded(seed)))


RUNS = [run_field, run_full, run_decoder, run_rendered, run_joint]


@pytest.mark.parametrize("run", RUNS)
def test_a_seed_fixes_the_fit(taught, run):
    one = run(taught).state_dict()
    torch.manual_seed(123)
    two, other = run(taught).state_dict(), run(taught, seed=1).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("run", RUNS)
def test_every_step_is_told_and_may_stop_the_fit(taught, run):
    fractions: list[float] = []
    run(taught, fractions.append)
    count = SHORT.field_steps if run in (run_field, run_full) else SHORT.decoder_steps
    assert np.allclose(fractions, np.arange(count + 1) / count)

    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(taught, stop)
    assert len(told) == 3


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


@pytest.mark.parametrize("device", DEVICES)
def test_replayed_gradients_are_those_of_the_loss(taught, device):
    """Of several batches, in single precision; where nothing can be recorded the function is called as it is."""
    found = []
    for replayed in (False, True):
        features = torch.randn(len(taught.vertices), 8, generator=seeded(7)).to(device)  # [P, d]
        decoder = Decoder(8, SHORT.decoder_widths, seeded(1)).to(device)
        source = VoteBatches(taught.observations, taught.vertices, SHORT, seeded(2))
        descent = Descent("decoder", decoder, 1e-3, 3, source.generator)
        with patch("iseg_core.training.fit.reduced_precision", lambda device: nullcontext()), Ahead(source) as batches:
            gradients = decoder_gradients(decoder, features, batches, descent, replayed)
            found.append([[g.clone() for g in gradients()] for _ in range(3)])
    for ours, theirs in zip(*found, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert not torch.equal(found[0][0][0], found[0][1][0])  # another batch, another gradient


def test_what_is_drawn_ahead_is_what_would_be_drawn_now(taught):
    """And what was learned from the batch before counts; who goes on from the generator's state draws that again."""

    def source() -> VoteBatches:
        return VoteBatches(taught.observations, taught.vertices, SHORT, seeded(2))

    plain, noise = source(), seeded(3)
    with Ahead(source()) as batches:
        for _ in range(6):
            one, two = plain.draw(), batches.draw()
            assert one.sources == two.sources and torch.equal(one.vertices, two.vertices)
            logits = torch.randn(one.vertices.shape, generator=noise)  # [K, N]
            plain.learn(one, logits)
            batches.learn(two, logits)
            assert torch.equal(batches.generator_state(), plain.generator.get_state())
        assert plain.pool and plain.pool == batches.source.pool


def test_what_fails_in_the_thread_is_raised(taught):
    source = VoteBatches(taught.observations, taught.vertices, SHORT, seeded(2))
    with Ahead(source) as batches, pytest.raises(AttributeError):
        batches.learn(None, torch.zeros(1))
        batches.draw()


def test_a_fit_is_ready_to_answer_and_remembers_the_size_of_the_features(taught):
    field, decoder = run_field(taught), run_decoder(taught)
    assert isinstance(field, FeatureField) and not field.training and not decoder.training
    observations = taught.observations
    size = (observations.c / (observations.pixels * observations.b.shape[1])) ** 0.5
    assert np.isclose(float(field.unit), size, rtol=1e-5)


def test_an_objective_that_cannot_be_is_refused(taught):
    with pytest.raises(SettingsError, match="'area'.*votes, rendered"):
        run_decoder(taught, objective="area")
    blind = SimpleNamespace(**vars(taught) | {"observations": replace_views(taught.observations, None)})
    with pytest.raises(SettingsError, match="keep_views=True"):
        run_rendered(blind)
