"""Meshes, commands and patience for the tests of the engine process."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from iseg_core.engine.client import EngineClient

HERE = Path(__file__).resolve().parent
TINY = [sys.executable, str(HERE / "engine_tiny.py")]  # the real engine with presets `tiny` and `endless`
FAKE = [sys.executable, str(HERE / "engine_fake.py")]
PATIENT = 120.0  # seconds after which something hangs, on the slowest of machines


def icosphere(stretch: float = 1.0) -> dict[str, np.ndarray]:
    """A ball of 162 vertices and 320 faces, as the arrays of open_mesh."""
    golden = (1 + 5**0.5) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-golden, golden)]
    points = [p for a, b in signs for p in ((0, a, b), (a, b, 0), (b, 0, a))]
    vertices = [np.array(p) / np.linalg.norm(p) for p in points]
    corners = np.array(vertices)  # [12, 3]
    near = np.linalg.norm(corners[:, None] - corners, axis=2) < 1.1  # [12, 12]
    faces = [
        (i, j, k) for i in range(12) for j in range(i) for k in range(j) if near[i, j] and near[j, k] and near[i, k]
    ]
    for _ in range(2):
        middle: dict[tuple[int, ...], int] = {}

        def halve(i: int, j: int, middle: dict[tuple[int, ...], int] = middle) -> int:
            key = tuple(sorted((i, j)))
            if key not in middle:
                middle[key] = len(vertices)
                vertices.append((vertices[i] + vertices[j]) / np.linalg.norm(vertices[i] + vertices[j]))
            return middle[key]

        split = [(i, j, k, halve(i, j), halve(j, k), halve(k, i)) for i, j, k in faces]
        faces = [f for i, j, k, a, b, c in split for f in ((i, a, c), (a, j, b), (c, b, k), (a, b, c))]
    scale = np.array([1.0, 0.6, 0.4 * stretch])  # [3]
    return {"vertices": (np.array(vertices) * scale).astype(np.float32), "faces": np.array(faces, dtype=np.int32)}


def tiny_engine(cache: Path, *arguments: str, **settings: Any) -> EngineClient:
    environment = {"OMP_NUM_THREADS": "1", "ISEG_CACHE": str(cache)}
    return EngineClient([*TINY, *arguments], environment, cache=cache / "models", **settings)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to become true; returns it."""
    end = time.monotonic() + PATIENT
    while not (value := condition()):
        assert time.monotonic() < end, "it never happens"
        time.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self").exists()  # a system without /proc: kill found it
    return state != "Z"
