"""Fits of the field, then the decoder, to Observations (sections 3.1 and 3.3; the objectives: see observe.py).

All random draws come from one CPU generator, so that a seed gives the same run on the same machine, on any device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from ..errors import SettingsError
from ..geometry.sparse_lu import Factor
from ..network import Decoder, FeatureField
from ..system.device import reduced_precision, threads_for
from .batches import Ahead, ClickBatch, ViewBatches, VoteBatches, bound
from .cuda_graph import Replayed
from .observations import Observations
from .optimizer import Descent, Gradients
from .run import Run
from .settings import Settings

GRAZED = 0.01  # share of the mean coverage below which a vertex counts as grazed


def fit_field(run: Run, observations: Observations, generator: torch.Generator) -> FeatureField:
    """Train the feature field at the proxy's vertices.

    settings.ridge > 0: regressed on the least-squares features, by minibatches of vertices (a fraction of the time, and
    nothing lost within noise). 0: equation 3 itself, over all views in every step.
    """
    settings = run.settings
    field = _new_field(observations, settings, generator).to(run.device)
    points = _points(run)  # [P, 3]
    loss = _Regression(observations, settings, generator) if settings.ridge > 0 else FieldLoss(observations)
    descent = Descent("field", field, settings.field_rate, settings.field_steps, generator)
    rows = settings.field_batch if settings.ridge > 0 else len(points)
    with threads_for(rows * settings.field_width * max(settings.field_width, 2 * settings.fourier_frequencies)):
        descent.run(lambda: descent.gradients(loss.of(field, points)), run.step("field"), run.checkpoint)
    return field.eval()


def fit_decoder(run: Run, observations: Observations, features: Tensor, generator: torch.Generator) -> Decoder:
    """Train the decoder on the field's features [P, d] at the proxy's vertices.

    objective "votes": the bound on equation 7, by minibatches of (click set, granularity) and vertices.
    "rendered": equation 7 as published, on the kept views; the reference to compare with.
    Raises SettingsError for another objective, and where no views were kept.
    """
    settings = run.settings
    features = features.detach().to(run.device)  # [P, d]
    decoder = Decoder(features.shape[1], settings.decoder_widths, generator).to(run.device)
    source = _source(run, observations, generator)
    rows = settings.decoder_sets * (settings.decoder_vertices if run.objective == "votes" else len(features))
    rate, steps = settings.decoder_rate, settings.decoder_steps
    with threads_for(rows * max(settings.decoder_widths) ** 2), Ahead(source) as batches:
        descent = Descent("decoder", decoder, rate, steps, generator, batches)
        gradients = decoder_gradients(decoder, features, batches, descent, replayed=features.is_cuda)
        descent.run(gradients, run.step("decoder"), run.checkpoint)
    return decoder.eval()


def fit_joint(run: Run, observations: Observations, generator: torch.Generator) -> tuple[FeatureField, Decoder]:
    """Train field and decoder together, joint_weight * equation 3 + equation 7: the ablation of supplementary C."""
    settings = run.settings
    field = _new_field(observations, settings, generator).to(run.device)
    decoder = Decoder(field.feature_dim, settings.decoder_widths, generator).to(run.device)
    points = _points(run)  # [P, 3]
    field_loss = FieldLoss(observations)
    source = _source(run, observations, generator)

    def loss() -> Tensor:
        features = field(points)  # [P, d]
        return settings.joint_weight * field_loss(features * field.unit) + _decoder_loss(decoder, features, source)

    both = nn.ModuleList([field, decoder])
    descent = Descent("decoder", both, settings.decoder_rate, settings.decoder_steps, generator)
    descent.run(lambda: descent.gradients(loss()), run.step("decoder"))
    return field.eval(), decoder.eval()


def _points(run: Run) -> Tensor:
    """Vertices of the proxy on the device of the run. [P, 3] float32"""
    return torch.as_tensor(run.proxy.vertices, dtype=torch.float32, device=run.device)  # [P, 3]


class FieldLoss:
    """Equation 3 over all views at once: (tr f'Af - 2 tr f'b + c) / (pixels d), differentiable in f [P, d]."""

    def __init__(self, observations: Observations):
        self.observations = observations

    def __call__(self, f: Tensor) -> Tensor:
        return _QuadraticLoss.apply(f, self.observations)  # pyright: ignore[reportReturnType]

    def of(self, field: FeatureField, points: Tensor) -> Tensor:
        return self(field(points) * field.unit)


class _QuadraticLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, f: Tensor, observations: Observations) -> Tensor:
        # On the CPU: not every device has sparse products, and this one costs less than a layer of the field.
        values = f.detach().cpu().double().numpy()  # [P, d]
        product = observations.A @ values  # [P, d]
        count = observations.pixels * values.shape[1]
        ctx.save_for_backward(f.new_tensor(2 * (product - observations.b) / count))  # [P, d]
        return f.new_tensor(((values * (product - 2 * observations.b)).sum() + observations.c) / count)  # []

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return grad_outputs[0] * gradient, None


class _Regression:
    """Squared error to the least-squares features, at a minibatch of the vertices that were seen."""

    def __init__(self, observations: Observations, settings: Settings, generator: torch.Generator):
        self.seen = torch.from_numpy(np.flatnonzero(observations.A.diagonal() > 0))  # [S]
        self.target = torch.from_numpy(least_squares_features(observations, settings.ridge)).float()  # [P, d]
        self.size, self.generator = settings.field_batch, generator

    def of(self, field: FeatureField, points: Tensor) -> Tensor:
        batch = self.seen[torch.randint(len(self.seen), (self.size,), generator=self.generator)]  # [B]
        target = self.target[batch].to(points.device) / field.unit  # [B, d]
        with reduced_precision(points.device):
            features = field(points[batch.to(points.device)])  # [B, d]
        return (features.float() - target).square().mean()


def least_squares_features(observations: Observations, ridge: float) -> np.ndarray:
    """Minimiser of equation 3 over free features, with ridge: (A + ridge diag A)^-1 b. [P, d]; unseen vertices: 0."""
    diagonal = observations.A.diagonal()  # [P]
    # A vertex that was only grazed has next to no diagonal, and its feature would be noise.
    diagonal = ridge * np.maximum(diagonal, GRAZED * diagonal.mean())  # [P]
    return Factor(observations.A + sp.diags(diagonal)).solve(observations.b)  # [P, d]


def _new_field(observations: Observations, settings: Settings, generator: torch.Generator) -> FeatureField:
    dim = observations.b.shape[1]
    field = FeatureField(
        dim,
        settings.field_width,
        settings.field_layers,
        settings.fourier_frequencies,
        settings.fourier_sigma,
        generator,
    )
    # The decoder learns best from features of size 1: the unit is the root mean square of all that was seen.
    field.unit.fill_(max(observations.c / max(observations.pixels * dim, 1), 1e-24) ** 0.5)
    return field


def _source(run: Run, observations: Observations, generator: torch.Generator) -> VoteBatches | ViewBatches:
    if run.objective == "votes":
        return VoteBatches(observations, run.proxy.vertices, run.settings, generator)
    if run.objective == "rendered":
        return ViewBatches(observations, run.settings, generator)
    raise SettingsError(f"Unknown objective {run.objective!r}. Choose one of: votes, rendered.")


def _decoder_loss(decoder: Decoder, features: Tensor, source: VoteBatches | ViewBatches | Ahead) -> Tensor:
    """Loss of one batch, on features [P, d]."""
    batch: Any = source.draw()  # of the kind that its own source understands
    logits = _logits(decoder, features, batch.clicks, batch.vertices)  # [K, N]
    loss = source.loss(batch, logits)
    source.learn(batch, logits)
    return loss


def decoder_gradients(
    decoder: Decoder, features: Tensor, batches: Ahead, descent: Descent, replayed: bool
) -> Gradients:
    """Make what computes the gradients of one batch after the other, on features [P, d].

    replayed: those of votes as one CUDA graph, since the kernels of a step are many and small.
    """
    source = batches.source
    if not replayed or not isinstance(source, VoteBatches):
        return lambda: descent.gradients(_decoder_loss(decoder, features, batches))

    def run(
        vertices: Tensor, clicked: Tensor, signs: Tensor, granularity: Tensor, target: Tensor
    ) -> tuple[Tensor, ...]:
        logits = _logits(decoder, features, ClickBatch(clicked, signs, granularity), vertices)  # [K, N]
        return logits.detach(), *descent.gradients(bound(logits, target))

    recorded = Replayed(run, features.device)
    most = max(source.settings.max_clicks, *(len(clicks) for clicks in source.sets))  # a graph has one shape

    def gradients() -> Sequence[Tensor]:
        batch = batches.draw()
        clicked, signs = (pad(t, (0, most - t.shape[1])) for t in batch.clicks[:2])  # [K, most] each
        logits, *found = recorded(batch.vertices, clicked, signs, batch.clicks.granularity, batch.target)
        batches.learn(batch, logits)
        return found

    return gradients


def _logits(decoder: Decoder, features: Tensor, clicks: ClickBatch, asked: Tensor | None) -> Tensor:
    """Logits of the asked vertices [K, N], or of all, for K click sets on features [P, d]. [K, N] float32"""
    clicked, signs, granularity = (t.to(features.device) for t in clicks)
    # embedding(i, x) is x[i]; that one's gradient is summed in no fixed order when there is more than one thread.
    vertices = features if asked is None else embedding(asked.to(features.device), features)  # [K, N, d]
    with reduced_precision(features.device):
        logits = decoder.decode(
            decoder.precompute(vertices), embedding(clicked, features), signs, granularity
        )  # [K, N]
    return logits.float()
