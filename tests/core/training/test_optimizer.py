"""The descent: the same steps as torch's own optimiser and schedule, and what it needs of a device."""

import pytest
import torch

from iseg_core.system.device import SMALL, has_fast_bf16, reduced_precision, threads_for
from iseg_core.training.optimizer import BETAS, EPSILON, START, WARM_UP, WEIGHT_DECAY, Descent, learning_rate

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"))]


def network() -> torch.nn.Linear:
    layer = torch.nn.Linear(3, 2)
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(layer.bias)
    return layer


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    rates = [learning_rate(2.0, k / 100) for k in range(101)]
    assert rates[0] == pytest.approx(2.0 * START) and max(rates) == rates[int(100 * WARM_UP)] == 2.0
    assert rates[100] == pytest.approx(0, abs=1e-12)
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("device", DEVICES)
def test_steps_are_those_of_adamw(device):
    steps, peak = 7, 0.1
    ours, theirs = network().to(device), network().to(device)
    points = torch.randn(16, 3, generator=torch.Generator().manual_seed(1)).to(device)  # [16, 3]
    descent = Descent("field", ours, peak, steps, torch.Generator())
    descent.run(lambda: descent.gradients(ours(points).square().mean()), lambda fraction: None)
    optimizer = torch.optim.AdamW(theirs.parameters(), betas=BETAS, eps=EPSILON, weight_decay=WEIGHT_DECAY)
    for k in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(peak, k / steps)
        optimizer.zero_grad()
        theirs(points).square().mean().backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.equal(ours.weight.cpu(), network().weight)


def test_a_parameter_that_the_loss_does_not_use_only_decays():
    used, unused = network(), network()
    descent = Descent("field", torch.nn.ModuleList([used, unused]), 0.1, 1, torch.Generator())
    descent.run(lambda: descent.gradients(used(torch.ones(1, 3)).sum()), lambda fraction: None)
    left = unused.weight / network().weight  # [2, 3]
    torch.testing.assert_close(left, torch.full_like(left, 1 - 0.1 * START * WEIGHT_DECAY))


@pytest.mark.parametrize("device", DEVICES)
def test_precision_is_reduced_only_where_that_is_fast(device):
    layer, points = network().to(device), torch.ones(4, 3, device=device)  # [4, 3]
    with reduced_precision(device):
        found = layer(points)  # [4, 2]
    assert found.dtype == (torch.bfloat16 if has_fast_bf16(device) else torch.float32)
    torch.testing.assert_close(found.float(), layer(points), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("name", "amx", "avx512", "fast"),
    [
        ("Intel Xeon", True, True, True),
        ("Intel Xeon", False, True, False),  # half as fast as float32
        ("AMD EPYC", False, True, True),
        ("AMD EPYC", False, False, False),
    ],
)
def test_the_processor_says_whether_reduced_precision_is_fast(monkeypatch, name, amx, avx512, fast):
    has = {"cpu_name": name, "amx_bf16": amx, "avx512_bf16": avx512}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert has_fast_bf16("cpu") is fast


def test_another_processor_computes_in_single_precision(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"})
    with reduced_precision("cpu"):
        assert network()(torch.ones(1, 3)).dtype == torch.float32
    assert not has_fast_bf16("cpu") and not has_fast_bf16("mps")


def test_small_products_take_one_thread_and_give_the_others_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), threads_for(SMALL - 1):
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
        with threads_for(SMALL):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
