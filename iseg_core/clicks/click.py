"""Clicks: prompts that a part includes or excludes, and the granularity that is meant. Standard library only.

A click in the user's hand has a prompt: a vertex, or a point of the surface. What computes has clicks on vertices
(VertexClick), which `resolve` makes of them. Another kind of prompt is one more class in `Prompt`, with its line there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from ..errors import ClickError, SettingsError

TOLERANCE = 1e-3  # of barycentric coordinates: three decimals, as a person types them, are enough


class Granularity(StrEnum):
    """Size of the part that is meant where a click could mean several, from the smallest to the largest.

    fine: the paper's choice; part: the default, best on parts as people draw them. Wherever an array has an axis of
    granularities, they are in this order. An unknown one raises SettingsError.
    """

    FINE = "fine"
    PART = "part"
    WHOLE = "whole"

    @property
    def row(self) -> int:
        """Index of this granularity on such an axis."""
        return list(Granularity).index(self)

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise SettingsError(f"Unknown granularity {value!r}. Choose one of: {', '.join(cls)}.")


@dataclass(frozen=True)
class SurfacePoint:
    """Point of the surface: the index of a triangle, and barycentric coordinates in it (three, their sum is 1).

    Raises ClickError where that is no point of any triangle.
    """

    face: int
    barycentric: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not is_index(self.face):
            raise ClickError(f"There is no face {self.face}: give the index of a triangle.")
        object.__setattr__(self, "face", int(self.face))
        try:
            a, b, c = map(float, self.barycentric)
        except (TypeError, ValueError, OverflowError):
            a = b = c = math.nan
        weights = (a, b, c)
        if not all(map(math.isfinite, weights)):
            raise ClickError(f"{self.barycentric} are no barycentric coordinates. Give three numbers, one a corner.")
        if min(weights) < -TOLERANCE:
            raise ClickError(f"The point {weights} lies outside of its face: no barycentric coordinate is negative.")
        if abs(sum(weights) - 1) > TOLERANCE:
            raise ClickError(f"The barycentric coordinates {weights} sum to {sum(weights):g}. They must sum to 1.")
        object.__setattr__(self, "barycentric", weights)


_SIZES = {Granularity.FINE: 0.25, Granularity.PART: 0.5, Granularity.WHOLE: 0.75}


def size_of(granularity: str | float) -> float:
    """Look up the size that a granularity stands for: fine .25, part .5, whole .75. A number from 0 to 1 is a size.

    0 is the smallest region that a click may mean, 1 the largest. Raises SettingsError for anything else.
    """
    if isinstance(granularity, str):
        return _SIZES[Granularity(granularity)]
    try:
        size = float(granularity)
    except (TypeError, ValueError, OverflowError):
        size = math.nan
    if not 0 <= size <= 1:
        raise SettingsError(
            f"There is no size {granularity!r}. Give a number from 0 to 1, or {', '.join(Granularity)}."
        )
    return size


def granularity_of(size: float) -> Granularity:
    """Return the granularity whose size is closest to a size in 0..1."""
    return min(Granularity, key=lambda granularity: abs(_SIZES[granularity] - size))


Prompt = int | SurfacePoint  # a vertex by its index, or a point between vertices


class Click(NamedTuple):
    """Prompt, and True where the part includes it, False where it excludes it. A plain tuple of both will do."""

    prompt: Prompt
    include: bool


class VertexClick(NamedTuple):
    """Click on a vertex of the mesh or of its proxy, as computations take it. It equals a Click on the same vertex."""

    vertex: int
    include: bool


Clicks = tuple[Click, ...]  # in the order they were made
VertexClicks = tuple[VertexClick, ...]


def is_index(value: Any) -> bool:
    """Tell whether a value of any type is a whole number."""
    try:
        return bool(int(value) == value)
    except (TypeError, ValueError, OverflowError):
        return False


def first_included(clicks: Sequence[tuple[int, bool]]) -> int:
    """Return the first vertex that is to be included. At least one must be."""
    return next(vertex for vertex, include in clicks if include)
