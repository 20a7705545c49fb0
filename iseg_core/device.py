"""Where torch computes."""

import torch

from .errors import SettingsError


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """auto: CUDA, else Apple's MPS, else the processor. Raises SettingsError where the device is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(kind for kind in available if available[kind]))
    try:
        picked = torch.device(device)
    except RuntimeError as error:
        raise SettingsError(f"{device!r} is no device; say auto, cpu, cuda or mps.") from error
    missing = picked.type == "cuda" and (picked.index or 0) >= torch.cuda.device_count()
    if missing or not available.get(picked.type, False):
        raise SettingsError(
            f"This machine has no device {str(device)!r} that torch can use; `--device auto` takes what is there."
        )
    return picked
