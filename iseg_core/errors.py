"""Every error that iSeg raises on purpose. The message names the defect and the remedy."""

import errno
import re

# What libraries say in a RuntimeError where there is no memory, in lower case; a thread needs some, too, and CUDA's
# library for products says that it was not initialised.
OUT_OF_MEMORY = ("out of memory", "not enough memory", "allocate memory", "alloc_failed", "bad_alloc")
OUT_OF_MEMORY += ("can't start new thread", "cublas_status_not_initialized")


LOADING_DLL = re.compile(r"Error loading .*\.dll", re.IGNORECASE)


class IsegError(Exception):
    """Base of all errors that iSeg raises on purpose."""


class MeshError(IsegError, ValueError):
    """The mesh cannot be used: empty, not finite, indices out of range, no area, unreadable."""


class ClickError(IsegError, ValueError):
    """A click names a vertex that the mesh does not have, or contradicts another click."""


class WeightsError(IsegError):
    """Weights of a 2D model are missing, incomplete or not the official file."""


class DownloadError(IsegError):
    """A download has failed in a way that trying on does not mend."""


class ModelFileError(IsegError, ValueError):
    """A model file is truncated, edited, of another version or of another mesh."""


class SettingsError(IsegError, ValueError):
    """An unknown teacher, preset, device or option."""


class Cancelled(IsegError):
    """The caller asked to stop; nothing was written."""


class EngineError(IsegError):
    """The engine process could not be started, has ended, or could not do what it was asked."""


class ProtocolError(EngineError):
    """What arrived on the pipe is not iSeg's protocol; nothing that follows it can be trusted."""


class MessageError(ProtocolError):
    """One message is malformed or does not fit into memory; the ones after it can be read.

    id: the request that the message belongs to, 0 where that is not known.
    """

    def __init__(self, sentence: str, id: int = 0):
        super().__init__(sentence)
        self.id = id


class UnknownMeshError(EngineError):
    """A request names a mesh that the engine does not hold (any more): it must be opened again."""


class Superseded(Cancelled):
    """A newer request of the same kind took this one's place before it was begun."""


def lacks_runtime(error: BaseException) -> str:
    """Say what to install where Windows could not load a library of PyTorch's; empty for any other error.

    The system's own words are in its language, and PyTorch's and Python's behind or before them are not.
    """
    said = str(error)
    if not isinstance(error, OSError | ImportError) or not ("DLL load failed" in said or LOADING_DLL.search(said)):
        return ""
    address = "https://aka.ms/vs/17/release/vc_redist.x64.exe"
    return f"Install Microsoft's Visual C++ runtime ({address}), which it needs, then start again."


def is_out_of_memory(error: BaseException) -> bool:
    """Also torch's: a class of its own for some GPUs, a plain RuntimeError for the others and the processor."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)
