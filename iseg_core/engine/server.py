"""Engine process: requests in on stdin, answers out on stdout (protocol.py), the log on stderr.

The main thread reads, and answers what needs no work. Everything else is done in lanes, a thread each, so that a query
never waits for a training. A cancelled request is answered at once; its work ends at its next step, and whatever it
still brings forth is dropped.

The process ends when stdin ends, whatever it is doing: that is how it learns that its parent has gone, on every
system (the pipe's other end closes with the process that held it). Reading needs Python's interpreter lock, which a
long call into a library may hold; on Linux the kernel therefore also kills the process the moment its parent's thread
ends (prctl PR_SET_PDEATHSIG), and nothing can hold that up.
"""

import faulthandler
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NoReturn

import numpy as np

from ..errors import Cancelled, MessageError, ProtocolError, Superseded
from ..progress import Progress
from ..version import __version__
from .error_fields import describe
from .handlers import LANES, Handlers
from .jobs import Handler, Job, Later
from .lanes import Lane
from .messages import (
    CancelRequest,
    CancelResult,
    Fields,
    HelloRequest,
    HelloResult,
    ProgressFields,
    ShutdownRequest,
    ShutdownResult,
)
from .process import die_with_parent, log, take_streams
from .protocol import PAYLOAD_LIMIT, PROTOCOL, Message, encode, mismatch, read, write

QUEUE_LIMIT = 1024  # requests that may be under way
QUEUE_SIZE = 2 * PAYLOAD_LIMIT  # bytes of their arrays
PROGRESS_INTERVAL = 0.1  # seconds between two reports of one stage
SAVING = 2.0  # seconds that a model's file gets to be finished when the process ends
BROKEN = 2  # exit code after input that breaks the protocol or does not fit into memory


def main() -> NoReturn:
    """Serve stdin and stdout until stdin ends. The process ends here."""
    if sys.stdin is not None and sys.stdin.isatty():
        sys.exit("This command talks to programs, not to people: Blender starts it by itself.")
    source, sink = take_streams()
    die_with_parent()
    faulthandler.enable()  # where a library crashes, the log says so
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; we follow when it ends
    handlers = Handlers(log)
    code = Server(source, sink, handlers).run()
    handlers.shelf.saving.acquire(timeout=SAVING)
    sys.stderr.flush()
    os._exit(code)  # without waiting for lanes that still work


