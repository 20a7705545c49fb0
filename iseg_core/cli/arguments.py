"""Arguments that several commands of the command line share."""

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from ..teachers.registry import DEFAULT_TEACHER, TEACHERS
from ..training.settings import DEFAULT_PRESET, PRESETS

USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def add_marks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ignore-marks",
        action="store_true",
        help="look at the shape alone, not at the materials, groups and colours of the mesh file",
    )


def add_training(parser: argparse.ArgumentParser, weights: str) -> None:
    """Add the arguments that define a model, beside the mesh. weights: help text of --weights."""
    teacher = parser.add_mutually_exclusive_group()
    teachers = marked(TEACHERS, DEFAULT_TEACHER, "default; needs no download")
    teacher.add_argument("--teacher", default=DEFAULT_TEACHER, help=one_of(teachers))
    teacher.add_argument("--weights", metavar="FILE", help=weights)
    add_preset(parser)
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal models on one machine (default 0)")


def add_preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default=DEFAULT_PRESET, help=one_of(marked(PRESETS, DEFAULT_PRESET)))


def marked(names: Iterable[str], default: str, remark: str = "default") -> list[str]:
    """List the names of a registry, the default one with a remark in brackets."""
    return [f"{name} ({remark})" if name == default else name for name in names]


def one_of(names: list[str]) -> str:
    """Join names to a choice in words: a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def output_file(path: str) -> str:
    """Check an argument that names a file to write, so that what prevents writing is reported before the work."""
    folder = Path(os.path.realpath(path)).parent
    if os.path.isdir(path):
        raise argparse.ArgumentTypeError(f"{path} is a folder; name a file in it")
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"the folder {folder} may not be written to; name another")
    return path


def positive_count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return int(text)
