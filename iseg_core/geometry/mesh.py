"""Mesh of the user, checked on entry; loaded from files or arrays."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import MeshError
from .chunks import in_chunks
from .triangulate import triangulate
from .vectors import cross, largest, norms

LARGEST, SMALLEST = 1e100, 1e-100  # products of larger coordinates overflow, of smaller sizes vanish
FLAT = 1e-12  # height over longest edge below which a face has no area
ROUNDING = 8 * np.finfo(np.float64).eps  # of a coordinate: what its last bits may be wrong by


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangle mesh, exactly as the user gave it (order and count of the vertices are kept).

    Make one with `check`, `load_mesh` or `as_mesh`: they refuse what nothing can be computed on.
    """

    vertices: np.ndarray  # [V, 3] float64
    faces: np.ndarray  # [F, 3] int32
    polygons: np.ndarray | None = None  # [F] int32, the polygon that each is cut of; None: all are triangles
    # Marks: what the mesh itself says of where its parts end. None: it says nothing.
    labels: np.ndarray | None = None  # [F] int32, of its materials and groups: the border of a label is one of parts
    marked_edges: np.ndarray | None = None  # [N, 2] int32, vertices of edges that are sharp or a seam

    @cached_property
    def hash(self) -> str:
        """Content hash of coordinates, faces and marks (hex sha256): all that answers depend on."""
        digest = hashlib.sha256(b"iseg-mesh-1")
        digest.update(np.ascontiguousarray(self.vertices, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(self.faces, dtype="<i4").tobytes())
        for name in ("labels", "marked_edges"):
            if (marks := getattr(self, name)) is not None:
                digest.update(name.encode() + np.ascontiguousarray(marks, dtype="<i4").tobytes())
        return digest.hexdigest()

    @cached_property
    def topology_hash(self) -> str:
        """Hash of the faces and the number of vertices (hex sha256): the same for every pose of one mesh."""
        digest = hashlib.sha256(b"iseg-topology-1 %d " % len(self.vertices))
        digest.update(np.ascontiguousarray(self.faces, dtype="<i4").tobytes())
        return digest.hexdigest()


def check(vertices: Any, faces: Any, labels: Any = None, marked_edges: Any = None) -> Mesh:
    """Check a mesh; MeshError names the defect and the remedy where nothing can be computed on it.

    vertices: [V, 3] numbers, any unit. faces: [F, 3] (or [F, K]: polygons) integers, or a list of polygons as lists
    of vertex indices of any length; polygons are cut into triangles. The arrays are copied.
    Tolerated: non-manifold edges, borders, flipped, duplicate and degenerate faces, isolated vertices,
    many connected components.
    labels: a whole number for each face, such as its material: where it changes a part is likely to end.
    marked_edges: [N, 2] pairs of vertices, such as edges that are sharp or a seam, which count alike where they enclose
    faces.
    """
    corners, counts = _polygon_arrays(faces)  # [C], [F]
    if labels is not None:
        labels = _whole_array(labels, "labels", (len(counts),), "one for each face")  # [F]
    return with_marks(checked(_vertex_array(vertices), corners, counts, labels), marked_edges=marked_edges)


def with_polygons(mesh: Mesh, polygons: np.ndarray) -> Mesh:
    """Say of a mesh which polygon each triangle is cut of: polygons [F] int32, numbers of 0 to F - 1.

    Raises MeshError where they are something else.
    """
    count = len(mesh.faces)
    if polygons.dtype != np.int32 or polygons.shape != (count,) or polygons.min() < 0 or polygons.max() >= count:
        raise MeshError(f"The polygons of {count} triangles are {count} int32 numbers of 0 to {count - 1}.")
    return replace(mesh, polygons=polygons.copy())


def with_marks(mesh: Mesh, labels: Any = None, marked_edges: Any = None) -> Mesh:
    """Say of a mesh what `check` takes, labels [F] one for each triangle; None leaves what is known.

    Labels that are all equal, and no edges, say nothing. Raises MeshError for marks that do not fit.
    """
    if labels is not None:
        labels = _whole_array(labels, "labels", (len(mesh.faces),), "one for each triangle")  # [F]
        mesh = replace(mesh, labels=None if (labels == labels[0]).all() else labels)
    if marked_edges is not None:
        edges = _whole_array(marked_edges, "marked edges", (len(marked_edges), 2), "two vertices for each")  # [N, 2]
        if edges.size and not 0 <= edges.min() <= edges.max() < len(mesh.vertices):
            raise MeshError(f"A marked edge names a vertex that is none of 0 to {len(mesh.vertices) - 1}.")
        mesh = replace(mesh, marked_edges=edges if len(edges) else None)
    return mesh


def _whole_array(values: Any, name: str, shape: tuple[int, ...], wanted: str) -> np.ndarray:
    """Copy whole numbers of a given shape as int32. Raises MeshError for anything else."""
    array = np.asarray(values)  # shape
    if array.size == 0:
        array = array.reshape(shape).astype(np.int32) if 0 in shape else array
    if array.dtype.kind not in "iu" or array.shape != shape:
        raise MeshError(f"The {name} are {array.dtype} of shape {list(array.shape)}. Give whole numbers, {wanted}.")
    if array.size and not -(2**31) <= int(array.min()) <= int(array.max()) < 2**31:
        raise MeshError(f"The {name} are numbers beyond those of 32 bits. Number them from 0.")
    return array.astype(np.int32)


def face_areas(mesh: Mesh) -> np.ndarray:
    """Area of each face, in the mesh's own units. [F] float64"""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))  # [F, 3] each
    u, v = b - a, c - a  # [F, 3] each
    size = max(float(np.abs(u).max(initial=0)), float(np.abs(v).max(initial=0)), SMALLEST)
    unit = 2.0 ** np.floor(np.log2(size))  # the fourth power of a length has no room in a number
    return norms(cross(u / unit, v / unit)) / 2 * unit**2  # [F]


