"""The model of the paper's section 3, in plain torch: FeatureField (3.1), InteractiveAttention (3.2), Decoder (3.3).

Shapes: N vertices, n clicks of a set, d features, K click sets in a batch. A click is a feature vector and a sign:
+1 include, -1 exclude, 0 padding. A set also has a scale: 0 fine, 1 part, 2 whole (see the teachers' SCALES).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

REACH = 4.0  # root mean squares of the teacher's features that the field can reach; rare peaks beyond are cut off


def _linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """A linear layer drawn from `generator` (torch's own initialisation always draws from the global one)."""
    layer = nn.Linear(inputs, outputs)
    bound = 1 / math.sqrt(inputs)
    for parameter in (layer.weight, layer.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def _hidden(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Sequential:
    return nn.Sequential(_linear(inputs, outputs, generator), nn.ReLU(inplace=True), nn.LayerNorm(outputs))


class FeatureField(nn.Module):
    """Mesh Feature Field (section 3.1): phi(v) = f, from a point of the surface to a feature of the 2D teacher.

    Fourier features of the coordinates, then an MLP with tanh at its end, stretched to +-REACH. Teachers differ in
    size: the buffer `unit` says what 1 of the field is in the teacher's features (their root mean square). The
    frequencies are a buffer too, so that a saved field is whole.
    """

    frequencies: Tensor
    unit: Tensor

    def __init__(
        self,
        feature_dim: int,
        width: int = 256,
        layers: int = 5,
        frequencies: int = 256,
        sigma: float = 5.0,
        generator: torch.Generator | None = None,
    ):
        """feature_dim: d of the teacher; width, layers: of the hidden layers; sigma: spread of the frequencies."""
        super().__init__()
        self.feature_dim = feature_dim
        self.register_buffer("frequencies", torch.randn(3, frequencies, generator=generator) * sigma)  # [3, m]
        self.register_buffer("unit", torch.ones(()))  # [] what 1 of the field is in the teacher's features
        sizes = [3 + 2 * frequencies] + [width] * layers
        hidden = [_hidden(a, b, generator) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.mlp = nn.Sequential(*hidden, _linear(width, feature_dim, generator), nn.Tanh())

    def forward(self, points: Tensor) -> Tensor:
        """points [N, 3] in the unit sphere -> features [N, d]."""
        with torch.autocast(points.device.type, enabled=False):  # some ten radians: bfloat16 would blur the waves
            phase = 2 * math.pi * points @ self.frequencies  # [N, m]
        return REACH * self.mlp(torch.cat([points, phase.sin(), phase.cos()], dim=-1))  # [N, d]


class InteractiveAttention(nn.Module):
    """Interactive attention (section 3.2, equations 4 and 5): every vertex attends to the clicks.

    Positive and negative clicks have keys and values of their own. The scale's embedding joins the clicks before the
    projections: added to finished keys it would move all scores of a vertex alike, and the softmax would not see it.
    """

    def __init__(self, dim: int, generator: torch.Generator | None = None):
        super().__init__()
        self.query = _linear(dim, dim, generator)  # W_Q
        self.key = nn.ModuleList([_linear(dim, dim, generator), _linear(dim, dim, generator)])  # W_K-, W_K+
        self.value = nn.ModuleList([_linear(dim, dim, generator), _linear(dim, dim, generator)])  # W_V-, W_V+
        self.scale = nn.Parameter(torch.randn(3, dim, generator=generator) * 0.1)  # [3, d]

    def clicks(self, features: Tensor, signs: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of the clicks (equation 4): features [K, n, d], signs [K, n], scale [K] -> 2 x [K, n, d]."""
        features = features + self.scale[scale][:, None]  # [K, n, d]
        positive = (signs > 0)[..., None]  # [K, n, 1]
        keys = torch.where(positive, self.key[1](features), self.key[0](features))  # [K, n, d]
        values = torch.where(positive, self.value[1](features), self.value[0](features))  # [K, n, d]
        return keys, values

    def weights(self, scores: Tensor, signs: Tensor) -> Tensor:
        """Softmax of the scaled scores [K, n, N] over the clicks; padding (sign 0) weighs nothing. [K, n, N]

        The vertices come last: a softmax over few clicks is several times faster across than along the memory.
        """
        padding = (signs == 0)[:, :, None]  # [K, n, 1]
        scores = scores / math.sqrt(self.query.out_features)  # [K, n, N]
        return scores.masked_fill(padding, -torch.inf).softmax(dim=1)  # [K, n, N]

    def forward(self, vertices: Tensor, features: Tensor, signs: Tensor, scale: Tensor) -> Tensor:
        """Conditioned features G (equation 5).

        vertices [K, N, d] or [N, d]; features [K, n, d], signs [K, n] and scale [K] of the clicks -> [K, N, d].
        """
        keys, values = self.clicks(features, signs, scale)
        scores = keys @ self.query(vertices).transpose(-1, -2)  # [K, n, N]
        return self.weights(scores, signs).transpose(-1, -2) @ values  # [K, N, d]


class Prepared(NamedTuple):
    """What a decoder can compute of the vertices before any click."""

    vertices: Tensor  # [N, d] or [K, N, d]
    base: Tensor  # the same with d -> h: their share of the first layer


class Decoder(nn.Module):
    """Segmentation prediction (section 3.3, equation 6): an MLP on [f ; g] with a background and a segment channel.

    The answer is given as the logit segment - background; its sigmoid is the paper's softmax.
    """

    def __init__(self, dim: int, widths: tuple[int, ...], generator: torch.Generator | None = None):
        """dim: d of the field; widths: of the hidden layers (the paper's: 512 and 14 times 256)."""
        super().__init__()
        self.attention = InteractiveAttention(dim, generator)
        sizes = [2 * dim, *widths]
        self.hidden = nn.ModuleList(_hidden(a, b, generator) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.output = _linear(widths[-1], 2, generator)

    def forward(self, vertices: Tensor, features: Tensor, signs: Tensor, scale: Tensor) -> Tensor:
        """Logits of the vertices, as the equations say it.

        vertices [K, N, d] or [N, d]; features [K, n, d], signs [K, n] and scale [K] of the clicks -> [K, N].
        A set needs at least one click, of either sign.
        """
        g = self.attention(vertices, features, signs, scale)  # [K, N, d]
        x = torch.cat([vertices.expand_as(g), g], dim=-1)  # [K, N, 2d]
        for layer in self.hidden:
            x = layer(x)  # [K, N, h]
        background, segment = self.output(x).unbind(dim=-1)  # [K, N] each
        return segment - background  # [K, N]

    def precompute(self, vertices: Tensor) -> Prepared:
        """Everything about vertices [N, d] or [K, N, d] that does not depend on clicks."""
        linear, _, _ = self._first
        return Prepared(vertices, vertices @ linear.weight[:, : vertices.shape[-1]].T + linear.bias)

    def decode(self, prepared: Prepared, features: Tensor, signs: Tensor, scale: Tensor) -> Tensor:
        """The same logits as `forward` (up to rounding), cheaper: clicks are few and vertices many.

        So products are taken from the clicks' side: Q K' = f (W_Q' K') + b_Q K', and W_1g G = weights (V W_1g').
        """
        keys, values = self.attention.clicks(features, signs, scale)
        query, (linear, activation, norm) = self.attention.query, self._first
        scores = (keys @ query.weight) @ prepared.vertices.transpose(-1, -2)  # [K, n, N]
        weights = self.attention.weights(scores + (keys @ query.bias)[:, :, None], signs)  # [K, n, N]
        click_share = values @ linear.weight[:, values.shape[-1] :].T  # [K, n, h]
        x = norm(activation(torch.baddbmm(prepared.base, weights.transpose(-1, -2), click_share)))  # [K, N, h]
        for layer in list(self.hidden)[1:]:
            x = layer(x)  # [K, N, h]
        weight, bias = (
            self.output.weight[1] - self.output.weight[0],
            self.output.bias[1] - self.output.bias[0],
        )  # [h], []
        return x @ weight + bias  # [K, N]

    @property
    def _first(self) -> tuple[nn.Linear, nn.Module, nn.Module]:
        linear, activation, norm = self.hidden[0].children()
        assert isinstance(linear, nn.Linear)
        return linear, activation, norm
