"""Meshes, commands and patience for the tests of the engine process."""

import os
import subprocess
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

# A program with an engine of its own, which it leaves in the middle of a training.
PARENT = """
import sys, time
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from support.engine import icosphere, tiny_engine
engine = tiny_engine(Path(sys.argv[3]))
mesh = engine.ask("open_mesh", arrays=icosphere()).fields["mesh"]
training = engine.request("train", {"mesh": mesh, "preset": "endless"})
while not any(e.kind == "progress" and e.fields["stage"] == "field" for e in engine.pump()):
    time.sleep(0.02)
print(engine.engine["pid"], flush=True)
time.sleep(600)
"""


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


def torus(around: int, stretch: float = 1.0) -> dict[str, np.ndarray]:
    """A ring with ripples, of around^2 vertices and twice as many faces, as the arrays of open_mesh."""
    turn = np.arange(around) * 2 * np.pi / around  # [n]
    a, b = np.meshgrid(turn, turn, indexing="ij")  # 2 x [n, n]
    radius = 0.4 + 0.05 * np.sin(5 * a)  # [n, n]
    out = 1 + radius * np.cos(b)  # [n, n]
    vertices = np.stack([out * np.cos(a), out * np.sin(a), stretch * radius * np.sin(b)], axis=-1)  # [n, n, 3]
    here = np.arange(around**2).reshape(around, around)  # [n, n]
    right, down = np.roll(here, -1, 0), np.roll(here, -1, 1)  # 2 x [n, n]
    across = np.roll(right, -1, 1)  # [n, n]
    faces = np.concatenate([np.stack([here, right, across], -1), np.stack([here, across, down], -1)])  # [2 n, n, 3]
    return {"vertices": vertices.reshape(-1, 3).astype(np.float32), "faces": faces.reshape(-1, 3).astype(np.int32)}


def tiny_engine(cache: Path, *arguments: str, **settings: Any) -> EngineClient:
    environment = {"OMP_NUM_THREADS": "1", "ISEG_CACHE": str(cache)}
    return EngineClient([*TINY, *arguments], environment, cache=cache / "models", **settings)


def parent_command(code: str, cache: Path) -> list[str]:
    """What runs the code of such a program."""
    return [sys.executable, "-c", code, str(HERE.parents[1]), str(HERE.parent), str(cache)]


def parent_of_an_engine(cache: Path) -> tuple[subprocess.Popen, int]:
    """That program, running, and the process number of its engine, which is training."""
    parent = subprocess.Popen(parent_command(PARENT, cache), stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        engine = int(parent.stdout.readline())
    assert alive(engine)
    return parent, engine


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
