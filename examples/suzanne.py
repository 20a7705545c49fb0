"""The demo: train on Blender's monkey, click her parts, and show what came out. `python build.py demo` runs it.

    python suzanne.py --blender-python PYTHON --out FOLDER [--preset PRESET] [--hero PICTURE]

PYTHON is one with the module bpy: it makes Suzanne and writes the .blend (bpy_suzanne.py); all the rest runs here.
FOLDER gets a picture of every step, the model and the .blend. --hero also draws the README's picture from the same run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

# Threads that spin while they wait slow training down several times as soon as another program wants the cores. It has
# to be said before anything loads them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import iseg_core as iseg
from iseg_core.cli import Display
from iseg_core.draw import contact_sheet, draw_views
from iseg_core.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

# Where to click, as positions and not as vertices: their order is Blender's own affair. Y is up and Suzanne looks along
# +Z, so her left is +X. The eyes are shells of their own.
LEFT_EAR = (1.068, 0.203, -0.389)  # the middle of the hollow
LEFT_EYE = (0.352, 0.243, 0.818)  # the middle of the iris
RIGHT_EYE = (-0.352, 0.243, 0.818)

Position = tuple[float, float, float]


class Step(NamedTuple):
    """Clicks as (position, include), what they say, and the vertex group that their answer becomes."""

    caption: str
    clicks: tuple[tuple[Position, bool], ...]
    group: str | None = None


STEPS = (
    Step("An ear: one click", ((LEFT_EAR, True),), "left ear"),
    Step("An eye: one click", ((LEFT_EYE, True),)),
    Step("Both eyes: a second click", ((LEFT_EYE, True), (RIGHT_EYE, True)), "eyes"),
    # A vertex that is included stays inside; so the second click is turned round, not joined by a third.
    Step("One of them excluded", ((LEFT_EYE, True), (RIGHT_EYE, False)), "left eye"),
)
HERO = (0, 2, 3)  # the steps in the README's picture


class Answer(NamedTuple):
    """What came out of a step."""

    step: Step
    clicks: list[tuple[int, bool]]  # as (vertex, include)
    probability: np.ndarray  # [V] float32
    milliseconds: float

    @property
    def inside(self) -> np.ndarray:
        """The vertices of the part. [V] bool"""
        return self.probability >= 0.5  # [V]


def main() -> int:
    options = _parser().parse_args()
    try:
        run(options.blender_python, options.out, options.preset, options.hero)
    except KeyboardInterrupt:
        return 130  # build.py says the rest
    except iseg.IsegError as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        remedy = "Put that right, or let `python build.py demo` set everything up and choose the folder."
        print(f"The demo failed: {error.filename or 'a file'}: {error.strerror}. {remedy}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"The demo failed in Blender's part:\n{(error.stderr or error.stdout).strip()}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train on Blender's monkey and click her parts.")
    parser.add_argument("--blender-python", type=Path, required=True, help="a Python that has the module bpy")
    parser.add_argument("--out", type=Path, required=True, help="folder for what the demo makes")
    parser.add_argument("--preset", default="standard", help="draft, standard (default) or paper")
    parser.add_argument("--hero", type=Path, metavar="PICTURE", help="also draw the README's picture to this file")
    return parser


def run(blender_python: Path, out: Path, preset: str, hero: Path | None) -> None:
    """The demo from end to end. Raises IsegError, OSError, or CalledProcessError with what Blender's part printed."""
    out.mkdir(parents=True, exist_ok=True)
    model_file, blend_file, sheet_file = out / "suzanne.iseg", out / "suzanne.blend", out / "steps.png"
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="iseg-demo-") as exchange:
        with timed(seconds, "Suzanne out of Blender"):
            suzanne = Path(exchange) / "suzanne.npz"
            blender(blender_python, "export", suzanne)
            with np.load(suzanne) as arrays:
                vertices, quads, triangles = (arrays[key] for key in ("vertices", "quads", "triangles"))
        print(f"Suzanne: {len(vertices):,} vertices, {len(triangles):,} triangles")
        print(f"Training with preset {preset}, taught by the embedded geometric teacher", flush=True)
        with timed(seconds, "training"), Display() as display:
            model = iseg.train((vertices, triangles), preset=preset, progress=display)
        seconds |= {f"  {stage}": value for stage, value in model.info["seconds"].items()}
        with timed(seconds, "model saved"):
            model.save(model_file)
        with timed(seconds, "clicks answered"):
            answers = answer(iseg.Segmenter(model), vertices)
        with timed(seconds, "pictures"):
            save(draw_steps(vertices, triangles, answers), sheet_file)
            if hero:
                save(draw_hero(vertices, triangles, answers), hero)
        with timed(seconds, "Blender file"):
            parts = Path(exchange) / "parts.npz"
            names, weights = groups(answers)
            np.savez(parts, vertices=vertices, faces=quads, names=np.array(names), weights=weights)
            blender(blender_python, "blend", parts, blend_file)

    seconds["all together"] = time.perf_counter() - began
    print("\n" + table_of_clicks(answers))
    print("\n" + table_of_seconds(seconds))
    vertex = answers[0].clicks[0][0]
    print(
        "\nLook at\n"
        f"  {sheet_file}: every step from six sides\n"
        f"  {blend_file}: the parts as vertex groups\n"
        f"  {model_file}: the model. Ask it about another vertex:\n"
        f"    {near(sys.executable)} -m iseg_core segment {model_file} --positive {vertex} --png {out / 'click.png'}"
    )


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note the time that the block took."""
    began = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - began


def blender(python: Path, *arguments: str | Path) -> None:
    """Run Blender's side of the demo; CalledProcessError where it fails. -I keeps all other modules out of its way."""
    script = Path(__file__).with_name("bpy_suzanne.py")
    subprocess.run([python, "-I", script, *arguments], check=True, capture_output=True, text=True, errors="replace")


