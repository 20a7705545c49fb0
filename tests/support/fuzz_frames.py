"""Frames that nobody should send: truncated, oversized, of wrong types and versions, interleaved; from a seed.

Each function sends `count` of them, raises AssertionError where something else comes of it than a message, an answer or
one of our errors within SOON, and returns the figure in words. See faults.py.
"""

import io
import itertools
import json
import random
import tempfile
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from iseg_core.engine import client as engine_client
from iseg_core.engine import process as engine_process
from iseg_core.engine import server as engine_server
from iseg_core.engine.client import EngineClient, EngineState
from iseg_core.engine.connection import Connection
from iseg_core.engine.handlers import Handlers
from iseg_core.engine.protocol import HEADER_LIMIT, MAGIC, PAYLOAD_LIMIT, PREFIX, PROTOCOL, TYPES, Message, encode, read
from iseg_core.engine.server import Server
from iseg_core.errors import EngineError, MessageError, ProtocolError
from iseg_core.geometry.mesh import Mesh
from support.engine import PATIENT, alive, icosphere, tiny_engine

SOON = 5.0  # seconds
BALL = icosphere()
MESH = Mesh(BALL["vertices"].astype(np.float64), BALL["faces"])  # known to every server here
STREAM = 20  # frames that follow each other
PARSED = 30  # bytes of Python for one of JSON, at most
REQUESTS = ("open_mesh", "state", "query", "propose", "train", "doctor", "cache", "free", "fetch", "cancel", "sing")
QUICK = ("open_mesh", "state", "query", "propose", "cache", "cancel", "sing")
ANSWERS = ("result", "error", "progress", "state", "surprise")
NAMES = ("mesh", "clicks", "granularity", "model", "target", "protocol", "cache", "name", "supersedes", "preset")
NAMES += ("seed", "device", "threshold", "clear", "version", "type", "sentence", "stage", "fraction", "seconds_left")
MODEL = {"teacher": "geometric", "preset": "tiny", "seed": 0}
VALUES: tuple[Any, ...] = (None, True, False, 0, 1, -1, 2, 7, 99, 2**53, 2**70, 0.5, -1e300, PROTOCOL)
VALUES += ("", "part", "fine", "tiny", "geometric", "\0", "\ud800", "../../x", "x" * 3000, "0" * 64, MESH.hash)
VALUES += ([], {}, [[0, True]], [[3, True], [90, False]], [[0, 1]], [[-1, True]], [[]], [None] * 50)
VALUES += (MODEL, {"preset": 3}, {"a": {"b": [{"c": None}]}})


def _value(dice: random.Random, depth: int = 2) -> Any:
    if depth and dice.random() < 0.1:
        return [_value(dice, depth - 1) for _ in range(dice.randrange(4))]
    return dice.choice(VALUES)


def _message(dice: random.Random, kinds: tuple[str, ...]) -> bytes:
    """A frame that is right as a frame, with anything in it."""
    fields = {"mesh": MESH.hash, "clicks": [[3, True]], "target": 2} if dice.random() < 0.7 else {}
    fields |= {dice.choice(NAMES): _value(dice) for _ in range(dice.randrange(4))}
    names = ("vertices", "faces", "chosen", "x") if dice.random() < 0.5 else ("vertices", "faces")
    arrays = {}
    for name in dice.sample(names, dice.choice((0, 0, len(names) - 1, len(names)))):
        shape = [dice.randrange(5) for _ in range(dice.randrange(4))]
        size = int(np.prod(shape)) * np.dtype(kind := dice.choice(sorted(TYPES))).itemsize
        arrays[name] = np.frombuffer(dice.randbytes(size), kind).reshape(shape)
    try:
        return b"".join(map(bytes, encode(Message(dice.choice(kinds), dice.randrange(40), fields, arrays))))
    except (MessageError, UnicodeEncodeError):
        return raw({"kind": dice.choice(kinds), "id": dice.randrange(40), "fields": fields, "arrays": []})


