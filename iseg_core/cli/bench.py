"""Command bench."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..teachers.registry import DEFAULT_TEACHER, TEACHERS
from .arguments import FAILURE, add_device, add_preset, marked, positive_count
from .display import Display

# bench


def add_bench(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure on meshes whose parts are known",
        description="Measure on meshes whose parts are known. Where people labelled each face: simulated clicks, "
        "baselines, the paper's experiments. Where parts overlap and nest, as artists make them: clicks on points of "
        "the surface, answers for faces, by kind of part. The same command goes on where it was stopped.",
    )
    parser.set_defaults(run=_bench)
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        type=Path,
        help="folder with the Princeton benchmark's off/ and seg/, or with meshes and label files of the same name "
        "(.seg, .txt: line i is the part of face i), or with nested parts (.npz, one a mesh: vertices [V, 3], "
        "faces [F, 3], parts [T, F] bool, names [T] as kind:name)",
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the report")
    parser.add_argument(
        "--experiment",
        nargs="+",
        metavar="NAME",
        help="default: clicks otsu, and nested for nested parts; also stability, separate, counts, occluded, transfer, "
        "fidelity, taught, orders, pairs (of nested parts), sizes, or all",
    )
    teachers = marked(TEACHERS, DEFAULT_TEACHER)
    parser.add_argument(
        "--teacher",
        default=DEFAULT_TEACHER,
        help=f"{', '.join(teachers)}, a weights file, or, for nested, pairs, orders and sizes, instant: no training",
    )
    add_preset(parser)
    parser.add_argument("--limit", type=positive_count, metavar="N", help="N of the meshes only, always the same")
    parser.add_argument("--workers", type=positive_count, metavar="N", help="meshes at once (default: one a core)")
    parser.add_argument(
        "--again",
        action="store_true",
        help="measure what is measured, too, for a change of the answers; models that are trained are used",
    )
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal tables (default 0)")
    add_device(parser)


def _bench(options: argparse.Namespace) -> int:
    from rich.console import Console

    from ..bench.experiment import Setup
    from ..bench.report import write_report
    from ..bench.run import bench

    options.output.mkdir(parents=True, exist_ok=True)
    setup = Setup(options.output, options.teacher, options.preset, options.seed, options.device, options.dataset)
    with Display() as display:
        names = options.experiment or ()
        records, failures = bench(setup, names, options.limit, options.workers, display, options.again)
        display.show("report", 1.0, None)
        write_report(setup, records, failures, Console(width=None if sys.stdout.isatty() else 160))
    print(f"Written: {options.output / 'table.md'}, times.md, results.json and pictures.")
    return FAILURE if failures else 0
