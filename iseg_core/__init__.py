"""iSeg: click on a mesh, get a part of it.

import iseg_core as iseg
model = iseg.train("chair.obj")
probability = iseg.Segmenter(model).segment(clicks=[(12, True), (7, False)])  # [V]

Importing the package imports nothing heavy: what a name needs is imported when the name is first used.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import Cancelled, ClickError, IsegError, MeshError, ModelFileError, SettingsError, WeightsError
from .version import __version__

if TYPE_CHECKING:
    from .clicks.click import Click, Granularity, SurfacePoint
    from .formats.load import load_mesh
    from .geometry.mesh import Mesh
    from .inference.segmenter import Segmenter, instant
    from .storage.trained_model import Model, load
    from .training.train import train

if sys.platform == "darwin":  # torch reads it when it is imported: what Apple's MPS cannot do, the processor does
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__all__ = [
    "Cancelled",
    "Click",
    "ClickError",
    "Granularity",
    "IsegError",
    "Mesh",
    "MeshError",
    "Model",
    "ModelFileError",
    "Segmenter",
    "SettingsError",
    "SurfacePoint",
    "WeightsError",
    "__version__",
    "instant",
    "load",
    "load_mesh",
    "train",
]

_HOME = {
    "Click": "clicks.click",
    "Granularity": "clicks.click",
    "SurfacePoint": "clicks.click",
    "Mesh": "geometry.mesh",
    "load_mesh": "formats.load",
    "Model": "storage.trained_model",
    "load": "storage.trained_model",
    "Segmenter": "inference.segmenter",
    "instant": "inference.segmenter",
    "train": "training.train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
