"""Rasterisers by name; `auto` is the fastest one that agrees with Embree."""

import logging
from importlib.util import find_spec

import numpy as np

from ..errors import SettingsError
from .camera import sphere_cameras
from .embree import EmbreeRasterizer
from .raster import Rasterizer, agreement

CHECK = sphere_cameras(3)[0], 224  # the view in which a backend shows what it sees: from above and aside

LOG = logging.getLogger(__name__)


def _nvdiffrast(vertices: np.ndarray, faces: np.ndarray) -> Rasterizer:
    from .nvdiffrast import NvdiffrastRasterizer

    return NvdiffrastRasterizer(vertices, faces)


def _best(vertices: np.ndarray, faces: np.ndarray) -> Rasterizer:
    """Make nvdiffrast's where it is installed and agrees with Embree on this mesh; else Embree's. The log says why."""
    embree = EmbreeRasterizer(vertices, faces)
    if find_spec("nvdiffrast") is None:
        return embree
    try:
        fast = _nvdiffrast(vertices, faces)
        agreed = agreement(fast.rasterize(*CHECK), embree.rasterize(*CHECK))
    except Exception as error:  # whatever a broken binary or a full device raises
        LOG.info("Embree draws the views: nvdiffrast does not work (%s).", error)
        return embree
    if not agreed.holds:
        LOG.info("Embree draws the views: nvdiffrast sees something else (%s).", agreed)
        return embree
    return fast


BACKENDS = {"embree": EmbreeRasterizer, "nvdiffrast": _nvdiffrast}


def make_rasterizer(vertices: np.ndarray, faces: np.ndarray, backend: str = "auto") -> Rasterizer:
    """Make a rasteriser of a mesh: vertices [V, 3] in the unit sphere, faces [F, 3].

    backend: "embree", "nvdiffrast" (CUDA only), or "auto": nvdiffrast where it is installed, there is CUDA, and one
    view of this mesh shows that it sees what Embree sees; Embree everywhere else.
    Raises SettingsError where the backend is unknown or not installed.
    """
    if backend == "auto":
        return _best(vertices, faces)
    if backend not in BACKENDS:
        raise SettingsError(f"Unknown rasteriser {backend!r}. Choose one of: auto, {', '.join(BACKENDS)}.")
    return BACKENDS[backend](vertices, faces)
