"""Limit of file sizes, and triangle strips: shared by the mesh formats."""

import stat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import MeshError
from ..geometry.mesh import equal_rows


class Polygons(NamedTuple):
    """Content of a mesh file: V vertices, F polygons with C corners in all."""

    vertices: np.ndarray  # [V, 3] float64
    corners: np.ndarray  # [C] int, of all polygons, one after the other
    counts: np.ndarray  # [F] int, corners of each
    labels: np.ndarray | None = None  # [F] int32, equal for polygons that the file says are alike: material, group


MOST_COLOURS = 64  # more are a picture, shades or noise: no borders of parts
SOME = 4096  # colours looked at before all are
FILE_LIMIT = 2**30  # bytes of a mesh file, and of the data files of one glTF together


def read_file(path: Path, limit: int = FILE_LIMIT) -> bytes:
    """Read a file of at most `limit` bytes; pipes and devices, which may have no end, are not opened.

    Errors: MeshError for a larger one, OSError for one that cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("a folder, pipe or device, not a file")
    if status.st_size > limit:
        raise MeshError(f"there are more than {FILE_LIMIT:,} bytes to read. Use a mesh of fewer vertices.")
    return path.read_bytes()


def colour_labels(colours: np.ndarray) -> np.ndarray | None:
    """Number equal colours [N, 3] alike; None where there are more than MOST_COLOURS. [N] int32"""
    if len(np.unique(colours[:: max(len(colours) // SOME, 1)], axis=0)) > MOST_COLOURS:
        return None
    numbers, first = equal_rows(colours.astype(np.float64))  # [N], [U]
    return numbers.astype(np.int32) if len(first) <= MOST_COLOURS else None


def most_frequent(labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Find the label that most corners of each polygon have, of equally many the lowest. [F] int32

    labels [C] of the corners, one polygon after the other; counts [F] corners of each.
    """
    polygon = np.repeat(np.arange(len(counts)), counts)  # [C]
    span = int(labels.max()) + 1
    key, number = np.unique(polygon * span + labels, return_counts=True)  # [K], [K]
    owner, label = np.divmod(key, span)  # [K] each
    order = np.lexsort((label, -number, owner))  # [K]
    first = order[np.flatnonzero(np.diff(owner[order], prepend=-1))]  # [polygons with corners]
    result = np.zeros(len(counts), np.int32)  # [F]
    result[owner[first]] = label[first]
    return result


def label_polygons(colours: np.ndarray, corners: np.ndarray, counts: np.ndarray) -> np.ndarray | None:
    """Label polygons by the colours of vertices [V, 3] that most of their corners have. [F] int32

    corners [C], counts [F]: as in Polygons. None where the colours are a picture, or a corner has none.
    """
    if not len(corners) or not 0 <= corners.min() <= corners.max() < len(colours):
        return None
    labels = colour_labels(colours)  # [V]
    return None if labels is None else most_frequent(labels[corners], counts)


def both_labels(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """Number polygons alike that have the same of two labels [F]; None stands for labels that say nothing. [F] int32"""
    known = [labels for labels in (one, other) if labels is not None]
    if len(known) < 2:
        return known[0] if known else None
    return equal_rows(np.stack(known, axis=1))[0].astype(np.int32)  # [F]


def strip_triangles(corners: np.ndarray, lengths: np.ndarray, restart: int | None = None) -> np.ndarray:
    """Split triangle strips into triangles; every second one is turned round to face as its neighbours do. [T, 3] int64

    corners [N] of all strips, one after the other; lengths [S] of the strips; restart: a corner that begins one anew.
    """
    at = np.arange(len(corners))  # [N]
    begins = np.repeat(np.cumsum(lengths) - lengths, lengths)  # [N] where each corner's strip begins
    ends = np.repeat(np.cumsum(lengths), lengths)  # [N]
    if restart is not None and (breaks := corners == restart).any():  # [N]
        begins = np.maximum(begins, np.maximum.accumulate(np.where(breaks, at + 1, 0)))  # [N]
        following = np.minimum.accumulate(np.where(breaks, at, len(corners))[::-1])[::-1]  # [N]
        ends = np.minimum(ends, following)  # [N]
    first = at[at + 2 < ends]  # [T]
    odd = (first - begins[first]) % 2  # [T]
    return corners[np.stack([first, first + 1 + odd, first + 2 - odd], axis=1)]
