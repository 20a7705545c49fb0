"""Commands that answer clicks: segment, and transfer from one mesh to another."""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..clicks.click import Click, Granularity, Prompt, SurfacePoint, size_of
from ..errors import ClickError, SettingsError
from ..teachers.registry import is_geometric
from .arguments import add_device, add_marks, output_file

if TYPE_CHECKING:
    import numpy as np

    from ..geometry.mesh import Mesh
    from ..render.figures import Dot


def add_segment(commands: Any) -> None:
    parser = commands.add_parser(
        "segment",
        help="answer clicks",
        description="Answer clicks. They count in the order in which they are given. A CLICK is a vertex (12) or a "
        "point in a triangle (f7:.2,.3,.5: its index and barycentric coordinates).",
        usage="%(prog)s (MODEL | --instant MESH) --positive CLICK ... [--negative CLICK ...] [options]",
    )
    parser.set_defaults(run=_segment)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("model", metavar="MODEL", nargs="?", help="a file that `train` made")
    source.add_argument("--instant", metavar="MESH", help="a mesh file: answered by geometry alone, without training")
    add_marks(parser)
    parser.add_argument(
        "--plain",
        action="store_true",
        help="the decoder's own answer, as in the paper: not corrected by geometry, it need not honour the clicks",
    )
    _add_clicks(parser, "the part")


def add_transfer(commands: Any) -> None:
    parser = commands.add_parser(
        "transfer",
        help="answer clicks made on another mesh",
        description="What clicks on SOURCE mean on TARGET, by the features of the clicked vertices. Both were trained "
        "with the same teacher. The answer is the decoder's own, without refinement.",
        usage="%(prog)s SOURCE TARGET --positive CLICK ... [--negative CLICK ...] [options]",
    )
    parser.set_defaults(run=_transfer)
    parser.add_argument("source", metavar="SOURCE", help="model of the mesh that is clicked")
    parser.add_argument("target", metavar="TARGET", help="model of the mesh that is segmented")
    _add_clicks(parser, "the part of SOURCE's mesh")


def _segment(options: argparse.Namespace) -> None:
    _need_clicks(options)
    import iseg_core as iseg

    from ..clicks.resolve import check_clicks, position_of

    if options.instant is not None:
        mesh = iseg.load_mesh(options.instant, marks=not options.ignore_marks)
        segmenter = iseg.instant(mesh)
    else:
        model = iseg.load(options.model)
        mesh, segmenter = model.mesh, iseg.Segmenter(model, device=options.device)
    if options.plain:
        segmenter = segmenter.plain
    began = time.perf_counter()
    answer = segmenter.segment(clicks=options.clicks, granularity=options.granularity, domain=options.domain)
    seconds = time.perf_counter() - began
    dots = [(position_of(prompt, mesh), include) for prompt, include in check_clicks(options.clicks, mesh)]
    _deliver(options, mesh, answer, dots, seconds)


def _transfer(options: argparse.Namespace) -> None:
    _need_clicks(options)
    import iseg_core as iseg

    source, target = (iseg.Segmenter(iseg.load(path), options.device) for path in (options.source, options.target))
    began = time.perf_counter()
    probability = target.transfer(source, options.clicks, options.granularity, options.domain)  # [V] or [F]
    seconds = time.perf_counter() - began
    teacher = target.model.info.get("teacher")
    if is_geometric(teacher) and target.model.mesh.hash != source.model.mesh.hash:
        note = (
            f"note: the features of the teacher {teacher} belong to one shape and mean little on another. "
            "For different shapes, train both with a sam teacher."
        )
        print(note, file=sys.stderr)
    _deliver(options, target.model.mesh, probability, (), seconds)