def raw(header: Any, payload: bytes = b"", text: bytes | None = None) -> bytes:
    """A frame whose prefix is right and whose header may be anything."""
    text = json.dumps(header).encode() if text is None else text
    return PREFIX.pack(MAGIC, len(text), len(payload)) + text + payload


def _header(dice: random.Random, kinds: tuple[str, ...]) -> bytes:
    """A whole frame whose header is of wrong types, or declares what was not sent."""
    array = [dice.choice(("x", "", 3)), dice.choice((*TYPES, "object", "<f4", None)), []]
    array[2] = [dice.choice((0, 1, 3, -1, 2**30, 2**40, 1.0, True, "1")) for _ in range(dice.randrange(6))]
    header: dict[str, Any] = {
        "kind": dice.choice((*kinds, *VALUES)),
        "id": dice.choice((*range(9), *VALUES)),
        "fields": dice.choice(({}, {"mesh": "0" * 64}, *VALUES)),
        "arrays": dice.choice(([], [array], [array, array], [array] * 20, *VALUES)),
    }
    if dice.random() < 0.3:
        header.pop(dice.choice(list(header)))
    if dice.random() < 0.2:
        header["more"] = _value(dice)
    text = None if dice.random() < 0.8 else dice.choice((b"[" * 5000, b"{", b"NaN", b"\xff\xfe", dice.randbytes(40)))
    return raw(header, dice.randbytes(dice.choice((0, 0, 4, 12, 100))), text)


def _prefix(dice: random.Random) -> bytes:
    """A prefix that announces anything, and some bytes."""
    magic = dice.choice((MAGIC, MAGIC, b"iSeh", dice.randbytes(4)))
    size = dice.choice((0, 2, 40, HEADER_LIMIT, HEADER_LIMIT + 1, 2**32 - 1))
    payload = dice.choice((0, 5, PAYLOAD_LIMIT, PAYLOAD_LIMIT + 1, 2**63, 2**64 - 1))
    return PREFIX.pack(magic, size, payload) + dice.randbytes(dice.randrange(60))


def frame(dice: random.Random, kinds: tuple[str, ...]) -> bytes:
    """One frame, of every kind of wrong, or right."""
    data = _header(dice, kinds) if dice.random() < 0.4 else _message(dice, kinds)
    fate = dice.random()
    if fate < 0.01:
        return _prefix(dice)
    if fate < 0.02:
        return data[: dice.randrange(len(data))]  # truncated: what follows is taken for its rest
    if fate < 0.03:
        place = dice.randrange(len(data))
        return data[:place] + frame(dice, kinds) + data[place:]  # interleaved
    if fate < 0.3:
        damaged = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(PREFIX.size if dice.random() < 0.03 else 16, len(damaged))] = dice.randrange(256)
        return bytes(damaged)
    return data


def _answer(dice: random.Random) -> bytes:
    """What an engine might say to the requests 2, 3 and 4; one value in ten is of any type."""
    progress = {"stage": "fit", "fraction": dice.random(), "seconds_left": dice.choice((None, 3.0))}
    error = {"type": dice.choice(("MeshError", "Cancelled", "x", "EngineError")), "sentence": "A defect. A remedy."}
    kind, fields = dice.choice((("result", {}), ("progress", progress), ("progress", progress), ("error", error)))
    fields = {name: _value(dice) if dice.random() < 0.05 else value for name, value in fields.items()}
    return raw({"kind": kind, "id": dice.choice((2, 3, 4, 5, 99)), "fields": fields, "arrays": []})


class Drip(io.RawIOBase):
    """A stream that gives a few bytes at a time, as a pipe may; what is written to it is kept."""

    def __init__(self, data: bytes, dice: random.Random):
        self._data, self._most, self.written = io.BytesIO(data), dice.choice((3, 50, 10**6)), bytearray()

    def readinto(self, buffer: Any, /) -> int:
        return self._data.readinto(memoryview(buffer)[: self._most])

    def write(self, data: Any, /) -> int:
        self.written += data
        return len(data)


