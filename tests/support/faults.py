"""What befalls engines at a user's desk, with real processes: kills, full disks, little memory, long use.

Each function does it `count` times, raises AssertionError where a promise is broken, and returns the figure in words.
benchmarks/reliability.py runs them with large counts, test_reliability.py with small ones.
"""

import os
import random
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from iseg_core.engine.client import EngineClient, EngineState
from iseg_core.errors import EngineError, IsegError
from iseg_core.formats.load import as_mesh
from support.engine import PATIENT, TINY, alive, icosphere, parent_of_an_engine, tiny_engine, torus, until

SOON = 5.0  # seconds within which something must have ended
GOOD = {"teacher": "geometric", "preset": "tiny", "seed": 0}
DONE, UNKNOWN = "done", "Open it again"  # what becomes of requests; the second where the mesh had been refused
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
            assert engine.state is EngineState.READY and not engine.reason
            arrived = engine.pump()
            while_training += any(e.id == training and e.fields["stage"] != "start" for e in arrived)
            os.kill(engine.engine["pid"], signal.SIGKILL)
            for id in {training, *asked} - {event.id for event in arrived if event.kind != "progress"}:
                try:
                    engine.wait(id, SOON)
                    assert id != training, "a training that never ends has ended"
                except EngineError as error:
                    assert type(error) is EngineError and "SIGKILL" in str(error) and "starts again" in str(error)
                    assert engine.state is EngineState.CRASHED and "SIGKILL" in engine.reason
            until(lambda: engine.state is EngineState.CRASHED)
            assert np.array_equal(query(engine, mesh, GOOD), before)  # in a new process, from the disk
            assert engine.state is EngineState.READY
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
    """done, or the sentence that was given in its place."""
    try:
        ask()
        return DONE
    except IsegError as error:
        return str(error).partition("\n")[0]


def _says_what_to_do(outcome: str) -> bool:
    """What has no remedy or is our own defect is not accepted."""
    remedies = ("lose other programs", "starts again", UNKNOWN, "Repair", "fewer vertices", "Fix or replace")
    return outcome == DONE or "Internal error" not in outcome and any(remedy in outcome for remedy in remedies)


def little_memory(count: int, around: int = 1000) -> str:
    """`count` engines whose address space ends somewhere from 0.6 to 3.4 GB, and `count` times one at work that may
    take but 4 to 1,000 MB more: each request is done or refused with a remedy, none hangs, and the last good model
    answers as before. Meshes of 162 and of around^2 vertices.
    """
    import resource  # which Windows lacks

    said: dict[str, Counter[str]] = {"query": Counter(), "train": Counter(), "open_mesh": Counter(), "free": Counter()}

    def note(engine: EngineClient, kind: str, fields: dict | None = None, arrays: dict | None = None) -> None:
        outcome = _outcome(lambda: engine.ask(kind, fields, arrays, timeout=5 * PATIENT))
        said[kind][re.sub("[0-9]+", "N", outcome)] += 1

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with tiny_engine(folder) as engine:
            good = open_mesh(engine)
            engine.ask("train", {"mesh": good, **GOOD}, timeout=PATIENT)
            before = query(engine, good, GOOD)  # [V]
        (file,) = folder.rglob("*.iseg")
        model = file.read_bytes()

        def still_good(engine: EngineClient) -> None:
            assert file.read_bytes() == model and not list(folder.rglob("*.part"))
            assert np.array_equal(query(engine, good, GOOD), before)

        for k, megabytes in enumerate(np.linspace(600, 3400, count).astype(int).tolist()):
            shell = ["sh", "-c", f'ulimit -v {megabytes * 1000}; exec "$@"', "sh", *TINY]
            environment = {"OMP_NUM_THREADS": "1", "ISEG_CACHE": name}
            with EngineClient(shell, environment, cache=folder / "models") as limited:
                for arrays in (icosphere(2 + k), torus(around)):
                    mesh = as_mesh((arrays["vertices"], arrays["faces"])).hash
                    note(limited, "open_mesh", arrays=arrays)
                    note(limited, "query", {"mesh": mesh, "clicks": CLICKS})
                    note(limited, "train", {"mesh": mesh, "preset": "tiny", "seed": 1 + k})
                note(limited, "query", {"mesh": good, "clicks": CLICKS, "model": GOOD})
                note(limited, "free")
            with tiny_engine(folder) as engine:
                still_good(engine)
        with tiny_engine(folder) as engine:
            for k, megabytes in enumerate(np.geomspace(4, 1000, count).tolist()):
                meshes = [
                    engine.ask("open_mesh", arrays=arrays, timeout=PATIENT).fields["mesh"]
                    for arrays in (icosphere(200 + k), torus(around, 2.0 + k))
                ]
                still_good(engine)  # whose process has all that it needs in memory
                pid = engine.engine["pid"]
                size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
                resource.prlimit(pid, resource.RLIMIT_AS, (size + int(megabytes * 1e6), resource.RLIM_INFINITY))
                for mesh in meshes:
                    note(engine, "query", {"mesh": mesh, "clicks": CLICKS})
                    note(engine, "train", {"mesh": mesh, "preset": "tiny", "seed": 1000 + k})
                if engine.engine.get("pid") == pid:
                    resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                still_good(engine)
    wrong = [outcome for outcomes in said.values() for outcome in outcomes if not _says_what_to_do(outcome)]
    assert not wrong, "\n".join(wrong)
    text = [f"{count} limits from the start, {count} of a running engine"]
    for kind, outcomes in said.items():
        refused = {k: n for k, n in outcomes.items() if k != DONE and UNKNOWN not in k}
        assert refused or kind not in ("query", "train"), f"no {kind} was refused: this has shown nothing"
        sentences = [f"    {n} x {sentence[:110]}" for sentence, n in refused.items()]
        text += [f"{kind}: {outcomes[DONE]} done, {sum(refused.values())} refused", *sentences]
    return "\n".join([*text, "the last good model as before"])