def _add_clicks(parser: argparse.ArgumentParser, part: str) -> None:
    """Add the arguments for clicks, granularity and the files of the answer."""
    parser.set_defaults(usage_error=parser.error)
    for name, help in (("positive", f"clicks inside {part}"), ("negative", f"clicks outside {part}")):
        parser.add_argument(
            f"--{name}",
            dest="clicks",
            action=_AddClicks,
            type=_prompt,
            nargs="+",
            metavar="CLICK",
            default=[],
            help=help,
        )
    parser.add_argument(
        "--granularity",
        type=_granularity,
        default="part",
        metavar="fine|part|whole|0..1",
        help="what the first click means where it could mean several parts: a name, or a number from 0, the smallest, "
        "to 1, the largest (fine .25, part .5, whole .75; default: part)",
    )
    parser.add_argument(
        "--domain",
        choices=["vertex", "face"],
        default="vertex",
        help="what is answered for: every vertex (default), or every face, a triangle, which a low-poly mesh asks for",
    )
    parser.add_argument(
        "--threshold",
        type=_threshold,
        default=0.5,
        metavar="auto|0..1",
        help="probability from which the printed count takes a vertex or face (default 0.5; auto: Otsu's)",
    )
    parser.add_argument("-o", "--output", metavar="FILE.npy", type=output_file, help="probabilities float32")
    parser.add_argument("--ply", metavar="FILE.ply", type=output_file, help="the mesh with colours and probabilities")
    parser.add_argument("--png", metavar="FILE.png", type=output_file, help="six views of the answer")
    add_device(parser)


class _AddClicks(argparse.Action):
    """Action that collects --positive and --negative in one list of clicks, in the order of the command line."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        include = self.option_strings == ["--positive"]  # option_string may be an abbreviation
        namespace.clicks = namespace.clicks + [Click(prompt, include) for prompt in values]


def _prompt(text: str) -> Prompt:
    """Parse a prompt: a vertex as 12, a point of the surface as f7:.2,.3,.5."""
    try:
        if not text.startswith("f"):
            return int(text)
        face, _, weights = text[1:].partition(":")
        a, b, c = map(float, weights.split(","))
        return SurfacePoint(int(face), (a, b, c))
    except ClickError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is neither a vertex (12) nor a point (f7:.2,.3,.5)") from None


def _granularity(text: str) -> str | float:
    """Parse a granularity: a name, or a size."""
    try:
        size_of(known := text if text.isalpha() else float(text))
    except (SettingsError, ValueError):
        names = ", ".join(Granularity)
        raise argparse.ArgumentTypeError(f"{text} is neither one of {names} nor a number from 0 to 1") from None
    return known


def _need_clicks(options: argparse.Namespace) -> None:
    if not options.clicks:
        options.usage_error("there is no click: give one or more with --positive")


def _threshold(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is neither auto nor a number between 0 and 1")
    return value


def _deliver(
    options: argparse.Namespace,
    mesh: "Mesh",
    probability: "np.ndarray",
    dots: "Sequence[Dot]",
    seconds: float,
) -> None:
    """Write the answer's files and print its size. probability [V] or [F]; dots: the clicks to draw."""
    import numpy as np

    with ExitStack() as files:  # every file gets its name when all are complete
        from ..system.atomic_file import atomic_write

        if options.output:
            np.save(files.enter_context(atomic_write(options.output)), probability)
        if options.ply:
            from ..render.figures import encode_ply

            files.enter_context(atomic_write(options.ply)).write(encode_ply(mesh, probability, options.domain))
        if options.png:
            from ..render.figures import draw_views

            sheet = draw_views(mesh.vertices, mesh.faces, probability, dots, domain=options.domain)
            sheet.save(files.enter_context(atomic_write(options.png)), format="png")

    threshold = options.threshold
    if threshold == "auto":
        from ..inference.threshold import otsu

        threshold = otsu(probability)
    count, total = int((probability >= threshold).sum()), len(probability)
    elements = "vertices" if options.domain == "vertex" else "faces"
    print(
        f"{count:,} of {total:,} {elements} ({100 * count / total:.1f} %) have a probability of {threshold:.2f} or "
        f"more; answered in {1e3 * seconds:.0f} ms."
    )
