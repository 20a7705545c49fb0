"""Streams, parent and log of the engine process."""

import os
import signal
import sys
import time
from typing import BinaryIO


def take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Reserve stdin and stdout for the frames: any other reader finds nothing, any other output goes to stderr."""
    if os.name == "nt":
        import msvcrt

        for descriptor in (0, 1):
            msvcrt.setmode(descriptor, os.O_BINARY)  # pyright: ignore
    source, sink = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, sink  # pyright: ignore[reportReturnType] raw files


def die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        PR_SET_PDEATHSIG = 1
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        except (OSError, AttributeError):
            pass  # a C library without it: the end of stdin remains


def log(text: str) -> None:
    """Write one line to the log; no error where no one is left to read it."""
    try:
        print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass
