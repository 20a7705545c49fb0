"""Command batch: train a library of meshes."""

import argparse
import time
from pathlib import Path
from typing import Any

from .arguments import add_marks, add_training, positive_count


def add_batch(commands: Any) -> None:
    parser = commands.add_parser(
        "batch",
        help="learn many meshes",
        description="Learn every mesh of a folder or list, on all cores of this machine or on a Ray cluster. "
        "The same command goes on where it was stopped.",
    )
    parser.set_defaults(run=_batch)
    parser.add_argument(
        "meshes", metavar="MESHES", type=Path, help="folder (with those below it), or a text file with a path a line"
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for models and report")
    add_training(parser, weights="an official weights file, at the same place on all machines")
    add_marks(parser)
    parser.add_argument("--address", metavar="ADDRESS", help="of a Ray cluster, or auto: the one this machine is in")
    parser.add_argument("--cores", type=positive_count, default=1, metavar="N", help="cores for each mesh (default 1)")
    parser.add_argument(
        "--gpu", type=_share, default=0.0, metavar="SHARE", help="GPU for each mesh: 1, 0.25 (default 0)"
    )
    parser.add_argument(
        "--retries", type=_count, default=2, metavar="N", help="how often a mesh is tried again (default 2)"
    )
    parser.add_argument(
        "--spread", type=positive_count, metavar="N", help="big meshes: one at a time, its views on N workers"
    )


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0.0 <= value <= 1.0 or value.is_integer() and value > 0):  # Ray's own rule
        raise argparse.ArgumentTypeError(f"{text} is neither a share of a GPU, 0 to 1, nor a whole number of GPUs")
    return value


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)


def _batch(options: argparse.Namespace) -> int:
    from ..batch.library import FAILED, Training, find_library
    from ..batch.pool import Resources, ray_pool
    from ..batch.report import Screen, count, print_summary, write_report
    from ..batch.run import LibraryJob, LibraryProgress, train_library
    from ..errors import Cancelled
    from ..training.settings import get_settings

    entries = find_library(options.meshes)
    training = Training(options.weights or options.teacher, get_settings(options.preset), options.seed)
    began, progress = time.perf_counter(), LibraryProgress(len(entries))

    def show(now: LibraryProgress) -> None:
        nonlocal progress
        progress = now
        screen(now)

    resources = Resources(options.cores, options.gpu)
    try:
        with ray_pool(options.address) as ray, Screen() as screen:
            job = LibraryJob(
                ray,
                options.output,
                training,
                resources,
                options.retries,
                show,
                options.address,
                options.spread,
                marks=not options.ignore_marks,
            )
            train_library(job, entries)
    except KeyboardInterrupt:
        done = count(progress.results)
        raise Cancelled(f"Stopped: {done}. What is there is kept; the same command goes on from there.") from None
    finally:
        if progress.results:
            write_report(options.output, training, progress.results, time.perf_counter() - began)
    print_summary(progress.results)
    print(f"Written: {options.output / 'batch.md'}, batch.json and the models.")
    return 1 if any(result.status == FAILED for result in progress.results) else 0