def reader(count: int, seed: int = 0) -> str:
    """What reads frames: a message or a ProtocolError, and no more memory than was announced within the bounds."""
    dice, ends, slowest, most = random.Random(seed), Counter[str](), 0.0, 0
    done = 0
    while done < count:
        stream = b"".join(frame(dice, REQUESTS + ANSWERS) for _ in range(STREAM))
        source, began = Drip(stream, dice), time.monotonic()
        tracemalloc.start()
        try:
            _read_all(source, ends)
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        done += STREAM
        slowest, most = max(slowest, time.monotonic() - began), max(most, taken)
        assert slowest < SOON, slowest
        # A header of the greatest size may be announced; an array only of what was sent, for its header must be right.
        assert taken < HEADER_LIMIT + PARSED * len(stream), (taken, len(stream))
    return (
        f"{done:,} frames: {ends['message']:,} read, {ends['refused']:,} refused, {ends['ended']:,} streams given up, "
        f"nothing else; a stream of {STREAM} took {slowest * 1e3:.0f} ms and {most / 2**20:.1f} MiB at most"
    )


def _read_all(source: "Drip", ends: Counter[str]) -> None:
    while True:
        try:
            message = read(source)
            ends["none" if message is None else "message"] += 1
            if message is None:
                return
        except MessageError:
            ends["refused"] += 1
        except ProtocolError:
            ends["ended"] += 1
            return


def server(count: int, seed: int = 0) -> str:
    """The dispatcher within this process: every answer is a result or one of our sentences, and it always ends."""
    dice, kinds, slowest, done = random.Random(seed), Counter[str](), 0.0, 0
    keep, engine_server._warm_up = engine_server._warm_up, lambda handlers: None
    keep_log, engine_process.log = engine_process.log, lambda text: None
    try:
        with tempfile.TemporaryDirectory() as folder:
            handlers = _Harmless(folder)
            while done < count:
                hello = raw({"kind": "hello", "id": 1, "fields": {"protocol": PROTOCOL, "cache": folder}, "arrays": []})
                stream = hello + b"".join(frame(dice, REQUESTS) for _ in range(STREAM))
                began, pipe, sink = time.monotonic(), Drip(stream, dice), Drip(b"", dice)
                one = Server(pipe, sink, handlers)  # pyright: ignore[reportArgumentType] in place of files
                one.run()
                while any(lane.busy for lane in one._lanes.values()):
                    time.sleep(0.001)
                    assert time.monotonic() - began < SOON, "a lane hangs"
                answers = io.BytesIO(bytes(sink.written))
                while (answer := read(answers)) is not None:
                    kinds[answer.fields.get("type", answer.kind)] += 1
                    assert answer.fields.get("type") != "InternalError", answer.fields
                done += STREAM
                slowest = max(slowest, time.monotonic() - began)
            assert not any(Path(folder).rglob("*")), "something was written"
    finally:
        engine_server._warm_up, engine_process.log = keep, keep_log
    said = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
    return f"{done:,} frames: {said}; a stream of {STREAM} took {slowest:.2f} s at most"


