"""Meshes with nested parts, as artists have them: parts by bones, by nodes, by materials. One .npz file a mesh.

    vertices  [V, 3] float
    faces     [F, 3] int, triangles
    parts     [T, F] bool: T sets of faces, which may overlap and nest; or packed, numpy.packbits(parts, axis=1)
    names     [T] str: kind:name of each part

A file is called <collection>__<name>.npz, or <name>.npz. Other arrays in it are left alone.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import SettingsError
from ..geometry.mesh import Mesh, check

BODIES = ("makehuman",)  # collections whose parts, by bones as they are, are those of one smooth body
BODY = "body"  # their kind
ORDER = 11  # seed of the order in which meshes are measured: the first N are N of all kinds
NEAR = 1e-6  # of the mesh's size: vertices no farther apart are one to whoever counts vertices and shells


@dataclass(frozen=True, eq=False)
class NestedMesh:
    """Mesh with parts that overlap and nest. F faces, T parts."""

    name: str
    collection: str
    mesh: Mesh
    parts: np.ndarray  # [T, F] bool
    names: tuple[str, ...]  # T

    def kind(self, part: int) -> str:
        """Kind of a part: what its name has before the colon, or that of bodies."""
        return BODY if self.collection in BODIES else self.names[part].partition(":")[0]

    @cached_property
    def places(self) -> np.ndarray:
        """Number of the place in which each vertex lies. [V]"""
        points = self.mesh.vertices  # [V, 3]
        grid = np.linalg.norm(np.ptp(points, axis=0)) * NEAR
        return np.unique(np.round(points / grid).astype(np.int64), axis=0, return_inverse=True)[1].ravel()

    @cached_property
    def shells(self) -> np.ndarray:
        """Connected shell of each face. [F]"""
        corners = self.places[self.mesh.faces]  # [F, 3]
        edges = np.concatenate([corners[:, :2], corners[:, 1:]])  # [2F, 2]
        count = int(corners.max()) + 1
        graph = coo_matrix((np.ones(len(edges), np.int8), edges.T), shape=(count, count))
        return connected_components(graph, directed=False)[1][corners[:, 0]]


@dataclass(frozen=True)
class NestedFile:
    """File of a mesh with nested parts; `load` reads it."""

    kind: ClassVar[str] = "nested parts"

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def digest(self) -> str:
        """Hash of the content."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def load(self) -> NestedMesh:
        """Read the mesh and its parts. Raises MeshError for the mesh, SettingsError for what is not as it should be."""
        try:
            with np.load(self.path) as file:
                vertices, faces, parts, names = (file[name] for name in ("vertices", "faces", "parts", "names"))
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise SettingsError(f"{self.path}: {error}. Give the arrays vertices, faces, parts and names.") from None
        mesh, count = check(vertices, faces), len(faces)
        if faces.shape[1:] != (3,):
            raise SettingsError(f"{self.path}: faces have the shape {list(faces.shape)}. Give triangles: [F, 3].")
        if parts.dtype == np.uint8 and parts.shape == (len(names), -(-count // 8)):
            parts = np.unpackbits(parts, axis=1)[:, :count].astype(bool)  # [T, F]
        if parts.dtype != bool or parts.shape != (len(names), count):
            raise SettingsError(
                f"{self.path}: parts are {parts.dtype} {list(parts.shape)}, for {len(names)} names and {count} faces. "
                "Give [T, F] bool, or numpy.packbits of it along axis 1."
            )
        return NestedMesh(self.name, self.collection, mesh, parts, tuple(map(str, names)))

    @property
    def collection(self) -> str:
        return self.name.partition("__")[0] if "__" in self.name else ""


def find_nested(folder: Path) -> list[NestedFile]:
    """Find the meshes with nested parts of a folder, in an order by chance that is always the same."""
    paths = sorted(Path(folder).glob("*.npz"), key=lambda path: path.name)
    return [NestedFile(paths[i]) for i in np.random.default_rng(ORDER).permutation(len(paths))]