def weld(vertices: np.ndarray) -> np.ndarray:
    """Number vertices [V, 3] by position (-0.0 is 0.0), equal ones alike, as they first appear. [V] int64"""
    return equal_rows(vertices)[0]


def equal_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number equal rows of [N, K] alike, as they first appear [N]; and the row where each number first appears [U]."""
    if len(rows) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)  # [0], [0]
    key = _hashes(rows)  # [N]
    in_order = np.sort(key)  # [N]
    if (in_order[1:] != in_order[:-1]).all():  # all rows differ, as in most meshes
        return np.arange(len(rows)), np.arange(len(rows))
    order = _grouping_order(rows, key)  # [N]
    ordered = rows[order]  # [N, K]
    new = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])  # [N]
    first = order[new]  # [U]
    rank = np.empty(len(first), dtype=np.int64)  # [U]
    rank[np.argsort(first)] = np.arange(len(first))
    ids = np.empty(len(rows), dtype=np.int64)  # [N]
    ids[order] = rank[np.cumsum(new) - 1]
    return ids, np.sort(first)


def _hashes(rows: np.ndarray) -> np.ndarray:
    """Hash of each of the rows [N, K], the same for equal ones. [N] uint64"""
    bits = (rows + 0 if rows.dtype == np.float64 else rows.astype(np.int64)).view(np.uint64)  # [N, K] -0.0 + 0 is 0.0
    key = np.zeros(len(rows), dtype=np.uint64)  # [N]
    for column in bits.T:
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)  # [N] Fibonacci hashing (Knuth, volume 3)
        key ^= key >> np.uint64(29)
    return key


def _grouping_order(rows: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Order in which equal rows of [N, K] follow one another, each group in the order it had. [N]

    Sorting one hash a row, key [N], takes a third of the time of sorting rows; should two different rows ever have the
    same hash, the rows themselves are sorted.
    """
    order = np.argsort(key, kind="stable")  # [N]
    same = np.flatnonzero(key[order][1:] == key[order][:-1])  # [M]
    if (rows[order[same]] != rows[order[same + 1]]).any():
        return np.lexsort(rows.T)
    return order


