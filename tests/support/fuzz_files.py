"""Files that nobody should open: meshes and models, mutated from a seed.

Each function tries `count` of them, raises AssertionError where something else comes of it than a result or one of our
errors, within SOON, LATE and ROOM of address space, and returns the figure in words. See faults.py.
"""

import json
import pickle
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import iseg_core as iseg
from iseg_core.errors import ClickError, MeshError, ModelFileError
from iseg_core.formats.load import load_mesh
from iseg_core.storage import tensor_file
from support.mesh_files import good_files
from support.polygons import outline, tangle
from support.shapes import dumbbell, tiny_settings

SOON = 10.0  # seconds of the processor for one file
LATE = 60.0  # seconds of the clock: what waits for a pipe or a device takes no time of the processor
ROOM = 4 * 2**30  # bytes of address space beyond what the process has
IMPORT = Path(__file__).resolve().parents[3] / "shared" / "data" / "import"
WORDS = (b"0", b"-1", b"9" * 8, b"9" * 30, b"nan", b"1e999", b"[", b"{", b'"', b",", b"f 1 1 1\n", b"/", b"\x00\xff")
WORDS += (b" ", b"\n")


@contextmanager
def bounded() -> Iterator[None]:
    """No more than ROOM beyond what this process has now (Linux), so that a file which asks for more is found out."""
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class _Late(BaseException):
    """Not an Exception, which the readers would take for a defect of the file."""


