"""Mirrored clicks and connected components of regions: pure functions, numpy only."""

from collections.abc import Callable

import numpy as np

from ..core import Click, Clicks, Prompt
from .geometry import Geometry, counts

Signs = tuple[int, int, int]  # of the axes: -1 where it is mirrored


def mirrored(clicks: Clicks, axes: tuple[bool, bool, bool], image: Callable[[Prompt, Signs], Prompt]) -> Clicks:
    """Return the clicks, followed by their mirror images, which `image` finds.

    An image on a vertex or point that is clicked already is left out.
    """
    made = dict(clicks)
    for x in (1, -1)[: 1 + axes[0]]:
        for y in (1, -1)[: 1 + axes[1]]:
            for z in (1, -1)[: 1 + axes[2]]:
                signs = (x, y, z)
                if signs == (1, 1, 1):
                    continue
                for prompt, include in clicks:
                    made.setdefault(image(prompt, signs), include)
    return tuple(Click(prompt, include) for prompt, include in made.items())


def connected_to(inside: np.ndarray, geometry: Geometry, seeds: list[int]) -> np.ndarray:
    """Those of the polygons inside [P] bool from which others of them lead to a seed, a vertex, by shared vertices.
    [P] bool
    """
    heads = geometry.corners[geometry.starts]  # [P] first vertex of each polygon
    number = np.where(inside, counts(geometry), 0)  # [P] corners of each that is inside
    corners = geometry.corners[np.repeat(inside, counts(geometry))]  # [C']
    within = np.stack([np.repeat(heads, number), corners], axis=1)  # [C', 2]
    label = np.arange(len(geometry.vertices))  # [V]
    while len(within):
        low = np.minimum(label[within[:, 0]], label[within[:, 1]])  # [E']
        before = label.copy()  # [V]
        np.minimum.at(label, label[within[:, 0]], low)
        np.minimum.at(label, label[within[:, 1]], low)
        while (label[label] != label).any():  # pointer jumping to the least vertex
            label = label[label]  # [V]
        if (label == before).all():
            break
        within = within[label[within[:, 0]] != label[within[:, 1]]]  # [E'']
    touched = geometry.touched(inside)  # [V]
    return inside & np.isin(label[heads], label[[seed for seed in seeds if touched[seed]]])
