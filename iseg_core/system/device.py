"""Device and precision of torch's computations."""

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from ..errors import SettingsError, is_out_of_memory

gc.collect()  # importing torch leaves frames in a cycle: they would keep what their callers have, a whole model too

SMALL = 10**8  # multiplications in a product, below which waking a second thread costs more than it gains


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Pick a device; auto: CUDA, else Apple's MPS, else the CPU. Raises SettingsError where the device is not there.

    A GPU that this build of torch cannot compute on counts as not there; auto says so in a warning.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        for kind in (kind for kind in ("cuda", "mps") if available[kind]):
            if not (defect := kernel_defect(kind)):
                return torch.device(kind)
            warnings.warn(f"{defect} The processor computes instead.", RuntimeWarning, stacklevel=2)
        return torch.device("cpu")
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise SettingsError(f"{device!r} is no device; say auto, cpu, cuda or mps.") from error
    missing = picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count()
    if missing or not available.get(picked.type, False):
        raise SettingsError(
            f"This machine has no device {str(device)!r} that torch can use; `--device auto` takes what is there."
        )
    if picked.type != "cpu" and (defect := kernel_defect(str(picked))):
        raise SettingsError(f"{defect} `--device auto` takes the processor until then.")
    return picked


@cache
def kernel_defect(device: str) -> str:
    """Try one kernel on a GPU; returns what is wrong and what to do, or an empty text.

    torch also lists GPUs that it has no kernels for: old ones with a new torch, or the reverse. A GPU without free
    memory has no defect.
    """
    try:
        (torch.ones(1, device=device) + 1).item()
    except Exception as error:  # torch has several classes for it, which change from version to version
        if not is_out_of_memory(error):
            why = str(error).partition("\n")[0].rstrip(".")
            remedy = "Install the build of torch for it (pytorch.org, Get Started)"
            return f"This torch cannot compute on the GPU {device} ({why}). {remedy}."
    return ""


def has_fast_bf16(device: str | torch.device) -> bool:
    """Tell whether matrix products in bfloat16 are faster on a device than in float32.

    They are on CUDA GPUs of 2020 on, on processors with AMX (several times) and on AMD's with AVX-512 BF16 (1.5 times).
    Intel's without AMX issue as many AVX-512 BF16 instructions in a cycle as of float32: half as fast, measured.
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has = torch.cpu.get_capabilities() if kind == "cpu" else {}
    is_amd = str(has.get("cpu_name", "")).startswith("AMD")
    return bool(has.get("amx_bf16", False) or (is_amd and has.get("avx512_bf16", False)))


def reduced_precision(device: str | torch.device) -> torch.autocast:
    """Context in which layers compute in bfloat16 where that is fast; no effect on other devices."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=has_fast_bf16(device))


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """Context that keeps torch to one CPU thread where the largest product has fewer than SMALL multiplications."""
    before = torch.get_num_threads()
    if multiplications < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
