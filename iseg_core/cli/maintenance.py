"""Commands about this installation: info, doctor, fetch, cache, engine."""

import argparse
import os
import textwrap
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled
from ..teachers.registry import DEFAULT_TEACHER, weights_files
from .arguments import FAILURE, one_of
from .display import Display

if TYPE_CHECKING:
    from ..geometry.mesh import Mesh
    from ..geometry.proxy import Proxy

# info


def add_info(commands: Any) -> None:
    parser = commands.add_parser("info", help="say what a model file is", description="Say what a model file is.")
    parser.set_defaults(run=_info)
    parser.add_argument("model", metavar="MODEL", help="a file that `train` made")


def _info(options: argparse.Namespace) -> None:
    from ..storage.trained_model import Model

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


def add_doctor(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor", help="check this machine", description="Say what is here, what is missing and how to get it."
    )
    parser.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from ..doctor import examine

    findings = examine()
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        mark = " " if finding.remedy is None else "!" if finding.required else "-"
        print(f"{mark} {finding.topic:{width}}  {finding.value}" + (f" {finding.remedy}" if finding.remedy else ""))
    broken = [finding.topic for finding in findings if finding.remedy and finding.required]
    print(
        f"\nNot ready: {', '.join(broken)}."
        if broken
        else f"\nReady: `--teacher {DEFAULT_TEACHER}` runs on this machine."
    )
    return FAILURE if broken else 0


# fetch


def add_fetch(commands: Any) -> None:
    parser = commands.add_parser(
        "fetch", help="download a 2D model", description="Download the official weights of a 2D model and check them."
    )
    parser.set_defaults(run=_fetch)
    parser.add_argument("name", metavar="NAME", help=one_of(list(weights_files())))


def _fetch(options: argparse.Namespace) -> None:
    from ..teachers.weights import fetch

    try:
        with Display() as display:
            path = fetch(options.name, progress=display)
    except KeyboardInterrupt:
        raise Cancelled("Cancelled. What has arrived is kept: the same command goes on from there.") from None
    print(f"{path} is complete. Use it: python -m iseg_core train MESH -o MODEL --teacher {options.name}")


# cache


def add_cache(commands: Any) -> None:
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
    from ..storage.cache import Cache, limit

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


def add_engine(commands: Any) -> None:
    parser = commands.add_parser(
        "engine",
        help="serve Blender",
        description="Serve requests on stdin with answers on stdout until stdin ends; Blender starts this by itself.",
    )
    parser.set_defaults(run=_engine)


def _engine(options: argparse.Namespace) -> None:
    from ..engine.server import main

    main()
