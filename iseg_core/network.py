"""Networks of the paper's section 3 in plain torch: FeatureField (3.1), InteractiveAttention (3.2), Decoder (3.3).

Shapes: N vertices, n clicks of a set, d features, K click sets in a batch. A click is a feature vector and a sign:
+1 include, -1 exclude, 0 padding. A set also has a granularity: 0 fine, 1 part, 2 whole.

Where each equation is computed:
    (1) rendering      render/raster.py        Raster.matrix: for a fixed mesh and camera R is a sparse map, B_v
    (2) 2D features    teachers/teacher.py     Teacher.look, of one view
    (3) field loss     training/fit.py         FieldLoss, from the sums A, b, c of training/sums.py FieldSums
    (4) keys, values   network.py              InteractiveAttention.clicks; the queries: InteractiveAttention.forward
    (5) attention      network.py              InteractiveAttention.forward
    (6) prediction     network.py              Decoder.forward
    (7) decoder loss   training/batches.py     ViewBatches.loss as published; bound, which is trained with
    (8) joint loss     training/fit.py         fit_joint, the ablation of supplementary C

What is not in section 3:
    Fourier features     supplementary D asks for a positional encoding of size 515; random frequencies make it
    LayerNorm            behind the ReLU of every hidden layer: supplementary D names both, the released code the order
    REACH, unit          the field's tanh is stretched, and counts in the root mean square of what the teacher shows
    biases               of W_Q, W_K, W_V, as in the released code
    granularity          a learned embedding of it joins the clicks; the paper knows the teacher's finest masks only
    sizes                three hidden layers of 128 decode by default; the preset `paper` has the paper's sixteen layers
    Decoder.decode       the same logits as Decoder.forward from fewer products
Answers are corrected by geometry afterwards (parts/corrections.py), which is not of the paper and can be switched off.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

REACH = 4.0  # units that the field can reach; rare peaks of the teacher's features lie beyond and are cut off


def _linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """Make a linear layer, drawn from `generator` (torch's own initialisation always draws from the global one)."""
    layer = nn.Linear(inputs, outputs)
    bound = 1 / math.sqrt(inputs)
    for parameter in (layer.weight, layer.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def _hidden(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Sequential:
    """Make a hidden layer, in the released code's order."""
    return nn.Sequential(_linear(inputs, outputs, generator), nn.ReLU(inplace=True), nn.LayerNorm(outputs))


class FeatureField(nn.Module):
    """Mesh Feature Field (section 3.1): phi(v) = f, from a point of the surface to a feature of the 2D teacher.

    Fourier features of the coordinates, then an MLP with tanh at its end.

    Not in the paper: the tanh is stretched to +-REACH, and the buffer `unit` says what 1 of the field is in the
    teacher's features (their root mean square), because teachers differ in size and the decoder learns best from
    features of size 1. The frequencies are a buffer too, so that a saved field is whole.
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

    Positive and negative clicks have keys and values of their own.

    Not in the paper: an embedding of the granularity joins the clicks before the projections. Added to finished keys
    it would move all scores of a vertex alike, and the softmax would not see it.
    """

    def __init__(self, dim: int, generator: torch.Generator | None = None):
        super().__init__()
        self.query = _linear(dim, dim, generator)  # W_Q
        self.key = nn.ModuleList([_linear(dim, dim, generator), _linear(dim, dim, generator)])  # W_K-, W_K+
        self.value = nn.ModuleList([_linear(dim, dim, generator), _linear(dim, dim, generator)])  # W_V-, W_V+
        self.scale = nn.Parameter(torch.randn(3, dim, generator=generator) * 0.1)  # [3, d] granularity; named in files

    def clicks(self, features: Tensor, signs: Tensor, granularity: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values [K, n, d] of the clicks (equation 4): features [K, n, d], signs [K, n], granularity [K].

        Each click keeps its place: the paper's concatenation of K_pos and K_neg, in another order.
        """
        features = features + self.scale[granularity][:, None]  # [K, n, d]
        positive = (signs > 0)[..., None]  # [K, n, 1]
        keys = torch.where(positive, self.key[1](features), self.key[0](features))  # [K, n, d]
        values = torch.where(positive, self.value[1](features), self.value[0](features))  # [K, n, d]
        return keys, values

    def weights(self, scores: Tensor, signs: Tensor) -> Tensor:
        """Softmax over the clicks of the scores [K, n, N] / sqrt(d); padding (sign 0) weighs nothing. [K, n, N]

        The vertices come last: a softmax over few clicks is several times faster across than along the memory.
        """
        padding = (signs == 0)[:, :, None]  # [K, n, 1]
        scores = scores / math.sqrt(self.query.out_features)  # [K, n, N]
        return scores.masked_fill(padding, -torch.inf).softmax(dim=1)  # [K, n, N]

    def forward(self, vertices: Tensor, features: Tensor, signs: Tensor, granularity: Tensor) -> Tensor:
        """Conditioned features G (equation 5). [K, N, d]

        vertices [K, N, d] or [N, d]; features [K, n, d], signs [K, n] and granularity [K] of the clicks.
        """
        keys, values = self.clicks(features, signs, granularity)
        scores = keys @ self.query(vertices).transpose(-1, -2)  # [K, n, N]
        return self.weights(scores, signs).transpose(-1, -2) @ values  # [K, N, d]


class Prepared(NamedTuple):
    """Products of the vertices that a decoder takes before any click."""

    vertices: Tensor  # [N, d] or [K, N, d]
    base: Tensor  # the same with d -> h: their share of the first layer


class Decoder(nn.Module):
    """Segmentation prediction psi (section 3.3, equation 6): an MLP on [f ; g] with a background and a segment channel.

    It gives the logit segment - background, whose sigmoid is the paper's softmax, the probability p.
    """

    def __init__(self, dim: int, widths: tuple[int, ...], generator: torch.Generator | None = None):
        """dim: d of the field; widths: of the hidden layers (the paper's: 512 and 14 times 256)."""
        super().__init__()
        self.attention = InteractiveAttention(dim, generator)
        sizes = [2 * dim, *widths]
        self.hidden = nn.ModuleList(_hidden(a, b, generator) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.output = _linear(widths[-1], 2, generator)

    def forward(self, vertices: Tensor, features: Tensor, signs: Tensor, granularity: Tensor) -> Tensor:
        """Logits of the vertices, as equation 6 says it. [K, N]

        vertices [K, N, d] or [N, d]; features [K, n, d], signs [K, n] and granularity [K] of the clicks.
        A set needs at least one click, of either sign.
        """
        g = self.attention(vertices, features, signs, granularity)  # [K, N, d]
        x = torch.cat([vertices.expand_as(g), g], dim=-1)  # [K, N, 2d]
        for layer in self.hidden:
            x = layer(x)  # [K, N, h]
        background, segment = self.output(x).unbind(dim=-1)  # [K, N] each
        return segment - background  # [K, N]

    def precompute(self, vertices: Tensor) -> Prepared:
        """Products of vertices [N, d] or [K, N, d] that no click changes."""
        linear, _, _ = self._first
        return Prepared(vertices, vertices @ linear.weight[:, : vertices.shape[-1]].T + linear.bias)

    def decode(self, prepared: Prepared, features: Tensor, signs: Tensor, granularity: Tensor) -> Tensor:
        """Logits [K, N] as of `forward`, up to rounding, but cheaper: clicks are few and vertices many.

        So products are taken from the clicks' side: Q K' = f (W_Q' K') + b_Q K', and W_1g G = weights (V W_1g').
        """
        keys, values = self.attention.clicks(features, signs, granularity)
        query, (linear, activation, norm) = self.attention.query, self._first
        scores = (keys @ query.weight) @ prepared.vertices.transpose(-1, -2)  # [K, n, N]
        weights = self.attention.weights(scores + (keys @ query.bias)[:, :, None], signs)  # [K, n, N]
        click_share = values @ linear.weight[:, values.shape[-1] :].T  # [K, n, h]
        x = norm(activation(torch.baddbmm(prepared.base, weights.transpose(-1, -2), click_share)))  # [K, N, h]
        for layer in list(self.hidden)[1:]:
            x = layer(x)  # [K, N, h]
        weight = self.output.weight[1] - self.output.weight[0]  # [h]
        bias = self.output.bias[1] - self.output.bias[0]  # []
        return x @ weight + bias  # [K, N]

    @property
    def _first(self) -> tuple[nn.Linear, nn.Module, nn.Module]:
        linear, activation, norm = self.hidden[0].children()
        assert isinstance(linear, nn.Linear)
        return linear, activation, norm
