"""CUDA graphs: many small kernels launched as one, since launches are most of a small network's cost on a GPU."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

LOG = logging.getLogger(__name__)

Run = Callable[..., tuple[Tensor, ...]]

WARM_UP = 3  # calls before recording: libraries make themselves ready in the first ones


class Replayed:
    """Function of tensors of fixed shapes, recorded when it is first called and replayed from then on.

    What it returns is overwritten by the next call. It must start the same kernels in every call, and may read other
    tensors, which must stay where they are. Where it cannot be recorded, it is called as it is.
    """

    def __init__(self, run: Run, device: torch.device):
        self._run, self._device = run, device
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._outputs: tuple[Tensor, ...] = ()

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if not self._inputs:
            self._inputs = [tensor.to(self._device, copy=True) for tensor in inputs]
            self._record()
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        if self._graph is None:
            return self._run(*self._inputs)
        self._graph.replay()
        return self._outputs

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def _record(self) -> None:
        try:
            with torch.cuda.device(self._device):
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(WARM_UP):
                        self._run(*self._inputs)
                torch.cuda.current_stream().wait_stream(side)
                graph = torch.cuda.CUDAGraph()
                # Other threads, such as one that answers clicks meanwhile, may go on with the device.
                with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                    self._outputs = self._run(*self._inputs)
        except (RuntimeError, ValueError, AssertionError) as error:  # of torch without CUDA, too
            LOG.info("Steps are not replayed: recording them did not work (%s).", error)
        else:
            self._graph = graph
