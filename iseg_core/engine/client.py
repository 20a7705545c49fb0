"""Client of the engine process, in Blender and in scripts. Standard library and numpy only.

    with EngineClient([python, "-m", "iseg_core", "engine"], log=folder / "engine.log") as engine:
        mesh = engine.ask("open_mesh", arrays={"vertices": vertices, "faces": faces}).fields["mesh"]
        answer = engine.ask("query", {"mesh": mesh, "clicks": [[12, True]]})
        answer.arrays["probability"]  # [V] float32

Blender never waits: it calls `request` and gets an id, and a timer calls `pump`, which hands out what has arrived.
messages.py lists the requests, their fields and their results.
"""

import itertools
import os
import threading
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from .. import errors
from ..errors import EngineError, IsegError
from ..progress import Progress, ProgressCallback
from ..version import __version__
from .connection import HELLO_ID, Connection, Events, clean_environment
from .log import Log
from .messages import CancelRequest, ErrorFields, ProgressFields, StateFields
from .protocol import Message, encode

OPEN_LIMIT = 1024  # requests whose answer has not been handed out
Event = Message  # what `pump` hands out: kind progress | result | error, or state (fields state, reason; id 0)


class EngineState(Enum):
    """State of the engine process."""

    STOPPED = "stopped"  # not started yet, or closed
    STARTING = "starting"
    READY = "ready"
    CRASHED = "crashed"  # ended or never started; `reason` says why; the next request starts it again


