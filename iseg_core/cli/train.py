"""Command train."""

import argparse
import time
from typing import Any

from ..errors import Cancelled, ModelFileError
from .arguments import add_device, add_marks, add_training, output_file
from .display import Display

# train


def add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="learn a mesh",
        description="Learn a mesh; the model answers clicks. The same command goes on where a run was interrupted.",
    )
    parser.set_defaults(run=_train)
    parser.add_argument("mesh", metavar="MESH", help="OBJ, PLY, OFF, STL, glTF or GLB file")
    parser.add_argument("-o", "--output", metavar="MODEL", type=output_file, required=True, help="model file (.iseg)")
    add_training(parser, weights="an official weights file, in place of --teacher")
    add_marks(parser)
    add_device(parser)


def _train(options: argparse.Namespace) -> None:
    with Display() as display:
        display.show("start", 0.0, None)  # importing takes a moment, too
        from .. import load_mesh, train
        from ..storage.cache import Cache

        began, checkpoint = time.perf_counter(), Cache.of_user().checkpoint()
        try:
            model = train(
                load_mesh(options.mesh, marks=False) if options.ignore_marks else options.mesh,
                teacher=options.weights or options.teacher,
                preset=options.preset,
                seed=options.seed,
                device=options.device,
                progress=display,
                checkpoint=checkpoint,
            )
            seconds = time.perf_counter() - began
            model.save(options.output)
        except ModelFileError:  # a fit that diverged: it would again from its checkpoint
            checkpoint.remove()
            raise
        except KeyboardInterrupt:
            remedy = "The same command goes on from its last checkpoint"
            raise Cancelled(f"Cancelled; no model was written. {remedy}.") from None
        checkpoint.remove()
    print(f"{options.output}: {len(model.mesh.vertices):,} vertices, trained in {seconds:.1f} s.")
    print(f"Ask it: python -m iseg_core segment {options.output} --positive VERTEX --png picture.png")
