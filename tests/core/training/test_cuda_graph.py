"""What is recorded and replayed; CUDA itself is stood in for where there is none."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch

from iseg_core.training.cuda_graph import WARM_UP, Replayed

CPU = torch.device("cpu")


@pytest.fixture
def recorder(monkeypatch) -> SimpleNamespace:
    """A stand-in that replays by calling the function again, into the outputs that were recorded."""
    told = SimpleNamespace(replays=0, mode="")

    class Graph:
        def replay(self) -> None:
            told.replays += 1
            for output, value in zip(told.owner._outputs, told.owner._run(*told.owner._inputs), strict=True):
                output.copy_(value)

    @contextmanager
    def graph(graph, capture_error_mode):
        told.mode = capture_error_mode
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "device": lambda device: nullcontext(),
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": lambda stream: nullcontext(),
        "CUDAGraph": Graph,
        "graph": graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return told


def test_a_function_is_recorded_once_and_replayed_on_new_inputs(recorder):
    calls = []

    def run(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        calls.append(1)
        return x + y, x * y

    recorder.owner = replayed = Replayed(run, CPU)
    for k in range(3):
        x, y = torch.full((2,), float(k)), torch.ones(2)  # [2] each
        total, product = replayed(x, y)
        assert total.tolist() == [k + 1.0] * 2 and product.tolist() == [k] * 2
    assert recorder.replays == 3 and len(calls) == WARM_UP + 1 + 3 and recorder.mode == "thread_local"


def test_what_cannot_be_recorded_is_called(caplog):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    replayed = Replayed(lambda x: (2 * x,), CPU)
    with caplog.at_level("INFO"):
        assert [float(replayed(torch.tensor(float(k)))[0]) for k in range(3)] == [0.0, 2.0, 4.0]
    assert not replayed.recorded and len(caplog.records) == 1 and "did not work" in caplog.text


def test_a_function_that_fails_is_not_hidden():
    def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        Replayed(run, CPU)(torch.ones(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda():
    device = torch.device("cuda")
    weight = torch.ones(3, device=device)  # [3]
    replayed = Replayed(lambda x: ((x * weight).sum(),), device)
    for k in range(3):
        assert float(replayed(torch.full((3,), float(k)))[0]) == 3.0 * k
        weight += 0  # in place: what the graph reads stays where it is
    assert replayed.recorded
