"""Raster of a view: which face each pixel's ray hits, where on it, and which vertices are visible.

The raster is all that is left of rendering: an attribute of the vertices is drawn by the sparse matrix `Raster.matrix`
(equation 1 of the paper, for a fixed mesh and camera), and the picture that a teacher sees is drawn by `shade`.
"""

import logging
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import NamedTuple, Protocol

import numpy as np
import scipy.sparse as sp

from .errors import SettingsError
from .views import Camera, sphere_cameras

EPSILON = 1e-3  # a vertex is visible when the first hit of its ray lies less than this in front of it (unit sphere)
GREY = 2 / 3  # colour of the mesh
AMBIENT, DIRECT = 0.2821, 0.4886  # the headlight: first two bands of spherical harmonics
SAME_FACES, SAME_WEIGHTS = 0.999, 1e-3  # two backends see the same: share of the pixels, difference of barycentrics
CHECK = sphere_cameras(3)[0], 224  # the view in which a backend shows what it sees: from above and aside

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Raster:
    """What one view's rays hit."""

    face_id: np.ndarray  # [H, W] int32, -1 where the ray hits nothing
    barycentrics: np.ndarray  # [H, W, 3] float32, 0 where the ray hits nothing
    visible: np.ndarray  # [V] bool: the vertex' own ray reaches it

    @cached_property
    def covered(self) -> np.ndarray:
        """Flat indices of the pixels that show the mesh, row by row. [P] int64"""
        return np.flatnonzero(self.face_id.ravel() >= 0)  # [P]

    def matrix(self, faces: np.ndarray, vertex_count: int) -> sp.csr_matrix:
        """The map B_v of a vertex attribute to the covered pixels (order of `covered`). [P, V] float32"""
        corners = faces[self.face_id.ravel()[self.covered]]  # [P, 3]
        weights = self.barycentrics.reshape(-1, 3)[self.covered]  # [P, 3]
        rows = np.arange(len(corners) + 1) * 3  # [P + 1]
        shape = (len(corners), vertex_count)
        return sp.csr_matrix((weights.ravel(), corners.ravel(), rows), shape=shape)


class Agreement(NamedTuple):
    """How far two rasters of one view are the same."""

    faces: float  # share of the pixels that show the same face, or both none
    weights: float  # difference of the barycentrics there, which one in a thousand exceeds: faces seen edge-on

    @property
    def holds(self) -> bool:
        return self.faces >= SAME_FACES and self.weights <= SAME_WEIGHTS


def agreement(one: Raster, other: Raster) -> Agreement:
    """Compare two rasters of one view and size, of two backends."""
    same = one.face_id == other.face_id  # [H, W]
    shown = same & (one.face_id >= 0)  # [H, W]
    apart = np.abs(one.barycentrics - other.barycentrics)[shown]  # [S, 3]
    return Agreement(float(same.mean()), float(np.quantile(apart, 0.999)) if apart.size else 0.0)


class Rasterizer(Protocol):
    """A backend: holds one mesh (vertices in the unit sphere) and answers views of it."""

    name: str
    vertices: np.ndarray  # [V, 3] float32
    faces: np.ndarray  # [F, 3] int32

    def rasterize(self, camera: Camera, resolution: int) -> Raster: ...


class EmbreeRasterizer:
    """CPU ray casting with Embree; both sides of every face are seen."""

    name = "embree"

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        """vertices [V, 3] in the unit sphere, faces [F, 3]. Raises SettingsError where embreex is missing."""
        try:
            from embreex import rtcore_scene
            from embreex.mesh_construction import TriangleMesh
        except ImportError as error:
            raise SettingsError(
                f"The ray caster embreex cannot be loaded ({error}). Install it with `pip install embreex`; "
                "where memory is short, close other programs."
            ) from error

        self.vertices = np.ascontiguousarray(vertices, dtype=np.float32)  # [V, 3]
        self.faces = np.ascontiguousarray(faces, dtype=np.int32)  # [F, 3]
        # Without `robust`, rays may slip through the edge that two faces share and leave holes.
        self._scene = rtcore_scene.EmbreeScene(robust=True)  # pyright: ignore[reportAttributeAccessIssue]
        self._mesh = TriangleMesh(self._scene, self.vertices, self.faces)

    def cast(self, origins: np.ndarray, directions: np.ndarray) -> dict[str, np.ndarray]:
        """First hits of rays: primID [N] (-1: none), tfar [N], u [N], v [N] (weights of the 2nd and 3rd corner)."""
        return self._scene.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            output=1,
        )

    def rasterize(self, camera: Camera, resolution: int) -> Raster:
        face_id, barycentrics = self._pixels(camera, resolution)
        return Raster(face_id, barycentrics, self._visible(camera))

    def _pixels(self, camera: Camera, resolution: int) -> tuple[np.ndarray, np.ndarray]:
        """What the rays through the pixel centres hit: face_id [H, W], barycentrics [H, W, 3]."""
        directions = camera.rays(resolution)  # [HW, 3]
        hit = self.cast(np.broadcast_to(camera.position, directions.shape), directions)
        face_id = hit["primID"].astype(np.int32)  # [HW]
        u, v = inside(hit["u"], hit["v"])  # [HW] each
        weights = np.stack([1.0 - u - v, u, v], axis=1)  # [HW, 3]
        weights[face_id < 0] = 0.0
        shape = (resolution, resolution)
        return face_id.reshape(shape), weights.reshape(*shape, 3).astype(np.float32, copy=False)

    def _visible(self, camera: Camera) -> np.ndarray:
        offset = self.vertices - camera.position  # [V, 3]
        distance = np.linalg.norm(offset, axis=1)  # [V]
        hit = self.cast(np.broadcast_to(camera.position, offset.shape), offset / distance[:, None])
        # A ray at a silhouette may miss its vertex by a rounding error: it then hits what lies behind, or nothing.
        return (hit["primID"] < 0) | (hit["tfar"] > distance - EPSILON)  # [V]


