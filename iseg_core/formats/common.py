"""Limit of file sizes, and triangle strips: shared by the mesh formats."""

import stat
from pathlib import Path

import numpy as np

from ..errors import MeshError

Polygons = tuple[np.ndarray, np.ndarray, np.ndarray]  # vertices [V, 3] float64, corners [C] int, corners a polygon [F]

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
