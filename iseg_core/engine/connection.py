"""Connection to one engine process: the threads that serve its pipes. Standard library and numpy only.

Three threads, so that no pipe can block another and the caller never waits:
    keeper   starts the process, writes what is queued, and stays until the process has ended
    reader   reads the engine's messages and hands them on
    listener moves stderr into the log
The keeper starts the process because Linux ends a child whose parent asked for it (server.py) when the *thread* that
started it ends: that must be one that lives as long as the process.
"""

import atexit
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from ..errors import EngineError, MessageError, ProtocolError
from ..version import __version__
from .log import Log
from .messages import ErrorFields, HelloRequest, ProgressFields
from .protocol import PAYLOAD_LIMIT, PROTOCOL, Message, encode, mismatch, read, write

HELLO_ID = 1
FOREIGN = ("PYTHON", "CONDA", "_CONDA", "VIRTUAL_ENV", "__PYVENV", "_CE_")  # beginnings of the host's variables
GRACE = 3.0  # seconds that a process gets to end by itself before it is ended
MOMENT = 0.2  # seconds from the end of a process' output to its own


class Events(NamedTuple):
    """Callbacks by which a connection, from its own threads, informs its owner."""

    ready: Callable[["Connection", dict[str, Any]], None]  # the engine's fields of `hello`
    message: Callable[["Connection", Message], None]
    ended: Callable[["Connection", str | None], None]  # the reason; None where the end was asked for


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Copy the environment of this process without the variables that mislead another Python, and add `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)}
    return kept | {"PYTHONUTF8": "1"} | dict(extra or {})


class Connection:
    """Running engine, from its start to its end; `events.ended` is called exactly once, last."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Log,
        hello: dict[str, Any],
        patience: float,
        events: Events,
    ):
        """environment: the whole of it. hello: fields sent along with it. patience: seconds to wait for its answer.

        Raises EngineError where there is no room for a thread.
        """
        self._command, self._environment, self._log = list(command), dict(environment), log
        self._patience, self._events = patience, events
        self._hello = encode(
            Message(HelloRequest.kind, HELLO_ID, hello | {"protocol": PROTOCOL, "version": __version__}, {})
        )
        self._queue: queue.SimpleQueue[list[memoryview] | None] = queue.SimpleQueue()
        self._queued, self._counting = 0, threading.Lock()  # bytes of arrays
        self._answered = threading.Event()  # hello was answered, or never will be
        self._process: subprocess.Popen[bytes] | None = None
        self._closing = False
        self._reason: str | None = None
        self._keeper = threading.Thread(target=self._keep, name="iseg engine keeper", daemon=True)
        atexit.register(self.close, GRACE)  # a model that is being written gets finished
        try:
            self._keeper.start()
        except RuntimeError as error:
            atexit.unregister(self.close)
            raise EngineError(
                f"The engine cannot be started: {error}. Close other programs, then try again."
            ) from error

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def send(self, parts: list[memoryview]) -> None:
        """Queue an encoded message; never blocks. Raises EngineError where too much waits to be sent already."""
        size = _payload(parts)
        with self._counting:
            if size and self._queued and self._queued + size > PAYLOAD_LIMIT:
                raise EngineError("The engine has not yet taken what was sent before. Wait a moment, then try again.")
            self._queued += size
        self._queue.put(parts)

    def close(self, timeout: float) -> None:
        """End the process: politely, and after `timeout` seconds by force. Returns when it has ended."""
        self._closing = True
        self._answered.set()
        self._queue.put(None)
        self._keeper.join(timeout)
        if self._keeper.is_alive():
            self._kill()
            self._keeper.join(GRACE)

    # keeper

    def _keep(self) -> None:
        try:
            self._process = self._start()
            self._serve(self._process)
        except Exception as error:  # of the start; or no memory, no thread
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self._reason = self._reason or (
                f"The engine cannot be started: {self._command[0]}: {said}. Check the command, repair the engine's "
                "environment, or close other programs where memory is short."
            )
            if self._process is not None:
                self._kill()
                self._process.wait()
        finally:
            atexit.unregister(self.close)
            self._events.ended(self, None if self._closing else self._reason)

    def _start(self) -> subprocess.Popen[bytes]:
        self._log.forget()
        self._log.append(time.strftime(f"---- %Y-%m-%d %H:%M:%S engine started by iSeg {__version__}\n").encode())
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=self._environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # exists on Windows only
        )

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout and process.stderr
        reader = threading.Thread(target=self._read, args=(process.stdout,), name="iseg engine reader", daemon=True)
        listener = threading.Thread(target=self._listen, args=(process.stderr,), name="iseg engine log", daemon=True)
        reader.start()
        listener.start()
        try:
            write(process.stdin, self._hello)
            if not self._answered.wait(self._patience):
                self._reason = f"The engine did not answer within {self._patience:.0f} s. Check the command."
                self._kill()
            else:
                self._write_queue(process.stdin)
        except OSError:
            pass  # the process has ended, or is about to; the reader sees it, too
        try:
            process.stdin.close()
        except OSError:
            pass
        self._wait(GRACE)
        reader.join(GRACE)  # a grandchild may hold the pipes open
        listener.join(GRACE)
        if self._reason is None:
            self._reason = _last_words(process.returncode, self._log.last_lines())

    def _write_queue(self, stdin: IO[bytes]) -> None:
        while (parts := self._queue.get()) is not None:
            write(stdin, parts)
            with self._counting:
                self._queued -= _payload(parts)

    def _wait(self, seconds: float) -> None:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._reason = (
                self._reason or "The engine closed its output without ending. It starts again when it is used."
            )
            self._kill()
            self._process.wait()

    def _was_killed(self) -> bool:
        """Tell whether a signal has just ended the process."""
        assert self._process is not None
        try:
            return self._process.wait(MOMENT) < 0
        except subprocess.TimeoutExpired:
            return False

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    # reader

    def _read(self, stdout: IO[bytes]) -> None:
        try:
            while (message := read(stdout)) is not None:  # pyright: ignore[reportArgumentType] bufsize=0: a raw file
                self._handle(message)
        except ProtocolError as error:
            if not self._was_killed():  # else the signal is the reason, not the unfinished frame
                self._reason = self._reason or str(error)
            self._kill()
        except Exception as error:  # the pipe, or no memory
            said = str(error) or type(error).__name__
            self._reason = (
                self._reason or f"The engine's answers cannot be read: {said}. It starts again when it is used."
            )
            self._kill()
        finally:
            self._answered.set()
            self._queue.put(None)  # else the keeper would wait for ever
        self._wait(GRACE)  # a process that closes its output is about to end
        stdout.close()

    def _handle(self, message: Message) -> None:
        _check_answer(message)
        if message.kind == "error" and message.id == 0:
            self._reason = str(message.fields["sentence"])  # whatever follows, this came first
        elif message.id != HELLO_ID and self._answered.is_set():
            self._events.message(self, message)
        elif message.id != HELLO_ID:
            raise ProtocolError("The engine did not begin with an answer to `hello`. Install iSeg's own engine.")
        elif message.kind == "error":
            raise ProtocolError(message.fields["sentence"])
        else:
            if message.fields.get("protocol") != PROTOCOL:
                raise ProtocolError(mismatch("engine", message.fields))
            self._events.ready(self, message.fields)
            self._answered.set()

    # listener

    def _listen(self, stderr: IO[bytes]) -> None:
        try:
            while data := stderr.read(2**16):
                self._log.append(data)
            stderr.close()
        except (OSError, ValueError):
            pass


def _payload(parts: list[memoryview]) -> int:
    """Count the bytes of a message's arrays; its header does not count, so that a cancel always passes."""
    return sum(part.nbytes for part in parts[1:])


def _check_answer(message: Message) -> None:
    """Raise ProtocolError unless the message is one that an engine sends."""
    try:
        if message.kind == "progress":
            ProgressFields.from_fields(message.fields)
        elif message.kind == "error":
            ErrorFields.from_fields(message.fields)
        elif message.kind != "result":
            raise MessageError("no kind of message")
    except MessageError:
        raise ProtocolError(
            f"The engine sent a {message.kind!r} that makes no sense. Install iSeg's own engine."
        ) from None


def _last_words(code: int, lines: list[str]) -> str:
    """Say why a process ended, from its exit code and its last lines on stderr."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        how = f"was ended by signal {-code} ({name})"
        if name == "SIGKILL":
            how += "; the system does that when memory runs out"
    elif code > 0xFFFF:  # Windows: a status like 0xC0000005
        how = f"ended with the status 0x{code:08X}"
    else:
        how = f"ended with the exit code {code}"
    said = "\nIt said last:\n" + "\n".join(lines) if lines else ""
    return f"The engine {how}. It starts again when it is next used.{said}"
