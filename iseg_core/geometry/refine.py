"""Refinement: triangles are cut flat until no side is longer than asked, so that big ones have a middle."""

from typing import NamedTuple

import numpy as np

from .mesh import equal_rows
from .vectors import norms

MOST_PASSES = 60  # each halves the longest sides


class Refined(NamedTuple):
    """Refined mesh: W' vertices, the first W those of before; G' pieces of G faces."""

    vertices: np.ndarray  # [W', 3]
    pieces: np.ndarray  # [G', 3]
    face: np.ndarray  # [G'] the face that each is a piece of, ascending


def refine(vertices: np.ndarray, faces: np.ndarray, longest: np.ndarray) -> Refined:
    """Cut every triangle whose longest side exceeds `longest` [G] in the middle of it, until there is none.

    vertices [W, 3], faces [G, 3]. A side is cut together with all faces at it, so that no gap opens (longest-side
    bisection, Rivara 1984); creases and borders stay where they are.
    """
    pieces, face = faces.astype(np.int64), np.arange(len(faces))  # [G, 3], [G]
    for _ in range(MOST_PASSES):
        tails, heads = pieces, np.roll(pieces, -1, axis=1)  # [G, 3] each: the ends of side k
        length = np.stack([norms(vertices[tails[:, k]] - vertices[heads[:, k]]) for k in range(3)], axis=1)  # [G, 3]
        longest_side = length.argmax(axis=1)  # [G]
        rows = np.flatnonzero(length.max(axis=1) > longest[face])  # [n]
        if not len(rows):
            break
        at = rows, longest_side[rows]
        sides = np.sort(np.stack([tails[at], heads[at]], axis=1), axis=1)  # [n, 2]
        sides = sides[equal_rows(sides)[1]]  # [S, 2] each once
        middles = len(vertices) + np.arange(len(sides))  # [S]
        vertices = np.concatenate([vertices, vertices[sides].mean(axis=1)])  # [W', 3]
        middle = _look_up(sides, middles, np.minimum(tails, heads), np.maximum(tails, heads))  # [G, 3] -1: not cut
        pieces, parents = _split(vertices, pieces, middle)  # [G', 3], [G']
        face = face[parents]  # [G']
    order = np.argsort(face, kind="stable")  # [G']
    return Refined(vertices, pieces[order], face[order])


def _look_up(sides: np.ndarray, middles: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Find the middles [S] of the sides from `low` to `high` among `sides` [S, 2]; -1 where one is not there."""
    span = int(max(sides.max(), high.max())) + 1
    key = sides[:, 0] * span + sides[:, 1]  # [S]
    order = np.argsort(key)  # [S]
    asked = low * span + high
    place = np.minimum(np.searchsorted(key[order], asked), len(key) - 1)
    return np.where(key[order][place] == asked, middles[order][place], -1)


def _split(vertices: np.ndarray, faces: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split faces [G, 3] at the middles [G, 3] of their sides (-1: none): pieces [G', 3], the face of each [G']."""
    cut = middle >= 0  # [G, 3]
    count = cut.sum(axis=1)  # [G]
    # Each face is turned until its first side is cut; of two cut sides, until the third is not.
    turn = np.where(count == 2, (cut.argmin(axis=1) + 1) % 3, cut.argmax(axis=1))  # [G]
    corner = (np.arange(3) + turn[:, None]) % 3  # [G, 3]
    faces, middle = np.take_along_axis(faces, corner, axis=1), np.take_along_axis(middle, corner, axis=1)  # [G, 3] each
    pieces, parents = [faces[count == 0]], [np.flatnonzero(count == 0)]
    for number in (1, 2, 3):
        rows = np.flatnonzero(count == number)  # [n]
        (a, b, c), (p, q, r) = faces[rows].T, middle[rows].T  # [n] each
        if number == 1:
            made = [(a, p, c), (p, b, c)]
        elif number == 2:  # the corner between the cut sides, and the rest along its shorter diagonal
            shorter = np.linalg.norm(vertices[p] - vertices[c], axis=1) < np.linalg.norm(
                vertices[a] - vertices[q], axis=1
            )
            made = [(p, b, q), (a, p, np.where(shorter, c, q)), (np.where(shorter, p, a), q, c)]
        else:
            made = [(a, p, r), (p, b, q), (r, q, c), (p, q, r)]
        pieces += [np.stack(corners, axis=1) for corners in made]
        parents += [rows] * len(made)
    return np.concatenate(pieces), np.concatenate(parents)