@contextmanager
def watched(seconds: float) -> Iterator[None]:
    """An error in what is not over by then, also where it waits for something (not on Windows)."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_: object) -> None:
        raise _Late(f"not over after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def polygons() -> bytes:
    """An OBJ file of two large polygons: one concave, one that crosses itself."""
    lines = []
    for ring in (outline("gear", 300), tangle(600)):
        lines += [f"v {x:.3f} {y:.3f} {z:.3f}" for x, y, z in ring]
        lines.append("f " + " ".join(str(k) for k in range(-len(ring), 0)))
    return "\n".join(lines).encode()


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, cut, moved, repeated or replaced by words that formats know."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        place, fate = dice.randrange(len(out)), dice.random()
        if dice.random() < 0.5:
            place = min(place, dice.randrange(2000))  # headers decide most
        if fate < 0.4:
            out[place] = dice.randrange(256)
        elif fate < 0.55:
            out[place : place + 4] = dice.choice((0, 1, 255, 2**31 - 1, 2**32 - 1)).to_bytes(4, "little")
        elif fate < 0.7:
            del out[place : place + dice.choice((1, 4, 100, 10**6))]
        elif fate < 0.9:
            out[place:place] = dice.choice(WORDS)
        else:
            out[place:place] = out[place : place + dice.choice((10, 1000))]
        if not out:
            out += b"x"
    return bytes(out)


def _try(what: str, work: Callable[[], Any], allowed: tuple[type[Exception], ...], ends: Counter[str]) -> float:
    """Seconds that it took; what it comes to is counted."""
    began = time.process_time()
    try:
        with watched(LATE):
            work()
        ends["result"] += 1
    except allowed as error:
        assert str(error), what
        assert not isinstance(error.__cause__, MemoryError), f"{what}: {error}"
        ends[type(error).__name__] += 1
    except BaseException as error:
        raise AssertionError(f"{what}: {error!r}") from error
    seconds = time.process_time() - began
    assert seconds < SOON, f"{what} took {seconds:.1f} s"
    return seconds


def meshes(count: int, seed: int = 0) -> str:
    """Mesh files of every format: those of the tests, and where they are at hand, real ones."""
    sources = good_files() | {"polygons.obj": polygons()}
    made = len(sources)
    real = sorted(IMPORT.glob("*")) if IMPORT.is_dir() else []
    sources |= {path.name: path.read_bytes() for path in real if path.suffix != ".bin"}
    chances = [min(1.0, 2e5 / len(data)) for data in sources.values()]  # large ones take long
    dice, ends, slowest = random.Random(seed), Counter[str](), 0.0
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), bounded():
        warnings.simplefilter("error")
        for path in real:
            if path.suffix == ".bin":  # which a .gltf names
                (Path(folder) / path.name).write_bytes(path.read_bytes())
        for turn in range(count):
            [name] = dice.choices(list(sources), chances)
            path = Path(folder) / name
            path.write_bytes(mutate(sources[name], dice))
            what = f"{name}, turn {turn} of seed {seed}"
            slowest = max(slowest, _try(what, lambda path=path: load_mesh(path), (MeshError,), ends))
    return (
        f"{count:,} mutations of {len(sources)} files ({len(sources) - made} of them real): "
        f"{ends['result']:,} read, {ends['MeshError']:,} refused, nothing else; {slowest:.2f} s (CPU) at most"
    )


class _Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def models(count: int, seed: int = 0) -> str:
    """Model files: mutated bytes; and contents that are wrong although the checksum is right, then asked for a part."""
    model = iseg.train(dumbbell(2), preset=tiny_settings())
    dice, ends, slowest, sealed = random.Random(seed), Counter[str](), 0.0, 0
    with tempfile.TemporaryDirectory() as folder, bounded(), np.errstate(all="ignore"):
        path, sprung = Path(folder) / "model.iseg", Path(folder) / "sprung"
        model.save(path)
        good = path.read_bytes()
        record, tensors = tensor_file.read(path)
        for turn in range(count):
            if dice.random() < 0.02:
                data = pickle.dumps(_Trap(sprung))
                path.write_bytes(data if dice.random() < 0.5 else good[: dice.randrange(len(good))] + data)
            elif dice.random() < 0.5:
                path.write_bytes(mutate(good, dice))
            else:
                path.write_bytes(_sealed(record, tensors, dice))
                sealed += 1

            def answer() -> None:
                loaded = iseg.load(path)
                answer = iseg.Segmenter(loaded, "cpu").segment(clicks=[(0, True), (5, False)])  # [V]
                assert answer.shape == (len(loaded.mesh.vertices),) and np.isfinite(answer).all()

            what, allowed = f"model, turn {turn} of seed {seed}", (ModelFileError, ClickError)
            slowest = max(slowest, _try(what, answer, allowed, ends))
            assert not sprung.exists(), what
    said = ", ".join(f"{number:,} {kind}" for kind, number in ends.most_common())
    return (
        f"{count:,} model files ({sealed:,} with a right checksum): {said}, nothing else; {slowest:.2f} s (CPU) at most"
    )


def _sealed(record: dict[str, Any], tensors: dict[str, np.ndarray], dice: random.Random) -> bytes:
    """A model file whose checksum is right, and one or two things in it are not."""
    from safetensors.numpy import save

    record, tensors = json.loads(json.dumps(record)), dict(tensors)
    for _ in range(dice.choice((1, 2))):
        name = dice.choice(sorted(tensors))
        array, fate = tensors[name], dice.random()
        if fate < 0.15:
            del tensors[name]
        elif fate < 0.3:
            tensors[name] = array.astype(dice.choice(("float32", "float64", "int32", "int64", "uint8", "float16")))
        elif fate < 0.45:
            tensors[name] = array.reshape(-1)[: dice.randrange(array.size + 1)]
        elif fate < 0.6:
            tensors[name] = np.concatenate([array.reshape(-1)] * 2)
        elif fate < 0.9 and array.size:
            bad = array.copy()
            value = dice.choice((0, 1, -1, 7, 1e30, -1e30, 2**31 - 1, np.nan, np.inf))
            if bad.dtype.kind == "f" or np.isfinite(value) and abs(value) < 2**31:
                bad.reshape(-1)[dice.randrange(bad.size)] = value
                if dice.random() < 0.2:
                    bad[...] = value
            tensors[name] = bad
        else:
            part = dice.choice(("settings", "info"))
            key = dice.choice(sorted(record[part]))
            record[part][key] = dice.choice((None, 0, -1, 10**9, "x", [], [1], [10**6], [-1], [[1]], {}, 1e308, True))
    record["sha256"] = tensor_file.checksum({k: v for k, v in record.items() if k != "sha256"}, tensors)
    return save({name: np.asarray(array, order="C") for name, array in tensors.items()}, {"iseg": json.dumps(record)})