class EngineClient:
    """Client of one engine process at a time, started on first use and again after a crash. Thread-safe.

    No method blocks but `wait`, `ask` and `close`. A new process knows nothing of the one before: a request that names
    a mesh which it has not been given ends with UnknownMeshError.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        log: str | os.PathLike[str] | None = None,
        cache: str | os.PathLike[str] | None = None,
        patience: float = 60.0,
    ):
        """command: what starts the engine, here or (ssh) elsewhere. environment: variables beside the cleaned ones of
        this process. log: file for what the engine says on stderr. cache: folder of the trained models, as the engine
        sees it; None: its own. patience: seconds that the process has to answer once it was started.
        """
        self.command = list(command)
        self.log = Log(log)
        self._environment, self._patience = dict(environment or {}), patience
        self._hello = {"cache": os.fspath(cache) if cache is not None else None}
        self._changed = threading.Condition()
        self._ids = itertools.count(HELLO_ID + 1)
        self._connection: Connection | None = None
        self._state, self._reason, self._engine = EngineState.STOPPED, "", {}
        self._open: dict[int, Connection] = {}  # requests whose answer has not been handed out
        self._waited: set[int] = set()  # open requests that a thread waits for
        self._progress: dict[int, Message] = {}  # the latest of each
        self._answers: dict[int, Message] = {}
        self._state_event: Message | None = None

    def __enter__(self) -> "EngineClient":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def state(self) -> EngineState:
        return self._state

    @property
    def reason(self) -> str:
        """Reason of the last crash, empty where there is none. The first line is a sentence for the user."""
        return self._reason

    @property
    def engine(self) -> dict[str, Any]:
        """Facts that the running engine reported: version, protocol, python, platform, pid. Empty before."""
        return dict(self._engine)

    @property
    def notice(self) -> str:
        """Sentence for the user where the engine is of another version than this client; else empty."""
        version = self._engine.get("version", __version__)
        if version == __version__:
            return ""
        return f"The engine is iSeg {version}, this is iSeg {__version__}. Update the engine's environment (Repair)."

    @property
    def pid(self) -> int | None:
        """Id of the process that was started (with ssh: of ssh itself); None where there is none."""
        connection = self._connection
        return connection.pid if connection is not None else None

    def start(self) -> None:
        """Start the process where it is not running; `request` does so by itself."""
        with self._changed:
            self._connect()

    def request(
        self, kind: str, fields: Mapping[str, Any] | None = None, arrays: Mapping[str, np.ndarray] | None = None
    ) -> int:
        """Ask for something, starting the engine where it is not running; returns the id that its events will have.

        The arrays are sent from where they lie: do not change them before the answer. Never blocks.
        Raises EngineError where the message cannot be sent or too many are unanswered.
        """
        with self._changed:
            if len(self._open) >= OPEN_LIMIT:
                raise EngineError(f"{OPEN_LIMIT} requests are unanswered. Call pump or wait, then try again.")
            id = next(self._ids)
            parts = encode(Message(kind, id, dict(fields or {}), dict(arrays or {})))
            connection = self._connect()
            connection.send(parts)
            self._open[id] = connection
            return id

    def cancel(self, id: int) -> None:
        """End a request: its answer is the error Cancelled, at once; the engine stops at its next step. Never blocks.

        Nothing happens where the answer has arrived already.
        """
        with self._changed:
            connection = self._open.get(id)
            if connection is None or id in self._answers:
                return
            connection.send(
                encode(Message(CancelRequest.kind, next(self._ids), CancelRequest(target=id).to_fields(), {}))
            )
            self._on_message(connection, _error(id, "Cancelled", "Cancelled; what was there before is unchanged."))

    def pump(self) -> list[Event]:
        """Take all events since the last call, without waiting: state, progress (the latest of each
        request), answers in the order of their arrival.
        """
        with self._changed:
            events = [self._state_event] if self._state_event is not None else []
            self._state_event = None
            for kept in (self._progress, self._answers):
                for id in [id for id in kept if id not in self._waited]:
                    events.append(kept.pop(id))
                    if kept is self._answers:
                        self._open.pop(id, None)
            return events

    def wait(self, id: int, timeout: float | None = None, progress: ProgressCallback | None = None) -> Event:
        """Wait for the result of a request. progress is told how far it is, on this thread.

        Raises the engine's error (the IsegError that it names, else EngineError), and TimeoutError after `timeout`
        seconds; the request then goes on, and can be waited for again.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            if id not in self._open:
                raise EngineError(f"There is no request {id}, or its answer was handed out already.")
            self._waited.add(id)
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(
                        lambda: id in self._answers or (progress is not None and id in self._progress),
                        None if deadline is None else max(deadline - time.monotonic(), 0.0),
                    )
                    report, answer = self._progress.pop(id, None), self._answers.pop(id, None)
                    if answer is not None:
                        self._open.pop(id, None)
                if answer is not None:
                    break
                if report is not None and progress is not None:
                    progress(as_progress(report))
                elif deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(f"The engine has not answered within {timeout:g} s. Wait on, or cancel.")
        finally:
            with self._changed:
                self._waited.discard(id)
        if answer.kind == "error":
            raise as_error(answer)
        return answer

    def ask(
        self,
        kind: str,
        fields: Mapping[str, Any] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        timeout: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> Event:
        """`request`, then `wait`."""
        return self.wait(self.request(kind, fields, arrays), timeout, progress)

    def close(self, timeout: float = 3.0) -> None:
        """End the engine: politely, and by force after `timeout` seconds. The next request starts a new one."""
        with self._changed:
            connection = self._connection
        if connection is not None:
            connection.close(timeout)
            self._on_ended(connection, None)  # its further events are ignored

    # The connection calls these from its own threads.

    def _connect(self) -> Connection:
        if self._connection is None:
            events = Events(self._on_ready, self._on_message, self._on_ended)
            environment = clean_environment(self._environment)
            self._connection = Connection(self.command, environment, self.log, self._hello, self._patience, events)
            self._set_state(EngineState.STARTING)
        return self._connection

    def _set_state(self, state: EngineState, reason: str = "") -> None:
        self._state, self._reason = state, reason
        self._state_event = Message("state", 0, StateFields(state=state.value, reason=reason).to_fields(), {})
        self._changed.notify_all()

    def _on_ready(self, connection: Connection, engine: dict[str, Any]) -> None:
        with self._changed:
            if connection is self._connection:
                self._engine = engine
                self._set_state(EngineState.READY)

    def _on_message(self, connection: Connection, message: Message) -> None:
        with self._changed:
            if self._open.get(message.id) is not connection or message.id in self._answers:
                return  # handed out, cancelled or never asked for
            if message.kind == "progress":
                self._progress[message.id] = message
            else:
                self._progress.pop(message.id, None)
                self._answers[message.id] = message
            self._changed.notify_all()

    def _on_ended(self, connection: Connection, reason: str | None) -> None:
        with self._changed:
            sentence = reason or "The engine was stopped. It starts again when it is next used."
            for id in [id for id, owner in self._open.items() if owner is connection and id not in self._answers]:
                self._progress.pop(id, None)
                self._answers[id] = _error(id, "EngineError", sentence)
            if connection is self._connection:
                self._connection, self._engine = None, {}
                self._set_state(EngineState.CRASHED if reason else EngineState.STOPPED, reason or "")
            self._changed.notify_all()


def _error(id: int, kind: str, sentence: str) -> Message:
    return Message("error", id, ErrorFields(type=kind, sentence=sentence).to_fields(), {})


def as_progress(event: Event) -> Progress:
    """Make Progress of a progress event."""
    fields = ProgressFields.from_fields(event.fields)
    return Progress(fields.stage, fields.fraction, fields.seconds_left)


def as_error(event: Event) -> IsegError:
    """Make an exception of an error event: of the class that it names where iSeg has one, else EngineError."""
    fields = ErrorFields.from_fields(event.fields)
    kind = getattr(errors, fields.type, None)
    if not (isinstance(kind, type) and issubclass(kind, IsegError)):
        kind = EngineError
    printable = "".join(c for c in fields.sentence if c.isprintable() or c == "\n").strip()
    return kind(printable or "The engine gave no reason. Copy Report, in iSeg's preferences, has what its log says.")
