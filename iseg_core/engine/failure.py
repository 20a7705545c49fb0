"""Errors as they travel: a type and a sentence with the remedy, and for our own defects the traceback."""

import errno
import traceback
from typing import Any

from ..errors import IsegError

TEXT_LIMIT = 20_000  # characters


def describe(error: BaseException) -> dict[str, Any]:
    """The fields of an error message. Only iSeg's own sentences are passed on as they are.

    type is the class of an IsegError, MemoryError, OSError or ModuleNotFoundError; InternalError for all others, which
    are defects and come with a traceback for the log.
    """
    if isinstance(error, IsegError):
        return _fields(type(error).__name__, str(error))
    if _is_out_of_memory(error):
        return _fields("MemoryError", "There is not enough memory. Close other programs or choose the preset draft.")
    if isinstance(error, ModuleNotFoundError) and error.name:
        remedy = "Repair the engine's environment"
        return _fields("ModuleNotFoundError", f"The Python package {error.name} is missing. {remedy}.")
    if isinstance(error, OSError) and error.strerror:
        return _fields("OSError", _system_error(error))
    text = "".join(traceback.format_exception(error))[-TEXT_LIMIT:]
    sentence = f"Internal error of the engine ({type(error).__name__}: {str(error)[:200]}). Its log tells more."
    return _fields("InternalError", sentence) | {"traceback": text}


def _fields(kind: str, sentence: str) -> dict[str, Any]:
    return {"type": kind, "sentence": sentence[:TEXT_LIMIT]}


def _is_out_of_memory(error: BaseException) -> bool:
    """Also torch's: a class of its own for GPUs, a plain RuntimeError of the allocator for the processor."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and "alloc" in str(error) and "memory" in str(error)


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}The disk is full. Make room on it, or choose another folder; nothing was changed."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}{error.strerror}. Set the right to use it, or choose another folder."
    return f"{where}{error.strerror}. Check it, then try again."
