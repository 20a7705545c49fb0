"""Errors that iSeg raises on purpose. The message names the defect and the remedy."""

import errno
import re

# Phrases, in lower case, of a RuntimeError that means out of memory. Starting a thread needs memory, too, and cuBLAS
# reports a lack of it as not initialised.
OUT_OF_MEMORY = ("out of memory", "not enough memory", "allocate memory", "alloc_failed", "bad_alloc")
OUT_OF_MEMORY += ("can't start new thread", "cublas_status_not_initialized")


LOADING_DLL = re.compile(r"Error loading .*\.dll", re.IGNORECASE)


class IsegError(Exception):
    """Base of all errors that iSeg raises on purpose."""


class MeshError(IsegError, ValueError):
    """Mesh that cannot be used: empty, not finite, indices out of range, no area, unreadable."""


class ClickError(IsegError, ValueError):
    """Click on a vertex that the mesh does not have, or one that contradicts another click."""


class WeightsError(IsegError):
    """Weights of a 2D model that are missing, incomplete or not the official file."""


class DownloadError(IsegError):
    """Download that failed in a way that no further attempt would mend."""


class ModelFileError(IsegError, ValueError):
    """Model file that is truncated, edited, of another version or of another mesh."""


class SettingsError(IsegError, ValueError):
    """Unknown teacher, preset, device or option."""


class Cancelled(IsegError):
    """Stop that the caller asked for; nothing was written."""


class EngineError(IsegError):
    """Failure of the engine process: not started, ended, or unable to do what it was asked."""


class ProtocolError(EngineError):
    """Input on the pipe that is not iSeg's protocol; nothing that follows it can be trusted."""


class MessageError(ProtocolError):
    """Single message that is malformed or does not fit into memory; those after it can be read.

    id: the request that the message belongs to, 0 where that is not known.
    """

    def __init__(self, sentence: str, id: int = 0):
        super().__init__(sentence)
        self.id = id


class UnknownMeshError(EngineError):
    """Request for a mesh that the engine does not hold (any more): it must be opened again."""


class Superseded(Cancelled):
    """Request replaced by a newer one of the same kind before it was begun."""


def lacks_runtime(error: BaseException) -> str:
    """Say what to install where Windows could not load a library of PyTorch's; empty for any other error.

    Windows words its message in the system's language; the words that PyTorch and Python add are English: these are
    searched for.
    """
    said = str(error)
    if not isinstance(error, OSError | ImportError) or not ("DLL load failed" in said or LOADING_DLL.search(said)):
        return ""
    address = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
    return f"Install Microsoft's Visual C++ runtime ({address}), which it needs, then start again."


def is_out_of_memory(error: BaseException) -> bool:
    """Recognise a lack of memory: Python's, the system's or torch's.

    torch raises a class of its own for some GPUs, a plain RuntimeError for the others and for the CPU.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)