def answer(segmenter: iseg.Segmenter, vertices: np.ndarray) -> list[Answer]:
    """The answers to all steps, on vertices [V, 3]."""
    answers = []
    for step in STEPS:
        clicks = [(nearest(vertices, position), include) for position, include in step.clicks]
        began = time.perf_counter()
        probability = segmenter.segment(clicks=clicks)  # [V]
        answers.append(Answer(step, clicks, probability, (time.perf_counter() - began) * 1e3))
    return answers


def nearest(vertices: np.ndarray, position: Position) -> int:
    """The vertex of [V, 3] that is nearest to a position."""
    return int(np.linalg.norm(vertices - np.array(position), axis=1).argmin())


def groups(answers: list[Answer]) -> tuple[list[str], np.ndarray]:
    """Names [G] of the vertex groups and their weights [G, V]: 1 in the part, 0 elsewhere."""
    kept = {answer.step.group: answer.inside for answer in answers if answer.step.group}
    return list(kept), np.stack(list(kept.values())).astype(np.float32)  # [G, V]


def draw_steps(vertices: np.ndarray, faces: np.ndarray, answers: list[Answer], size: int = 300) -> "Image":
    """Every step from six sides, on one sheet."""
    pictures = [draw_views(vertices, faces, a.probability, a.clicks, size) for a in answers]
    captions = [f"{number}. {a.step.caption} ({signs(a)})" for number, a in enumerate(answers, 1)]
    return contact_sheet(pictures, captions, columns=2)


def draw_hero(vertices: np.ndarray, faces: np.ndarray, answers: list[Answer], size: int = 560) -> "Image":
    """The README's picture: a few steps, each from the front, without the white around the shape."""
    shown = [answers[i] for i in HERO]
    pictures = [draw_views(vertices, faces, a.probability, a.clicks, size, views=1, columns=1) for a in shown]
    drawn = np.any([np.asarray(picture) < 255 for picture in pictures], axis=(0, 3))  # [H, W]
    rows, columns = (np.flatnonzero(drawn.any(axis=axis)) for axis in (1, 0))  # [R], [C]
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + size // 30)  # the last: air above the captions
    pictures = [picture.crop(box) for picture in pictures]
    return contact_sheet(pictures, [a.step.caption for a in shown], columns=len(shown))


def save(image: "Image", path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with atomic_write(path) as file:
        image.save(file, format="png", optimize=True)


def signs(answer: Answer) -> str:
    """The clicks of a step as + and -."""
    return " ".join("+" if include else "-" for _, include in answer.clicks)


def table_of_clicks(answers: list[Answer]) -> str:
    rows = ["Clicks (the first one also sets up what the others share)"]
    for a in answers:
        share = f"{a.inside.sum():,} of {len(a.probability):,} vertices"
        rows.append(f"  {a.step.caption:<26} {signs(a):<4} {share:<24} {a.milliseconds:5.0f} ms")
    return "\n".join(rows)


def table_of_seconds(seconds: dict[str, float]) -> str:
    return "\n".join(["Time", *(f"  {name:<26} {value:6.1f} s" for name, value in seconds.items())])


def near(path: str) -> str:
    """A path as it can be typed from here: relative where it is below this folder."""
    here = os.getcwd() + os.sep
    return path.removeprefix(here)


if __name__ == "__main__":
    sys.exit(main())