class _Harmless(Handlers):
    """Fetches and trains nothing, and knows one mesh: what is tested are requests, not the work."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        for kind in ("fetch", "train", "doctor", "free"):
            self.table[kind] = ("check", self.state)
        self.shelf.put_mesh(MESH)
        self.shelf.use_cache(folder)
        self.shelf.use_cache = lambda folder: None  # whatever a hello says


class _Fake(Connection):
    """A connection whose process is a stream of bytes."""

    stream = b""
    dice = random.Random(0)

    def _start(self) -> Any:
        return _Process(self.stream, self.dice)


class _Process:
    def __init__(self, stream: bytes, dice: random.Random):
        self.stdin, self.stdout, self.stderr = Drip(b"", dice), Drip(stream, dice), Drip(b"", dice)
        self.returncode, self.pid = 0, 0

    def wait(self, timeout: float | None = None) -> int:
        return 0

    def kill(self) -> None:
        pass


def client(count: int, seed: int = 0) -> str:
    """The client: whatever an engine says, a request ends with an answer or an EngineError, and the state says why."""
    dice, states, raised, done, slowest = random.Random(seed), Counter[str](), list[Any](), 0, 0.0
    keep, engine_client.Connection = engine_client.Connection, _Fake
    hook, threading.excepthook = threading.excepthook, raised.append
    try:
        while done < count:
            good = raw({"kind": "result", "id": 1, "fields": {"protocol": PROTOCOL, "version": "0"}, "arrays": []})
            hello = good if dice.random() < 0.8 else frame(dice, ANSWERS)
            said = (_answer(dice) if dice.random() < 0.9 else frame(dice, ANSWERS) for _ in range(STREAM))
            _Fake.stream, _Fake.dice = hello + b"".join(said), dice
            began = time.monotonic()
            with EngineClient(["engine"]) as engine:
                ids = [engine.request("state") for _ in range(3)]
                for id in ids:
                    try:
                        engine.wait(id, SOON)
                        states["answered"] += 1
                    except TimeoutError:
                        raise AssertionError("the client hangs") from None
                    except Exception as error:
                        states[type(error).__name__] += 1
                        assert type(error).__module__ == "iseg_core.errors", repr(error)
                engine.pump()
                while engine.state is EngineState.STARTING or engine.state is EngineState.READY:
                    time.sleep(0.001)
                    assert time.monotonic() - began < SOON, engine.state
                assert engine.reason
                states[engine.state.value] += 1
            done += STREAM + 1
            slowest = max(slowest, time.monotonic() - began)
        assert not raised, raised[0]
    finally:
        engine_client.Connection, threading.excepthook = keep, hook
    ends = ", ".join(f"{number:,} {state}" for state, number in states.most_common())
    return f"{done:,} frames, three requests a stream: {ends}; a stream took {slowest:.2f} s at most"


def process(count: int, seed: int = 0) -> str:
    """A real engine: after each stream it answers a click, has ended in words, or waits for bytes that were announced;
    then it ends when it is closed.
    """
    dice, ends, done = random.Random(seed), Counter[str](), 0
    click = {"mesh": MESH.hash, "clicks": [[3, True]]}
    with tempfile.TemporaryDirectory() as folder, tiny_engine(Path(folder)) as engine:
        engine._ids = itertools.count(10**6)  # none that the stream uses
        while done < count:
            engine.ask("open_mesh", arrays=BALL, timeout=PATIENT)
            engine.ask("query", click, timeout=PATIENT)  # the first of a process imports what it needs
            frames = (_header(dice, QUICK) for _ in range(STREAM - 1))
            stream = b"".join(data for data in frames if b'"id": 1,' not in data)  # the client's own hello
            if broken := dice.random() < 0.2:
                stream += _prefix(dice)
            connection = engine._connection
            assert connection is not None
            connection.send([memoryview(stream)])
            asked = engine.request("query", click)
            try:
                assert engine.wait(asked, SOON).arrays["probability"][3] >= 0.5
                ends["answered"] += 1
            except TimeoutError:
                assert broken, "the engine hangs"  # it waits for the bytes that were announced
                pid = engine.engine["pid"]
                engine.close()
                assert not alive(pid)
                ends["waited"] += 1
            except EngineError as error:
                assert broken and "Internal" not in str(error), error
                ends["ended"] += 1
            done += STREAM
    return (
        f"{done:,} frames: after {ends['answered']:,} streams a click was answered, {ends['ended']:,} ended the engine "
        f"in words, after {ends['waited']:,} it waited for the bytes that were announced until it was closed"
    )
