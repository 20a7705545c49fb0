"""The command line: python -m iseg_core train | batch | segment | transfer | bench | info | doctor | fetch | ...

Each command is a function that adds its arguments and one that runs. What is heavy is imported when a command runs, so
that --help answers at once. Results go to stdout; progress and errors go to stderr.
"""

import argparse
import os
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cli_arguments import add_device, add_training, output_file, positive_count
from .cli_batch import add_batch
from .cli_segment import add_segment, add_transfer
from .engine import failure
from .errors import Cancelled, IsegError, ModelFileError, SettingsError, is_out_of_memory
from .version import __version__

if TYPE_CHECKING:
    from .mesh import Mesh
    from .progress import Progress
    from .proxy import Proxy

USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 (it failed), 2 (wrong arguments) or 130 (Ctrl-C)."""
    options = _parser().parse_args(arguments)
    # Threads that spin while they wait slow training down several times as soon as another program wants the cores.
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
    except (MemoryError, RuntimeError, OSError, ModuleNotFoundError) as error:
        sentence = _known(error)
        if sentence is None:
            raise
        return _fail(f"error: {sentence}", FAILURE)


def _known(error: Exception) -> str | None:
    """What to do about an error that is not ours and no defect of ours; None of any other."""
    if is_out_of_memory(error):
        return "there is not enough memory. Close other programs, or use `--preset draft`."
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] != __package__:
        remedy = "`python -m iseg_core doctor` says how to get what is missing"
        return f"the Python package {error.name} is missing; {remedy}."
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}. Nothing was written. {failure.remedy(error)}"
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
        _add_train,
        add_batch,
        add_segment,
        add_transfer,
        _add_bench,
        _add_info,
        _add_doctor,
        _add_fetch,
        _add_cache,
        _add_engine,
    ):
        add(commands)
    return parser


# train


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="learn a mesh",
        description="Learn a mesh; the model answers clicks. The same command goes on where a run was interrupted.",
    )
    parser.set_defaults(run=_train)
    parser.add_argument("mesh", metavar="MESH", help="OBJ, PLY, OFF, STL, glTF or GLB file")
    parser.add_argument("-o", "--output", metavar="MODEL", type=output_file, required=True, help="model file (.iseg)")
    add_training(parser, weights="an official weights file, in place of --teacher")
    add_device(parser)


def _train(options: argparse.Namespace) -> None:
    with Display() as display:
        display.show("start", 0.0, None)  # importing takes a moment, too
        from iseg_core import train

        from .cache import Cache

        began, checkpoint = time.perf_counter(), Cache.of_user().checkpoint()
        try:
            model = train(
                options.mesh,
                teacher=options.weights or options.teacher,
                preset=options.preset,
                seed=options.seed,
                device=options.device,
                progress=display,
                checkpoint=checkpoint,
            )
            seconds = time.perf_counter() - began
            model.save(options.output)
        except ModelFileError:  # a fit that diverged: its checkpoint would lead there for ever
            checkpoint.remove()
            raise
        except KeyboardInterrupt:
            remedy = "The same command goes on from its last checkpoint"
            raise Cancelled(f"Cancelled; no model was written. {remedy}.") from None
        checkpoint.remove()
    print(f"{options.output}: {len(model.mesh.vertices):,} vertices, trained in {seconds:.1f} s.")
    print(f"Ask it: python -m iseg_core segment {options.output} --positive VERTEX --png picture.png")


# bench


def _add_bench(commands: Any) -> None:
    parser = commands.add_parser(
        "bench",
        help="measure on labelled meshes",
        description="Measure on meshes that people labelled: simulated clicks, baselines, the paper's experiments. "
        "The same command goes on where it was stopped.",
    )
    parser.set_defaults(run=_bench)
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        type=Path,
        help="folder with the Princeton benchmark's off/ and seg/, or with meshes and label files of the same name "
        "(.seg, .txt: line i is the part of face i)",
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the report")
    parser.add_argument(
        "--experiment",
        nargs="+",
        metavar="NAME",
        help="default: clicks otsu; also stability, separate, counts, occluded, transfer, fidelity, or all",
    )
    parser.add_argument("--teacher", default="geometric", help="geometric (default), sam_vit_b, ..., or a weights file")
    parser.add_argument("--preset", default="standard", help="draft, standard (default) or paper")
    parser.add_argument("--limit", type=positive_count, metavar="N", help="the first N meshes only")
    parser.add_argument("--workers", type=positive_count, metavar="N", help="meshes at once (default: one a core)")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal tables (default 0)")
    add_device(parser)


def _bench(options: argparse.Namespace) -> int:
    from rich.console import Console

    from .bench.experiment import Setup
    from .bench.report import write_report
    from .bench.run import DEFAULT, bench, experiments

    options.output.mkdir(parents=True, exist_ok=True)
    setup = Setup(options.output, options.teacher, options.preset, options.seed, options.device, options.dataset)
    names = list(experiments()) if options.experiment == ["all"] else options.experiment or DEFAULT
    with Display() as display:
        records, failures = bench(setup, names, options.limit, options.workers, display)
        display.show("report", 1.0, None)
        write_report(setup, records, failures, Console(width=None if sys.stdout.isatty() else 160))
    print(f"Written: {options.output / 'table.md'}, times.md, results.json and pictures.")
    return FAILURE if failures else 0


# info


def _add_info(commands: Any) -> None:
    parser = commands.add_parser("info", help="say what a model file is", description="Say what a model file is.")
    parser.set_defaults(run=_info)
    parser.add_argument("model", metavar="MODEL", help="a file that `train` made")


def _info(options: argparse.Namespace) -> None:
    from .store import Model

    model = Model.load(options.model)
    info = dict(model.info)
    seconds = info.pop("seconds", {})
    weights = sum(array.size for array in model.networks.values())
    rows = {
        "file": f"{options.model}, {os.path.getsize(options.model) / 1e6:.1f} MB",
        "mesh": f"{_counts(model.mesh)}, sha256 {model.mesh.hash[:16]}",
        "proxy": _counts(model.proxy),
        "networks": f"{weights:,} weights on {model.features.shape[1]} features a vertex",
        **{key.replace("_", " "): str(value) for key, value in info.items()},
        "seconds": ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items()),
        "settings": ", ".join(f"{key} {value}" for key, value in model.settings.items()),
    }
    width = max(map(len, rows))
    for key, value in rows.items():
        indent = " " * (width + 2)
        print(textwrap.fill(f"{key:{width}}  {value}", 120, subsequent_indent=indent, break_long_words=False))


def _counts(mesh: "Mesh | Proxy") -> str:
    return f"{len(mesh.vertices):,} vertices, {len(mesh.faces):,} faces"


# doctor


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor", help="check this machine", description="Say what is here, what is missing and how to get it."
    )
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from .doctor import examine

    findings = examine()
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        mark = " " if finding.remedy is None else "!" if finding.required else "-"
        print(f"{mark} {finding.topic:{width}}  {finding.value}" + (f" {finding.remedy}" if finding.remedy else ""))
    broken = [finding.topic for finding in findings if finding.remedy and finding.required]
    print(f"\nNot ready: {', '.join(broken)}." if broken else "\nReady: `--teacher geometric` runs on this machine.")
    return FAILURE if broken else 0


# fetch


def _add_fetch(commands: Any) -> None:
    parser = commands.add_parser(
        "fetch", help="download a 2D model", description="Download the official weights of a 2D model and check them."
    )
    parser.set_defaults(run=_fetch)
    parser.add_argument("name", metavar="NAME", help="sam_vit_b, sam_vit_l or sam_vit_h")


def _fetch(options: argparse.Namespace) -> None:
    from .weights import fetch

    try:
        with Display() as display:
            path = fetch(options.name, progress=display)
    except KeyboardInterrupt:
        raise Cancelled("Cancelled. What has arrived is kept: the same command goes on from there.") from None
    print(f"{path} is complete. Use it: python -m iseg_core train MESH -o MODEL --teacher {options.name}")


# cache


def _add_cache(commands: Any) -> None:
    parser = commands.add_parser(
        "cache",
        help="say what the cache holds, or clear it",
        description="Say where the models of Blender's meshes and the checkpoints of trainings are kept and how large "
        "they are. What was not used for longest goes first where they exceed the limit, which the environment "
        "variable ISEG_CACHE_LIMIT sets in GB.",
    )
    parser.set_defaults(run=_cache)
    parser.add_argument("--clear", action="store_true", help="remove them all (not the weights of 2D models)")


def _cache(options: argparse.Namespace) -> None:
    from .cache import Cache, limit

    cache = Cache.of_user()
    usage = cache.clear() if options.clear else cache.usage()
    done = "Removed" if options.clear else f"{cache.folder}:"
    models, checkpoints = (
        f"{count:,} {name}{'s' * (count != 1)}"
        for count, name in ((usage.models, "model"), (usage.checkpoints, "checkpoint"))
    )
    bound = "" if options.clear else f" of at most {limit() / 1e9:g} GB"
    print(f"{done} {models} and {checkpoints}, {usage.bytes / 1e6:,.1f} MB{bound}.")


# engine


def _add_engine(commands: Any) -> None:
    parser = commands.add_parser(
        "engine",
        help="serve Blender",
        description="Serve requests on stdin with answers on stdout until stdin ends; Blender starts this by itself.",
    )
    parser.set_defaults(run=_engine)


def _engine(options: argparse.Namespace) -> None:
    from .engine.server import main

    main()


# progress


class Display:
    """Shows Progress: a bar on a terminal, else a line for each stage and tenth of the way. A ProgressCallback."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._said = ("", -1)

    def __enter__(self) -> "Display":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            columns = (
                TextColumn("{task.description:<10}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=1.0, left="")
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: "Progress") -> None:
        self.show(*progress)

    def show(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        left = "" if seconds_left is None else f"{seconds_left:.0f} s left"
        if self._bar is not None:
            self._bar.update(self._task, description=stage, completed=fraction, left=left)
        elif (now := (stage, int(fraction * 10))) != self._said:
            self._said = now
            print(f"{stage}: {100 * fraction:.0f} %" + (f", {left}" if left else ""), file=sys.stderr, flush=True)
