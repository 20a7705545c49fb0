"""How much a mesh file may make this process read."""

import stat
from pathlib import Path

import numpy as np

from ..errors import MeshError

Polygons = tuple[np.ndarray, np.ndarray, np.ndarray]  # vertices [V, 3] float64, corners [C] int, corners a polygon [F]

FILE_LIMIT = 2**30  # bytes of a mesh file, and of the data files of one glTF together


def read_file(path: Path, limit: int = FILE_LIMIT) -> bytes:
    """The bytes of a file of at most `limit` bytes; pipes and devices, which may have no end, are not opened.

    Errors: MeshError for a larger one, OSError for one that cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("a folder, pipe or device, not a file")
    if status.st_size > limit:
        raise MeshError(f"there are more than {FILE_LIMIT:,} bytes to read. Use a mesh of fewer vertices.")
    return path.read_bytes()
