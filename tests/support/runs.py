"""Training runs without a mesh file, a device or a caller."""

from collections.abc import Callable
from typing import Any

import numpy as np

from iseg_core.geometry.proxy import Proxy
from iseg_core.progress import Reporter
from iseg_core.training.run import Run
from iseg_core.training.settings import Settings


def run_on(vertices: np.ndarray, faces: np.ndarray, teacher: Any, settings: Settings, **more: Any) -> Run:
    """A run on vertices [P, 3] and faces [G, 3] as they are; the proxy stands for no mesh. more: as Run takes it."""
    nobody = np.zeros((0, 3), dtype=np.int32)  # [0, 3]
    return Run(Proxy(vertices, faces, nobody, nobody.astype(np.float32)), teacher, settings, **more)


def telling(stage: str, told: Callable[[float], None]) -> Reporter:
    """A reporter of a single stage, whose progress tells the fraction that is done of it."""
    return Reporter({stage: 1.0}, lambda progress: told(progress.fraction))
