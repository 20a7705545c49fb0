"""Like parts: regions of one size and spread, wherever they lie, turned or mirrored: two ears, four legs."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .surface import Surface

LIKE = 0.0375  # of the larger one's greatest measure, by which the measures of like parts may differ


class LikeParts(NamedTuple):
    """One region of each of several clicks, all alike and none touching another."""

    rows: tuple[int, ...]  # number of each region among those of its click
    union: np.ndarray  # [P] bool
    unlike: float  # greatest difference of their measures, of the greatest measure


def shape_measures(surface: Surface, regions: np.ndarray) -> np.ndarray:
    """Root of the area of regions [N, P] bool, and their spread along their principal axes. [N, 4]"""
    x, y, z = surface.vertices.T  # [P] each
    columns = [np.ones_like(x), x, y, z, x * x, x * y, x * z, y * y, y * z, z * z]
    moments = regions.astype(np.float64) @ (np.stack(columns, axis=1) * surface.mass[:, None])  # [N, 10]
    area = np.maximum(moments[:, 0], 1e-12)  # [N]
    middle, products = moments[:, 1:4] / area[:, None], moments[:, 4:] / area[:, None]  # [N, 3], [N, 6]
    spread = products[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)  # [N, 3, 3]
    spread = spread - middle[:, :, None] * middle[:, None, :]
    axes = np.sqrt(np.maximum(np.linalg.eigvalsh(spread), 0))  # [N, 3]
    return np.concatenate([np.sqrt(area * surface.area)[:, None], axes], axis=1)


def find_like_parts(
    surface: Surface, regions: Sequence[np.ndarray], measures: Sequence[np.ndarray], most: float = LIKE
) -> Iterator[LikeParts]:
    """Yield sets of like parts: of each click one of its regions [N, P] bool, whose measures are [N, 4].

    The same sets in whatever order the clicks come. most: of the greatest measure, by which they may differ.
    """
    templates = np.concatenate(measures)  # [T, 4] every region of every click
    greatest = np.maximum(templates.max(axis=1), 1e-12)[:, None]  # [T, 1]
    rows, unlike = [], np.zeros(len(templates))  # [T]
    for measure in measures:
        apart = np.abs(templates[:, None] - measure[None]).max(axis=2) / greatest  # [T, N]
        rows.append(apart.argmin(axis=1))
        unlike = np.maximum(unlike, apart.min(axis=1))  # [T]
    seen: set[tuple[int, ...]] = set()
    for template in np.flatnonzero(unlike < most):
        chosen = tuple(int(row[template]) for row in rows)
        if chosen not in seen:
            seen.add(chosen)
            union = _apart(surface, [some[k] for some, k in zip(regions, chosen, strict=True)])
            if union is not None:
                yield LikeParts(chosen, union, float(unlike[template]))


def touched(surface: Surface, region: np.ndarray) -> np.ndarray:
    """Region [P] bool with the vertices that an edge joins to it. [P] bool"""
    i, j = surface.ends  # [E] each
    wider = region.copy()  # [P]
    wider[i[region[j]]] = wider[j[region[i]]] = True
    return wider


def _apart(surface: Surface, parts: Sequence[np.ndarray]) -> np.ndarray | None:
    """Unite parts [P] bool; None where two of them overlap or touch. [P] bool"""
    union = np.zeros_like(parts[0])  # [P]
    for part in parts:
        if (part & touched(surface, union)).any():
            return None
        union |= part
    return union
