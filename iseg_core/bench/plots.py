"""Style that the report's plots share. matplotlib is imported when the first is drawn."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One colour a method, in every plot the same; told apart also by those who confuse red and green (Okabe and Ito 2008).
COLOURS = {
    "trained": "#0072B2",
    "student": "#56B4E9",
    "instant": "#E69F00",
    "votes": "#7F7F7F",
    "shell": "#CC79A7",
    "joint": "#D55E00",
    "geometry": "#009E73",
}
INK, PALE = "#3C3C42", "#DDDDE0"
DPI = 150


def colour(method: str) -> str:
    """Colour of a method; black for one that has none."""
    return COLOURS.get(method, "#000000")


def figure(width: float, height: float, columns: int = 1, rows: int = 1) -> tuple["Figure", Any]:
    """Make an empty figure of that many inches, and its axes: one, or an array of them as Figure.subplots gives it."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), layout="constrained")
    axes = drawn.subplots(rows, columns)
    for one in drawn.axes:
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(INK)
        one.tick_params(colors=INK, labelsize=9)
        one.grid(axis="y", color=PALE, linewidth=0.7)
        one.set_axisbelow(True)
    return drawn, axes


def legend(axes: Any, **settings: Any) -> None:
    """Draw a legend without a frame."""
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, **settings)


def save(drawn: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a PNG; the same figure gives the same bytes."""
    drawn.savefig(path, dpi=DPI, format="png", metadata={"Software": None})
