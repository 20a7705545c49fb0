"""Optimisation: AdamW on the loss of one network, step by step, resumed from a checkpoint."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from ..clicks.click import VertexClick, VertexClicks
from ..storage.checkpoint import Checkpoint, CheckpointState
from .batches import Ahead
from .run import Step

Gradients = Callable[[], Sequence[Tensor]]  # of another batch with every call

WARM_UP = 0.1  # share of the steps in which the learning rate rises, from START of its peak
START = 0.04
BETAS = (0.9, 0.999)
EPSILON = 1e-8
WEIGHT_DECAY = 0.01


def learning_rate(peak: float, fraction: float) -> float:
    """Learning rate when `fraction` of the steps is done: a cosine up to the peak, and one down to zero.

    (Smith and Topin 2019.) The schedule matters more than the optimiser.
    """
    if fraction < WARM_UP:
        low, done = START * peak, 1 - fraction / WARM_UP
    else:
        low, done = 0.0, (fraction - WARM_UP) / (1 - WARM_UP)
    return low + (peak - low) * (1 + math.cos(math.pi * done)) / 2


class Descent:
    """Training of one network by AdamW (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        stage: str,
        network: nn.Module,
        peak: float,
        steps: int,
        generator: torch.Generator,
        batches: Ahead | None = None,
    ):
        """peak: of the learning rate. generator: where the losses draw from. batches: where they draw ahead, if they
        do: a checkpoint then goes on from the batch that comes next, with what is kept for replay.
        """
        self.stage, self.network, self.peak, self.steps, self.done = stage, network, peak, steps, 0
        self.generator = generator
        self.pool: list[tuple[int, VertexClicks]] = [] if batches is None else batches.source.pool
        self._generator_state = generator.get_state if batches is None else batches.generator_state
        self.parameters: list[Tensor] = list(network.parameters())
        self.moments = {name: [torch.zeros_like(p) for p in self.parameters] for name in ("mean", "square")}
        self.counts = [torch.zeros((), device=p.device) for p in self.parameters]  # of steps

    def run(self, gradients: Gradients, step: Step, checkpoint: Checkpoint | None = None) -> None:
        """Take all steps that are left, each along the next gradients of the parameters.

        step is told the fraction done, first that which was done before.
        """
        checkpoint = checkpoint or Checkpoint()
        checkpoint.load(self.stage, self._restore)
        step(self.done / max(self.steps, 1))
        while self.done < self.steps:
            self._descend(gradients(), learning_rate(self.peak, self.done / self.steps))
            self.done += 1
            checkpoint.keep(self.stage, self._state, last=self.done == self.steps)
            step(self.done / self.steps)

    def gradients(self, loss: Tensor) -> tuple[Tensor, ...]:
        """Gradients of a loss [] by each parameter; zero for one that it does not use."""
        return torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)

    @torch.no_grad()
    def _descend(self, gradients: Sequence[Tensor], rate: float) -> None:
        adamw(
            self.parameters,
            list(gradients),
            self.moments["mean"],
            self.moments["square"],
            [],
            self.counts,
            foreach=False,
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=WEIGHT_DECAY,
            eps=EPSILON,
            maximize=False,
        )

    def _tensors(self) -> dict[str, Tensor]:
        """Tensors that a step changes, by name; the generator and the pool are beside them."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for name, values in (self.moments | {"count": self.counts}).items():
            tensors |= {f"{name}.{index}": value for index, value in enumerate(values)}
        return tensors

    def _state(self) -> CheckpointState:
        arrays = {name: tensor.cpu().numpy() for name, tensor in self._tensors().items()}
        arrays["generator"] = self._generator_state().numpy()
        return CheckpointState({"done": self.done, "pool": self.pool}, arrays)

    def _restore(self, state: CheckpointState) -> None:
        for name, tensor in self._tensors().items():
            tensor.copy_(torch.from_numpy(state.arrays[name]))
        self.generator.set_state(torch.from_numpy(state.arrays["generator"]))
        self.pool[:] = [
            (place, tuple(VertexClick(v, include) for v, include in clicks)) for place, clicks in state.record["pool"]
        ]
        self.done = int(state.record["done"])
