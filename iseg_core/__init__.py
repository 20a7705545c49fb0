"""iSeg: click on a mesh, get a part of it.

import iseg_core as iseg
model = iseg.train("chair.obj")
probability = iseg.Segmenter(model).segment(clicks=[(12, True), (7, False)])  # [V]

Importing the package imports nothing heavy: what a name needs is imported when the name is first used.
"""

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .errors import (
    Cancelled,
    ClickError,
    IsegError,
    MeshError,
    ModelFileError,
    SettingsError,
    WeightsError,
)
from .version import __version__

if TYPE_CHECKING:
    from .mesh import Mesh, load_mesh
    from .segmenter import Segmenter, instant
    from .store import Model, load
    from .train import train

if sys.platform == "darwin":  # torch reads it when it is imported: what Apple's MPS cannot do, the processor does
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

__all__ = [
    "Cancelled",
    "ClickError",
    "IsegError",
    "Mesh",
    "MeshError",
    "Model",
    "ModelFileError",
    "Segmenter",
    "SettingsError",
    "WeightsError",
    "__version__",
    "instant",
    "load",
    "load_mesh",
    "train",
]

_HOME = {
    "Mesh": "mesh",
    "load_mesh": "mesh",
    "Model": "store",
    "load": "store",
    "Segmenter": "segmenter",
    "instant": "segmenter",
    "train": "train",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Python binds a submodule to its package's name; `train` stays the function that the module train defines."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "train" and isinstance(value, ModuleType):
            value = value.train
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