def has_area(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Find the faces with an area: three distinct corners, not on a line to the coordinates' precision. [F] bool"""
    found = np.empty(len(faces), dtype=bool)  # [F]

    def work(rows: slice) -> None:
        a, b, c = (vertices[faces[rows, k]] for k in range(3))  # [n, 3] each
        u, v = b - a, c - a  # [n, 3] each
        longest = np.maximum(largest(u), largest(v))  # [n] within a factor of 4 of the longest edge
        least = longest * (FLAT * longest + ROUNDING * np.maximum(largest(a), longest))  # [n]
        found[rows] = largest(cross(u, v)) > least

    in_chunks(work, len(faces))
    return found


def _vertex_array(vertices: Any) -> np.ndarray:
    try:
        array = np.asarray(vertices)
    except ValueError:
        array = np.empty(0, dtype=object)  # [0] rows of different lengths
    if array.dtype.kind not in "iuf":
        raise MeshError(f"Vertices are {array.dtype}, not numbers. Give an array [V, 3] of coordinates.")
    if array.size == 0:
        raise MeshError("The mesh is empty: it has no vertices. Give one with at least one face.")
    if array.ndim != 2 or array.shape[-1] != 3:
        raise MeshError(f"Vertices have the shape {list(array.shape)}. Give one row x, y, z a vertex: [V, 3].")
    return np.array(array, dtype=np.float64, order="C")  # [V, 3] a copy: the user may go on editing theirs


def _polygon_arrays(faces: Any) -> tuple[np.ndarray, np.ndarray]:
    """Corners of all polygons, one polygon after the other [C], and the number of corners of each [F]."""
    try:
        array = np.asarray(faces)
    except ValueError:  # polygons with different numbers of corners
        array = None
    if array is None:
        rows = [np.asarray(polygon) for polygon in faces]
        if any(row.ndim != 1 for row in rows):
            raise MeshError("Faces are not lists of vertex indices. Give three or more indices a face.")
        corners = np.concatenate([row for row in rows if len(row)])  # [C] an empty list would make them floats
        counts = np.array([len(row) for row in rows])  # [F]
    elif array.size and (array.ndim != 2 or array.shape[-1] < 3):
        raise MeshError(f"Faces have the shape {list(array.shape)}. Give three vertex indices a face: [F, 3].")
    else:
        corners = array.ravel()  # [C]
        counts = np.full(len(array), array.shape[-1]) if array.size else np.zeros(0, np.int64)  # [F]
    if corners.size and corners.dtype.kind not in "iu":
        raise MeshError(f"Face indices are {corners.dtype}, not integers. Convert them: faces.astype(int).")
    return corners, counts


def checked(vertices: np.ndarray, corners: np.ndarray, counts: np.ndarray, labels: np.ndarray | None = None) -> Mesh:
    """Check vertices [V, 3] float64 and polygons: corners [C] integers, counts [F], labels [F]. Raises MeshError."""
    if len(vertices) == 0:
        raise MeshError("The mesh is empty: it has no vertices. Give one with at least one face.")
    if not (counts >= 3).any():  # polygons of one or two corners draw nothing
        raise MeshError("The mesh has no faces, only points or edges. Give a surface.")
    finite = np.isfinite(vertices).all(axis=1)  # [V]
    if not finite.all():
        bad = np.flatnonzero(~finite)  # [B]
        raise MeshError(
            f"{len(bad)} of {len(vertices)} vertices have NaN or infinite coordinates (the first: {bad[0]}). "
            "Remove or repair them."
        )
    if np.abs(vertices).max() > LARGEST:
        raise MeshError(f"Coordinates are larger than {LARGEST:g}. Scale the mesh down.")
    least, most = int(corners.min()), int(corners.max())
    if least < 0 or most >= len(vertices):
        raise MeshError(
            f"A face names vertex {least if least < 0 else most}, but the vertices are 0 to {len(vertices) - 1}. "
            "Repair or remove that face."
        )
    faces = triangulate(vertices, corners.astype(np.int32), counts)  # [F, 3]
    used = vertices[np.bincount(faces.ravel(), minlength=len(vertices)) > 0]  # [U, 3]
    size = np.ptp(used, axis=0).max()
    if size == 0:
        raise MeshError("All points of the mesh's faces are equal: it has no size. Check the scale of its export.")
    if size < SMALLEST:
        raise MeshError(f"The mesh is smaller than {SMALLEST:g}. Scale it up.")
    if not has_area(vertices, faces).any():
        raise MeshError("The mesh has zero area: all its faces are lines or points. Give a surface.")
    mesh = Mesh(vertices, faces, polygons_of(counts))
    return mesh if labels is None else with_marks(mesh, np.repeat(labels, np.maximum(counts - 2, 0)))


def polygons_of(counts: np.ndarray) -> np.ndarray | None:
    """Number of the polygon that each triangle is cut of [F] int32, for polygons of counts [N] corners; None where all
    are triangles.
    """
    counts = counts[counts >= 3]  # [N]
    return None if (counts == 3).all() else np.repeat(np.arange(len(counts), dtype=np.int32), counts - 2)
