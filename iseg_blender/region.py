"""Pure functions from probabilities to regions. numpy only."""

import numpy as np

Clicks = tuple[tuple[int, bool], ...]


def mirrored(clicks: Clicks, vertices: np.ndarray, axes: tuple[bool, bool, bool]) -> Clicks:
    """The clicks, and after them their mirror images: the vertices nearest to where those lie.

    vertices: [V, 3]. An image that falls on a vertex which is clicked already is left out.
    """
    made = dict(clicks)
    for x in (1, -1)[: 1 + axes[0]]:
        for y in (1, -1)[: 1 + axes[1]]:
            for z in (1, -1)[: 1 + axes[2]]:
                if (x, y, z) == (1, 1, 1):
                    continue
                for vertex, positive in clicks:
                    image = vertices[vertex] * (x, y, z)  # [3]
                    nearest = int(((vertices - image) ** 2).sum(axis=1).argmin())
                    made.setdefault(nearest, positive)
    return tuple(made.items())


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
