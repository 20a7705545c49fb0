"""What befalls engines at a user's desk, with real processes: kills, full disks, little memory, long use.

Each function does it `count` times, raises AssertionError where a promise is broken, and returns the figure in words.
benchmarks/reliability.py runs them with large counts, test_reliability.py with small ones.
"""

import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_support import PATIENT, TINY, alive, icosphere, parent_of_an_engine, tiny_engine, until

from iseg_core.engine.client import EngineClient, State
from iseg_core.errors import EngineError, IsegError

SOON = 5.0  # seconds within which something must have ended
GOOD = {"teacher": "geometric", "preset": "tiny", "seed": 0}
CLICKS = [[3, True], [90, True], [0, False]]


def open_mesh(engine: EngineClient, stretch: float = 1.0) -> str:
    return engine.ask("open_mesh", arrays=icosphere(stretch), timeout=PATIENT).fields["mesh"]


def query(engine: EngineClient, mesh: str, model: dict | None = None) -> np.ndarray:
    fields = {"mesh": mesh, "clicks": CLICKS, "model": model}
    return engine.ask("query", fields, timeout=PATIENT).arrays["probability"]  # [V]


def kills(count: int, seed: int = 0) -> str:
    """SIGKILL at a random moment of training and querying: the reason is said, the next request starts the engine
    again, and the last good model answers as before.
    """
    dice, while_training = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as folder, tiny_engine(Path(folder)) as engine:
        mesh = open_mesh(engine)
        engine.ask("train", {"mesh": mesh, **GOOD}, timeout=PATIENT)
        before = query(engine, mesh, GOOD)  # [V]
        for turn in range(count):
            open_mesh(engine)  # starts the engine again
            training = engine.request("train", {"mesh": mesh, "preset": "endless", "seed": turn})
            asked = [engine.request("query", {"mesh": mesh, "clicks": CLICKS, "model": m}) for m in (None, GOOD)]
            time.sleep(dice.choice((0.02, 0.3, 3.0)) * dice.random())
            assert engine.state is State.READY and not engine.reason
            arrived = engine.pump()
            while_training += any(e.id == training and e.fields["stage"] != "start" for e in arrived)
            os.kill(engine.engine["pid"], signal.SIGKILL)
            for id in {training, *asked} - {event.id for event in arrived if event.kind != "progress"}:
                try:
                    engine.wait(id, SOON)
                    assert id != training, "a training that never ends has ended"
                except EngineError as error:
                    assert type(error) is EngineError and "SIGKILL" in str(error) and "starts again" in str(error)
                    assert engine.state is State.CRASHED and "SIGKILL" in engine.reason
            until(lambda: engine.state is State.CRASHED)
            assert np.array_equal(query(engine, mesh, GOOD), before)  # in a new process, from the disk
            assert engine.state is State.READY
        left = [path.name for path in Path(folder, "models").glob("*.iseg")]
        assert len(left) == 1, left
    return f"{count} kills ({while_training} after the training had begun): {count} reasons, {count} restarts, 1 model"


def orphans(count: int) -> str:
    """The engine ends when the program that has started it is killed, in the middle of a training."""
    times = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            parent, engine = parent_of_an_engine(Path(folder))
            began = time.monotonic()
            parent.kill()
            until(lambda engine=engine: not alive(engine))
            times.append(time.monotonic() - began)
            parent.wait()
    assert max(times) < SOON, times
    return (
        f"{count} parents killed: the engine ended after {np.median(times):.2f} s (median), {max(times):.2f} s at most"
    )


def _outcome(ask: Callable[[], Any]) -> str:
    """done, or the sentence that was given in its place; what has no remedy or is our own defect is not accepted."""
    try:
        ask()
        return "done"
    except IsegError as error:
        sentence = str(error)
        assert "Internal error" not in sentence and "Traceback" not in sentence.partition("\n")[0], sentence
        remedies = ("Close other programs", "starts again", "Open it again", "Make room", "Repair", "fewer vertices")
        assert any(remedy in sentence for remedy in remedies), sentence
        return sentence.partition("\n")[0]


