"""Errors as they are sent: a type, a sentence with the remedy and, for defects of iSeg, the traceback."""

import errno
import traceback

from ..errors import IsegError, is_out_of_memory, lacks_runtime
from .messages import ErrorFields

TEXT_LIMIT = 20_000  # characters


def describe(error: BaseException) -> ErrorFields:
    """Describe an exception in the fields of an error message. Only iSeg's own sentences are passed on unchanged.

    type is the class of an IsegError, MemoryError, OSError, ModuleNotFoundError or ImportError; InternalError for all
    others, which are defects. The last two come with a traceback for the log.
    """
    if isinstance(error, IsegError):
        return _fields(type(error).__name__, str(error))
    if is_out_of_memory(error):
        return _fields("MemoryError", "There is not enough memory. Close other programs or choose the preset draft.")
    if isinstance(error, ModuleNotFoundError) and error.name:
        remedy = "Repair the engine's environment"
        return _fields("ModuleNotFoundError", f"The Python package {error.name} is missing. {remedy}.")
    if runtime := lacks_runtime(error):
        return _fields("ImportError", f"A library does not load ({str(error)[:200]}). {runtime}")
    if isinstance(error, OSError) and error.strerror:
        return _fields("OSError", _system_error(error))
    text = "".join(traceback.format_exception(error))[-TEXT_LIMIT:]
    if isinstance(error, ImportError):  # a broken library, or no memory for it; the next import finds it half loaded
        remedy = "Repair the engine's environment, or close other programs where memory is short; then start it again."
        return _fields("ImportError", f"A library does not load ({str(error)[:200]}). {remedy}", text)
    defect = f"Internal error of the engine ({type(error).__name__}: {str(error)[:200]})."
    remedy = "Its log tells more: Copy Report, in iSeg's preferences, takes that into a bug report."
    return _fields("InternalError", f"{defect} {remedy}", text)


def _fields(kind: str, sentence: str, text: str | None = None) -> ErrorFields:
    return ErrorFields(type=kind, sentence=sentence[:TEXT_LIMIT], traceback=text)


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{where}{'The disk is full; nothing was changed' if full else error.strerror}. {remedy(error)}"


def remedy(error: OSError) -> str:
    """Say what to do about a file that cannot be read or written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make room on the disk, or choose another folder."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Set the right to use it, or choose another folder."
    return "Check it, then try again."
