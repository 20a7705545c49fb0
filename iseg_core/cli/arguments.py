"""Arguments that several commands of the command line share."""

import argparse
import os
from pathlib import Path

USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def add_training(parser: argparse.ArgumentParser, weights: str) -> None:
    """What makes a model what it is, beside the mesh. weights: what to say of that argument."""
    teacher = parser.add_mutually_exclusive_group()
    teacher.add_argument(
        "--teacher",
        default="geometric",
        help="geometric (default; needs no download), sam_vit_b, sam_vit_l or sam_vit_h",
    )
    teacher.add_argument("--weights", metavar="FILE", help=weights)
    parser.add_argument("--preset", default="standard", help="draft, standard (default) or paper")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal models on one machine (default 0)")


def output_file(path: str) -> str:
    """An argument that names a file to write. What would stop it from being written is said before the work is done."""
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
