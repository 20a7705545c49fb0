"""Memory of this process."""

import gc
import sys


def resident() -> int | None:
    """Read how many bytes of memory this process holds; None elsewhere than on Linux."""
    try:
        import resource

        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return None


def give_back() -> None:
    """Return unused memory to the system and, on the GPU, to other programs."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    _trim()


def _trim() -> None:
    """Ask the C library (glibc) to give freed memory back to the system."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        pass  # another C library