class Server:
    """Server of one connection: reads requests, has them done, and answers each exactly once."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, handlers: Handlers):
        self._source, self._sink, self._handlers = source, sink, handlers
        self._sending = threading.Lock()
        self._jobs: dict[int, Job] = {}  # those without an answer; taken out with _sending held
        self._lanes = {name: Lane(name, self._do) for name in LANES}
        self._greeted = False

    def run(self) -> int:
        """Read until stdin ends or a shutdown is asked for; returns the exit code."""
        python = f"Python {platform.python_version()}, {platform.platform()}"
        log(f"engine: iSeg {__version__}, protocol {PROTOCOL}, {python}, pid {os.getpid()}")
        code = 0
        try:
            while self._step():
                pass
        except OSError as error:  # the other end is gone
            log(f"stdin: {error}")
        except Exception as error:  # not the protocol; or no memory, no thread: what follows could not be served
            self._send(_error(0, error))
            code = BROKEN
        for job in list(self._jobs.values()):
            job.cancelled.set()
        for lane in self._lanes.values():
            lane.end()
        return code

    # the main thread

    def _step(self) -> bool:
        """Read and handle one message; False where it was the last."""
        try:
            message = read(self._source)  # pyright: ignore[reportArgumentType] a raw file
            return message is not None and self._handle(message)
        except MessageError as error:
            self._send(_error(error.id, error))
            return True

    def _handle(self, message: Message) -> bool:
        kind, id, fields, _ = message
        if kind == HelloRequest.kind:
            return self._hello(id, fields)
        if not self._greeted:
            raise MessageError("The first request must be hello. Install iSeg's own client.", id)
        if kind == ShutdownRequest.kind:
            self._send(_result(id, ShutdownResult()))
            return False
        if kind == CancelRequest.kind:
            target = CancelRequest.from_fields(fields).target
            self._send(_result(id, CancelResult(cancelled=self._cancel(target))))
        else:
            self._accept(message)
        return True

    def _hello(self, id: int, fields: dict[str, Any]) -> bool:
        if fields.get("protocol") != PROTOCOL:
            self._send(_error(id, ProtocolError(mismatch("client", fields))))
            return False
        cache = HelloRequest.from_fields(fields).cache
        if cache is not None and not _is_path(cache):
            raise MessageError("The request hello needs cache: a folder, or null for the user's own.", id)
        self._handlers.shelf.use_cache(cache)
        self._greeted = True
        about = HelloResult(
            version=__version__,
            protocol=PROTOCOL,
            python=platform.python_version(),
            platform=platform.platform(),
            pid=os.getpid(),
        )
        self._send(_result(id, about))
        threading.Thread(target=_warm_up, args=(self._handlers,), name="warm-up", daemon=True).start()
        return True

    def _accept(self, message: Message) -> None:
        """Put a request into its lane."""
        kind, id, fields, arrays = message
        if kind not in self._handlers.table:
            own = (HelloRequest.kind, CancelRequest.kind, ShutdownRequest.kind)
            known = ", ".join([*own, *self._handlers.table])
            raise MessageError(f"There is no request {kind!r}; the engine knows {known}.", id)
        if id < 1 or id in self._jobs:
            raise MessageError(f"The id {id} is taken. Give every request an id of its own, from 1 on.", 0)
        if len(self._jobs) >= QUEUE_LIMIT:
            raise MessageError(f"{QUEUE_LIMIT} requests are under way. Wait for answers before sending more.", id)
        size, held = _size(message), sum(_size(job) for job in list(self._jobs.values()))
        if size and held + size > QUEUE_SIZE:
            raise MessageError(
                f"{held / 2**30:.1f} GiB of requests are under way. Wait for answers, then try again.", id
            )
        lane, handler = self._handlers.table[kind]
        job = Job(kind, id, fields, arrays, self._reporter(id))
        tag = fields.get("supersedes")
        if isinstance(tag, str):
            for stale in self._withdraw(lambda other: other.fields.get("supersedes") == tag):
                self._answer(_error(stale.id, Superseded("A newer request took this one's place.")))
        self._jobs[id] = job
        self._lanes[lane].put(job, handler)

    def _cancel(self, target: Any) -> bool:
        """Answer a request that waits or is being worked on with Cancelled, at once; False where there is none."""
        job = self._jobs.get(target) if type(target) is int else None
        if job is None:
            return False
        job.cancelled.set()
        self._withdraw(lambda other: other is job)
        return self._answer(_error(job.id, Cancelled("Cancelled; what was there before is unchanged.")))

    # the lanes

    def _withdraw(self, match: Callable[[Job], bool]) -> list[Job]:
        """Take the matching jobs that have not begun out of all lanes."""
        return [job for lane in self._lanes.values() for job in lane.withdraw(match)]

    def _do(self, job: Job, handler: Handler) -> None:
        """Do a job in its lane. Whatever happens, the lane goes on."""
        if job.cancelled.is_set():
            return
        try:
            outcome = handler(job)
            if isinstance(outcome, Later):
                if self._lanes[outcome.lane].put(job, outcome.handler):
                    job.report(Progress("wait", 0.0, None))
                return
            message = _result(job.id, outcome.result, outcome.arrays)
            encode(message)  # a result that cannot be sent is answered with an error
        except BaseException as error:  # a library's SystemExit, too
            message = _error(job.id, error)
        self._answer(message)

    def _reporter(self, id: int) -> Callable[[Progress], None]:
        """Make a progress callback that sends at most ten reports a second of one stage."""
        stage, sent = "", 0.0

        def report(progress: Progress) -> None:
            nonlocal stage, sent
            now = time.monotonic()
            if progress.stage == stage and now - sent < PROGRESS_INTERVAL:
                return
            stage, sent = progress.stage, now
            left = None if progress.seconds_left is None else float(progress.seconds_left)
            fields = ProgressFields(stage=stage, fraction=float(progress.fraction), seconds_left=left)
            with self._sending:
                if id in self._jobs:  # nothing follows an answer
                    self._write(Message("progress", id, fields.to_fields(), {}))

        return report

    # what is sent

    def _answer(self, message: Message) -> bool:
        """Send a request's one answer; False where it had been answered already."""
        with self._sending:
            if self._jobs.pop(message.id, None) is None:
                return False
            self._write(message)
            return True

    def _send(self, message: Message) -> None:
        with self._sending:
            self._write(message)

    def _write(self, message: Message) -> None:
        try:
            write(self._sink, encode(message))  # pyright: ignore[reportArgumentType] a raw file
        except OSError:
            pass  # nobody listens any more: stdin is about to end


def _size(request: Message | Job) -> int:
    return sum(array.nbytes for array in request.arrays.values())


def _is_path(text: str) -> bool:
    """Tell whether the system could have a file of that name."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half a character
        return False


def _result(id: int, result: Fields, arrays: Mapping[str, np.ndarray] | None = None) -> Message:
    return Message("result", id, result.to_fields(), dict(arrays or {}))


def _error(id: int, error: BaseException) -> Message:
    fields = describe(error)
    if not isinstance(error, Cancelled):
        log(f"error: {fields.traceback or fields.sentence}")
    return Message("error", id, fields.to_fields(), {})


def _warm_up(handlers: Handlers) -> None:
    """Import what the first query and the first training will need; it takes seconds."""
    try:
        from ..inference import segmenter  # noqa: F401

        handlers.torch.load()
        import torch

        from ..system.device import pick_device

        log(f"torch {torch.__version__}, device {pick_device()}")
    except Exception as error:  # missing or broken: the request that needs it reports that
        log(f"warm-up: {error}")
