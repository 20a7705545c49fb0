"""Mesh files as they are: every vertex of the file, in the file's order, and every polygon.

Clicks, vertex groups and models name vertices by their index in the file, so a reader must not merge, split, drop or
reorder them. trimesh (5.2), the usual reader, does: OBJ vertices are split at texture seams and left out where unused,
with maintain_order repeated for each material; binary PLY with a triangle and then a quad is refused; sparse glTF
accessors are read without their values, compressed ones as zeros where no decoder is installed, instances of a node as
one; and nodes come in reverse order. Hence these readers, with nothing but numpy.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MeshError
from ..geometry.mesh import Mesh, check, checked
from .common import Polygons, read_file
from .gltf import read_gltf
from .ply import read_ply
from .simple import read_obj, read_off, read_stl


def read(path: str | os.PathLike[str]) -> Polygons:
    """Read a mesh file: its vertices, polygons and their labels.

    The kind of file is told by its name's extension. Errors: MeshError, whatever is wrong with the file.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise MeshError(f"{path.name}: not a known kind of mesh file. Convert it to one of {', '.join(READERS)}.")
    try:
        data = read_file(path)
        if not data or data.isspace():
            raise MeshError("the file is empty. Export the mesh again.")
        with np.errstate(all="ignore"):  # what a damaged file makes of numbers is found when the mesh is checked
            return reader(data, path.parent)
    except MeshError as error:
        raise MeshError(f"{path.name}: {error}") from error
    except OSError as error:
        raise MeshError(f"{path.name}: cannot be read ({error.strerror or error}). Check the path.") from error
    except MemoryError as error:
        remedy = "Close other programs, or use a mesh of fewer vertices."
        raise MeshError(f"{path.name}: there is not enough memory to read it. {remedy}") from error
    except Exception as error:  # whatever a damaged file makes the readers stumble over
        kind = path.suffix[1:].upper()
        raise MeshError(f"{path.name}: truncated, damaged or not {kind}. Export the mesh again.") from error


READERS: dict[str, Callable[[bytes, Path], Polygons]] = {
    ".obj": read_obj,
    ".ply": read_ply,
    ".off": read_off,
    ".stl": read_stl,
    ".gltf": read_gltf,
    ".glb": read_gltf,
}


def as_mesh(source: Any) -> Mesh:
    """Make a checked mesh from a Mesh, the path of a mesh file, or (vertices, faces). Errors: MeshError."""
    if isinstance(source, Mesh):
        return source
    if isinstance(source, str | os.PathLike):
        return load_mesh(source)
    if isinstance(source, tuple | list) and len(source) == 2:
        return check(*source)
    raise MeshError(
        f"A {type(source).__name__} is not a mesh. Give a Mesh, the path of a mesh file, or (vertices, faces)."
    )


def load_mesh(path: str | os.PathLike[str], marks: bool = True) -> Mesh:
    """Read the mesh in an OBJ, PLY, OFF, STL, glTF or GLB file, with the file's vertices in the file's order.

    Polygons are cut into triangles; all objects of the file are joined, those of glTF with their world transforms.
    marks: hear what the file says of its faces (OBJ: objects, groups, materials; glTF: nodes, materials; OBJ, PLY
    and glTF: plain colours).
    Errors: MeshError for a file that is missing, empty, damaged or of another kind, and all those of `check`.
    """
    name = os.path.basename(os.fspath(path))
    content = read(path)
    try:
        return checked(content.vertices, content.corners, content.counts, content.labels if marks else None)
    except MeshError as error:
        raise MeshError(f"{name}: {error}") from None
