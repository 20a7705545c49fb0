"""Mesh: what the user gives, checked on entry; loaded from files or arrays."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh, exactly as the user gave it (order and count of the vertices are kept)."""

    vertices: np.ndarray  # [V, 3] float64
    faces: np.ndarray  # [F, 3] int32

    @cached_property
    def hash(self) -> str:
        """Content hash of coordinates and faces (hex sha256): the identity of the geometry."""
        digest = hashlib.sha256(b"iseg-mesh-1")
        digest.update(np.ascontiguousarray(self.vertices, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(self.faces, dtype="<i4").tobytes())
        return digest.hexdigest()