def inside(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two of a hit's barycentrics, which may lie a rounding error outside of the face, on it. Any shape."""
    u = np.clip(u, 0.0, 1.0)
    return u, np.clip(v, 0.0, 1.0 - u)


def _nvdiffrast(vertices: np.ndarray, faces: np.ndarray) -> Rasterizer:
    from .raster_nvdiffrast import NvdiffrastRasterizer

    return NvdiffrastRasterizer(vertices, faces)


def _best(vertices: np.ndarray, faces: np.ndarray) -> Rasterizer:
    """nvdiffrast where it is there and sees of this mesh what Embree sees; else Embree. The log says why not."""
    embree = EmbreeRasterizer(vertices, faces)
    if find_spec("nvdiffrast") is None:
        return embree
    try:
        fast = _nvdiffrast(vertices, faces)
        found = agreement(fast.rasterize(*CHECK), embree.rasterize(*CHECK))
    except Exception as error:  # whatever a broken binary or a full device raises
        LOG.info("Embree draws the views: nvdiffrast does not work (%s).", error)
        return embree
    if not found.holds:
        LOG.info("Embree draws the views: nvdiffrast sees something else (%s).", found)
        return embree
    return fast


BACKENDS = {"embree": EmbreeRasterizer, "nvdiffrast": _nvdiffrast}


def make_rasterizer(vertices: np.ndarray, faces: np.ndarray, backend: str = "auto") -> Rasterizer:
    """A rasteriser of the mesh: vertices [V, 3] in the unit sphere, faces [F, 3].

    backend: "embree", "nvdiffrast" (CUDA only), or "auto": nvdiffrast where it is installed, there is CUDA, and one
    view of this mesh shows that it sees what Embree sees; Embree everywhere else.
    Raises SettingsError where the backend is unknown or not installed.
    """
    if backend == "auto":
        return _best(vertices, faces)
    if backend not in BACKENDS:
        raise SettingsError(f"Unknown rasteriser {backend!r}. Choose one of: auto, {', '.join(BACKENDS)}.")
    return BACKENDS[backend](vertices, faces)


def shade(raster: Raster, camera: Camera, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Picture of a view: a grey mesh under one headlight, flat faces, white background. [H, W, 3] uint8

    The released code's formula (camera-space normal n): grey * (ambient + direct * (nx + ny + nz)), but the normal is
    turned towards the camera first, so that flipped faces and the inside of open shells are lit like any other.
    """
    hit, pixel_face = np.unique(raster.face_id.ravel()[raster.covered], return_inverse=True)  # [S], [P]
    a, b, c = np.moveaxis(np.asarray(vertices, dtype=np.float64)[faces[hit]], 1, 0)  # [S, 3] each
    normal = np.cross(b - a, c - a)  # [S, 3]
    normal *= np.where(np.einsum("fk,fk->f", normal, camera.position - a) < 0, -1.0, 1.0)[:, None]
    length = np.linalg.norm(normal, axis=1, keepdims=True)  # [S, 1]
    local = normal / np.where(length > 0, length, 1.0) @ camera.axes.T  # [S, 3]
    light = np.clip(GREY * (AMBIENT + DIRECT * local.sum(axis=1)), 0.0, 1.0)  # [S]
    grey = np.full(raster.face_id.size, 255, dtype=np.uint8)  # [HW]
    grey[raster.covered] = np.round(light * 255).astype(np.uint8)[pixel_face]
    return np.repeat(grey.reshape(*raster.face_id.shape, 1), 3, axis=2)  # [H, W, 3]
