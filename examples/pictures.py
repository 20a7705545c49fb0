"""Draws what the demo (suzanne.py) did, with the engine's own drawing: every step from six sides.

python pictures.py FOLDER [HERO]    FOLDER/steps.npz to FOLDER/steps.png; HERO: the README's picture, to this file
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from iseg_core.render.figures import contact_sheet, draw_views
from iseg_core.system.atomic_file import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN = (0, 2, 3)  # the steps in the README's picture


class Step(NamedTuple):
    """Step of the demo as suzanne.py has saved it: caption, mesh (Y up), probability of each vertex, clicks."""

    caption: str
    vertices: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32
    weights: np.ndarray  # [V] float32
    clicks: np.ndarray  # [K, 2] int64: vertex, 1 to include

    @property
    def made(self) -> list[tuple[int, bool]]:
        return [(int(vertex), bool(include)) for vertex, include in self.clicks]

    @property
    def dots(self) -> list[tuple[np.ndarray, bool]]:
        """Where the clicks are [3], and whether they include."""
        return [(self.vertices[vertex], include) for vertex, include in self.made]


def load(path: Path) -> list[Step]:
    """Read the steps of a file that suzanne.py wrote."""
    with np.load(path) as file:
        count = len(file.files) // len(Step._fields)
        steps = [Step(*(file[f"{name} {number}"] for name in Step._fields)) for number in range(count)]
    return [step._replace(caption=str(step.caption)) for step in steps]


def draw_steps(steps: list[Step], size: int = 300) -> "Image":
    """Every step from six sides, on one sheet."""
    pictures = [draw_views(step.vertices, step.faces, step.weights, step.dots, size) for step in steps]
    captions = [f"{number}. {step.caption} ({signs(step)})" for number, step in enumerate(steps, 1)]
    return contact_sheet(pictures, captions, columns=2)


def draw_hero(steps: list[Step], size: int = 560) -> "Image":
    """Draw the README's picture: a few steps, each from the front, without the white around the shape."""
    shown = [steps[i] for i in SHOWN]
    pictures = [draw_views(s.vertices, s.faces, s.weights, s.dots, size, views=1) for s in shown]
    drawn = np.any([np.asarray(picture) < 255 for picture in pictures], axis=(0, 3))  # [H, W]
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))  # [R], [C]
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + size // 30)  # the last: air above the captions
    pictures = [picture.crop(box) for picture in pictures]
    return contact_sheet(pictures, [step.caption for step in shown], columns=len(shown))


def signs(step: Step) -> str:
    """Write the clicks of a step as + and -."""
    return " ".join("+" if include else "-" for _, include in step.dots)


def save(image: "Image", path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_write(path) as file:
        image.save(file, format="png", optimize=True)


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    try:
        steps = load(folder / "steps.npz")
        save(draw_steps(steps), folder / "steps.png")
        if len(sys.argv) == 3:
            save(draw_hero(steps), Path(sys.argv[2]))
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror}"
        print(f"The pictures could not be drawn: {reason}. Let `python build.py demo` make them.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
