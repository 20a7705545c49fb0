"""Command line: python -m iseg_core train | batch | segment | transfer | bench | info | doctor | fetch | ...

Each command is a function that adds its arguments and one that runs. What is heavy is imported when a command runs, so
that --help answers at once. Results go to stdout; progress and errors go to stderr.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..engine import error_fields
from ..errors import Cancelled, IsegError, SettingsError, is_out_of_memory, lacks_runtime
from ..version import __version__
from .arguments import FAILURE, INTERRUPTED, USAGE_ERROR
from .batch import add_batch
from .bench import add_bench
from .maintenance import add_cache, add_doctor, add_engine, add_fetch, add_info
from .segment import add_segment, add_transfer
from .train import add_train

PACKAGE = __name__.partition(".")[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 (it failed), 2 (wrong arguments) or 130 (Ctrl-C)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where there is no terminal; a test's or a notebook's own
            stream.reconfigure(errors="backslashreplace")  # for names that the terminal cannot show
    options = _parser().parse_args(arguments)
    # Threads that wait by spinning slow training down several times as soon as another program needs the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return options.run(options) or 0
    except KeyboardInterrupt:
        return _fail("Cancelled; nothing was written.", INTERRUPTED)
    except Cancelled as error:
        return _fail(str(error), INTERRUPTED)
    except SettingsError as error:
        return _fail(f"error: {error}", USAGE_ERROR)
    except IsegError as error:
        return _fail(f"error: {error}", FAILURE)
    except (MemoryError, RuntimeError, OSError, ImportError) as error:
        sentence = _known(error)
        if sentence is None:
            raise
        return _fail(f"error: {sentence}", FAILURE)


def _known(error: Exception) -> str | None:
    """Say what to do about an error of the system, a library or the memory; None for any other error."""
    if is_out_of_memory(error):
        return "there is not enough memory. Close other programs, or use `--preset draft`."
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] != PACKAGE:
        remedy = "`python -m iseg_core doctor` says how to get what is missing"
        return f"the Python package {error.name} is missing; {remedy}."
    if runtime := lacks_runtime(error):
        return f"a library does not load ({error}). {runtime}"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}. Nothing was written. {error_fields.remedy(error)}"
    return None


def _fail(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    script = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        prog="iseg" if script == "iseg" else "python -m iseg_core",
        description="iSeg turns clicks on a mesh into a part of that mesh.",
    )
    parser.add_argument("--version", action="version", version=f"iSeg {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        add_train,
        add_batch,
        add_segment,
        add_transfer,
        add_bench,
        add_info,
        add_doctor,
        add_fetch,
        add_cache,
        add_engine,
    ):
        add(commands)
    return parser
