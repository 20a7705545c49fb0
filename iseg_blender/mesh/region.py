"""Pure functions from probabilities to regions. numpy only."""

import numpy as np

from ..core import VertexClick, VertexClicks

Images = dict[tuple[int, tuple[int, int, int]], int]  # vertices at mirrored places, by vertex and the axes' signs


def mirrored(
    clicks: VertexClicks,
    vertices: np.ndarray,
    axes: tuple[bool, bool, bool],
    images: Images | None = None,
) -> VertexClicks:
    """The clicks, and after them their mirror images: the vertices nearest to where those lie.

    vertices: [V, 3]. An image that falls on a vertex which is clicked already is left out. images: those of this mesh
    that are known; what is found is added.
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


def connected_to(inside: np.ndarray, edges: np.ndarray, seeds: list[int]) -> np.ndarray:
    """What of `inside` [V] bool is connected to a seed within it by edges [E, 2]. [V] bool"""
    label = np.arange(len(inside))  # [V]
    within = edges[inside[edges].all(axis=1)]  # [E', 2]
    while len(within):
        low = np.minimum(label[within[:, 0]], label[within[:, 1]])  # [E']
        before = label.copy()  # [V]
        np.minimum.at(label, label[within[:, 0]], low)
        np.minimum.at(label, label[within[:, 1]], low)
        while (label[label] != label).any():  # follow the pointers to the least vertex
            label = label[label]  # [V]
        if (label == before).all():
            break
        within = within[label[within[:, 0]] != label[within[:, 1]]]  # [E'']
    return inside & np.isin(label, label[[seed for seed in seeds if inside[seed]]])