def little_memory(limits: tuple[int, ...]) -> str:
    """Engines whose address space ends at so many MB: each request is done or refused with a remedy, none hangs."""
    said = []
    for megabytes in limits:
        with tempfile.TemporaryDirectory() as folder:
            shell = ["sh", "-c", f'ulimit -v {megabytes * 1000}; exec "$@"', "sh", *TINY]
            environment = {"OMP_NUM_THREADS": "1", "ISEG_CACHE": folder}
            with EngineClient(shell, environment, cache=Path(folder, "models")) as engine:
                mesh = "0" * 64

                def open_mesh_here() -> None:
                    nonlocal mesh
                    mesh = open_mesh(engine)  # noqa: B023

                outcomes = [_outcome(open_mesh_here)]
                huge = {"vertices": np.zeros((30_000_000, 3)), "faces": np.zeros((1000, 3), np.int32)}
                requests: list[tuple[str, dict, dict]] = [
                    ("query", {"mesh": mesh, "clicks": CLICKS}, {}),
                    ("train", {"mesh": mesh, "preset": "tiny"}, {}),
                    ("free", {}, {}),
                    ("open_mesh", {}, huge),
                ]
                for kind, fields, arrays in requests:
                    try:
                        outcomes.append(_outcome(lambda: engine.ask(kind, fields, arrays, timeout=PATIENT)))  # noqa: B023
                    except AssertionError as error:
                        if kind != "open_mesh":
                            raise
                        outcomes.append(str(error).partition("\n")[0])  # a mesh of zeros is refused for what it is
                left = [path.name for path in Path(folder).rglob("*.part")]
                assert left == [], left
            said.append(f"{megabytes} MB: " + "; ".join(outcome[:110] for outcome in outcomes))
    return "\n".join(said)


def small_disk(kilobytes: int) -> str:
    """An engine whose cache lies on a disk (tmpfs, in a namespace of its own) where no model fits."""
    with tempfile.TemporaryDirectory() as folder:
        mount = f'mount -t tmpfs -o size={kilobytes}k none "$0" && exec "$@"'
        command = ["unshare", "-rm", "sh", "-c", mount, folder, *TINY]
        environment = {"OMP_NUM_THREADS": "1", "ISEG_CACHE": folder}
        with EngineClient(command, environment, cache=Path(folder, "models")) as engine:
            mesh = open_mesh(engine)
            trained = engine.ask("train", {"mesh": mesh, "preset": "tiny"}, timeout=PATIENT).fields
            assert "could not be saved" in trained["unsaved"] and "Make room" in trained["unsaved"], trained
            query(engine, mesh, GOOD)  # the model is in memory, and works
            inside = Path(f"/proc/{engine.engine['pid']}/root{folder}")
            left = [path.name for path in inside.rglob("*") if path.is_file()]
            assert not any(name.endswith((".part", ".iseg")) for name in left), left
        return f"a disk of {kilobytes} kB: {trained['unsaved'].replace(folder, 'CACHE')} No partial file was left."


def long_use(count: int) -> str:
    """Trainings and queries, one of each a turn, in one process: memory and open files do not grow."""
    samples: list[tuple[int, float, int]] = []
    every = max(count // 40, 1)
    with tempfile.TemporaryDirectory() as folder, tiny_engine(Path(folder)) as engine:
        for turn in range(count):
            mesh = open_mesh(engine, 1.0 + turn % 50 / 100)
            engine.ask("train", {"mesh": mesh, "preset": "tiny", "seed": turn // 50}, timeout=PATIENT)
            query(engine, mesh, GOOD | {"seed": turn // 50})
            query(engine, mesh)
            if turn % every == every - 1:
                pid = engine.engine["pid"]
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
                samples.append((turn + 1, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files))
    turns, megabytes, files = np.array(samples).T  # [n] each
    half = len(turns) // 2  # before, caches of bounded size fill
    slope = float(np.polyfit(turns[half:], megabytes[half:], 1)[0]) * 100 if len(turns) - half > 1 else 0.0
    assert len(set(files[half:])) == 1, files
    assert count < 400 or slope < 1.0, (slope, megabytes.tolist())
    return (
        f"{count} trainings and {2 * count} queries in one process: {slope:+.2f} MB a 100 in the second half "
        f"({megabytes[half]:.0f} to {megabytes[-1]:.0f} MB), {int(files[-1])} open files throughout"
    )
