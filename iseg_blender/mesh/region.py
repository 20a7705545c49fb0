"""Mirrored clicks and connected components of regions: pure functions, numpy only."""

import numpy as np

from ..core import VertexClick, VertexClicks
from .geometry import Geometry, counts

Images = dict[tuple[int, tuple[int, int, int]], int]  # mirror images of vertices, by vertex and the signs of the axes


def mirrored(
    clicks: VertexClicks,
    vertices: np.ndarray,
    axes: tuple[bool, bool, bool],
    images: Images | None = None,
) -> VertexClicks:
    """Return the clicks, followed by their mirror images: the vertices nearest to the mirrored positions.

    vertices: [V, 3]. An image on a vertex that is clicked already is left out. images: the known ones of this mesh,
    to which those found are added.
    """
    made, images = dict(clicks), {} if images is None else images
    for x in (1, -1)[: 1 + axes[0]]:
        for y in (1, -1)[: 1 + axes[1]]:
            for z in (1, -1)[: 1 + axes[2]]:
                signs = (x, y, z)
                if signs == (1, 1, 1):
                    continue
                for vertex, include in clicks:
                    if (vertex, signs) not in images:
                        away = vertices - vertices[vertex] * np.array(signs, vertices.dtype)  # [V, 3]
                        images[vertex, signs] = int(np.einsum("vk,vk->v", away, away).argmin())
                    made.setdefault(images[vertex, signs], include)
    return tuple(VertexClick(vertex, include) for vertex, include in made.items())


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
