"""What all tests share."""

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# As the command line does, before torch is imported: spinning threads are a hundred times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No time limit on an example (machines differ), and the same examples in every run.
settings.register_profile("iseg", deadline=None, derandomize=True)
settings.load_profile("iseg")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Meshes kept beside the repository, for measurement only; not everyone has them."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the measurement meshes in ../shared/data, which are not part of the project")
    return folder


@pytest.fixture(scope="session")
def segment_anything() -> ModuleType:
    """The official package, importable also where torch is a CPU build and torchvision is PyPI's CUDA build."""
    import torch

    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist: the CUDA library that declares it cannot be loaded
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    return pytest.importorskip("segment_anything")
