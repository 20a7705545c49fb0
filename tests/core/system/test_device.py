"""Where torch computes: a GPU that is seen is not yet one that works."""

from collections.abc import Iterator

import pytest
import torch

from iseg_core import doctor
from iseg_core.errors import SettingsError
from iseg_core.system import device


class OldCard:
    """A GPU that torch sees; what it says when it is asked to compute."""

    name, total_memory = "Old Card", 2**31
    says = "CUDA error: no kernel image is available for execution on the device\nCUDA kernel errors might be..."

    def ones(self, *_, device: str) -> torch.Tensor:
        raise RuntimeError(self.says)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[OldCard]:
    card = OldCard()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch, "ones", card.ones)
    device.kernel_defect.cache_clear()
    yield card
    device.kernel_defect.cache_clear()


def test_a_gpu_without_kernels_is_left_aside_and_that_is_said(card: OldCard):
    with pytest.warns(RuntimeWarning, match=r"GPU cuda \(.*no kernel image.*pytorch\.org.*processor computes"):
        assert device.pick_device("auto") == torch.device("cpu")
    for asked in ("cuda", "cuda:0"):
        with pytest.raises(SettingsError, match=r"cannot compute on the GPU cuda.*pytorch\.org.*--device auto"):
            device.pick_device(asked)
    assert device.pick_device("cpu") == torch.device("cpu")
    found = {finding.topic: finding for finding in doctor.examine()}["device cuda:0"]
    assert found.value.startswith("Old Card") and "no kernel image" in str(found.remedy) and not found.required


def test_a_gpu_without_free_memory_is_taken(card: OldCard):
    """Training then halves its batches, or says that memory is short."""
    card.says = "CUDA out of memory. Tried to allocate 2.00 MiB."
    assert device.pick_device("auto") == torch.device("cuda")


@pytest.mark.filterwarnings("error")
def test_a_gpu_that_computes_is_taken(monkeypatch: pytest.MonkeyPatch, card: OldCard):
    monkeypatch.setattr(torch, "ones", lambda *_, device: torch.zeros(1))
    assert device.pick_device("auto") == torch.device("cuda") == device.pick_device("cuda")