@contextmanager
def _engine_on_disk(folder: str, kilobytes: int) -> Iterator[EngineClient]:
    """An engine whose cache lies on a disk of that size: a tmpfs, in a namespace of its own."""
    mount = f'mount -t tmpfs -o size={kilobytes}k none "$0" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, folder, *TINY]
    environment = {"OMP_NUM_THREADS": "1", "ISEG_CACHE": folder}
    with EngineClient(command, environment, cache=Path(folder, "models")) as engine:
        yield engine


def _files_of(engine: EngineClient, folder: str) -> dict[str, bytes]:
    """What lies on that disk, by name."""
    inside = Path(f"/proc/{engine.engine['pid']}/root{folder}")
    return {path.name: path.read_bytes() for path in inside.rglob("*") if path.is_file()}


def small_disk(kilobytes: int) -> str:
    """No model fits: the reason is said, and the model answers from memory."""
    with tempfile.TemporaryDirectory() as folder, _engine_on_disk(folder, kilobytes) as engine:
        mesh = open_mesh(engine)
        trained = engine.ask("train", {"mesh": mesh, "preset": "tiny"}, timeout=PATIENT).fields
        assert "could not be saved" in trained["unsaved"] and "Make room" in trained["unsaved"], trained
        query(engine, mesh, GOOD)
        left = _files_of(engine, folder)
        assert not any(name.endswith((".part", ".iseg")) for name in left), left.keys()
        return f"a disk of {kilobytes} kB: {trained['unsaved'].replace(folder, 'CACHE')} No partial file was left."


def disk_for_one() -> str:
    """One model fits, two do not: the second one is refused, the first one stays and answers from the disk as before;
    where the user makes room, the second one is saved.
    """
    second = GOOD | {"seed": 1}
    with tempfile.TemporaryDirectory() as folder, tiny_engine(Path(folder)) as engine:
        engine.ask("train", {"mesh": open_mesh(engine), **GOOD}, timeout=PATIENT)
        (file,) = Path(folder).rglob("*.iseg")
        kilobytes = int(1.5 * file.stat().st_size / 1000)
    with tempfile.TemporaryDirectory() as folder, _engine_on_disk(folder, kilobytes) as engine:
        mesh = open_mesh(engine)
        assert engine.ask("train", {"mesh": mesh, **GOOD}, timeout=PATIENT).fields["unsaved"] is None
        before, kept = query(engine, mesh, GOOD), _files_of(engine, folder)  # [V]
        assert [Path(name).suffix for name in kept] == [".iseg"], kept.keys()
        said = engine.ask("train", {"mesh": mesh, **second}, timeout=PATIENT).fields["unsaved"]
        assert "could not be saved" in said and "Make room" in said, said
        unsaved = query(engine, mesh, second)  # [V]
        assert _files_of(engine, folder) == kept
        engine.ask("free", timeout=PATIENT)  # what answers from here on comes from the disk
        assert np.array_equal(query(engine, mesh, GOOD), before)
        engine.ask("cache", {"clear": True}, timeout=PATIENT)
        open_mesh(engine)
        assert engine.ask("train", {"mesh": mesh, **second}, timeout=PATIENT).fields["unsaved"] is None
        assert np.array_equal(query(engine, mesh, second), unsaved)
        return (
            f"a disk of {kilobytes} kB, with room for 1.5 models: the second was refused, the first is the same file "
            "and answers the same, no partial file; after Clear the second was saved"
        )


def full_disks(count: int) -> str:
    return "\n".join([*(small_disk(16 << i) for i in range(count)), disk_for_one()])


def long_use(count: int, preset: str = "tiny", around: int = 0) -> str:
    """Trainings and queries, some of each a turn, in one process: memory, open files and threads do not grow.

    around: meshes of around^2 vertices in place of 162.
    """
    samples: list[tuple[int, float, int, int]] = []
    every, held = max(count // 40, 1), 50  # meshes that take turns
    with tempfile.TemporaryDirectory() as folder, tiny_engine(Path(folder)) as engine:
        for turn in range(count):
            stretch, named = 1.0 + turn % held / 100, GOOD | {"preset": preset, "seed": turn // held}
            arrays = torus(around, stretch) if around else icosphere(stretch)
            mesh = engine.ask("open_mesh", arrays=arrays, timeout=PATIENT).fields["mesh"]
            engine.ask("train", {"mesh": mesh, **named}, timeout=PATIENT)
            query(engine, mesh, named)
            query(engine, mesh)
            if turn % every == every - 1:
                process = Path(f"/proc/{engine.engine['pid']}")
                pages = int((process / "statm").read_text().split()[1])
                files, threads = (len(list((process / name).iterdir())) for name in ("fd", "task"))
                samples.append((turn + 1, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, threads))
    turns, megabytes, files, threads = np.array(samples).T  # [n] each
    half = len(turns) // 2  # before, caches of bounded size fill
    slope = float(np.polyfit(turns[half:], megabytes[half:], 1)[0]) * 100 if len(turns) - half > 1 else 0.0
    assert len(set(files[half:])) == 1, files
    assert np.ptp(threads[half:]) <= 1, threads  # one may not have ended yet
    assert count < 200 or slope < 1.0, (slope, megabytes.tolist())
    return (
        f"{count} trainings and {2 * count} queries in one process: {slope:+.2f} MB a 100 in the second half "
        f"({megabytes[half]:.0f} to {megabytes[-1]:.0f} MB), {int(files[-1])} open files throughout, "
        f"{int(threads[half:].max())} threads at most"
    )
