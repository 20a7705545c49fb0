"""Engine process of this Blender session, and the tasks that talk to it.

A task is a generator: it yields requests (`Ask`) and is sent their answers, so that a conversation of several steps
reads from top to bottom although nothing ever blocks. Long computations on this side are yielded as `ThreadWork`.
A timer calls `pump` on the main thread; everything but the thread work runs there.
"""

import os
import shlex
import time
import traceback
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from .core import (
    Cancelled,
    EngineClient,
    EngineError,
    EngineState,
    IsegError,
    Progress,
    as_error,
    as_progress,
    messages,
)

PUMP_INTERVAL = 0.03  # seconds between two checks for arrived answers
NONSENSE = messages.NONSENSE


class Ask(NamedTuple):
    """Request to the engine."""

    request: messages.Request
    arrays: Mapping[str, np.ndarray] = {}


class ThreadWork(NamedTuple):
    """Computation for a thread, from arrays alone: Blender's data must not be touched there."""

    compute: Callable[[], Any]


class Reply(NamedTuple):
    """Result of a request."""

    fields: dict[str, Any]
    arrays: dict[str, np.ndarray]


Conversation = Generator[Ask | ThreadWork, Any, Any]  # is sent a Reply, or the result of the ThreadWork


class Task:
    """Conversation with the engine that is under way or has ended."""

    def __init__(self, conversation: Conversation, then: Callable[["Task"], None] | None):
        self._conversation, self._then = conversation, then
        self.request: int | None = None
        self.work: Future | None = None
        self.progress: Progress | None = None
        self.title = ""  # shown to the user
        self.ended = False
        self.result: Any = None
        self.error: IsegError | None = None

    def step(self, engine: "Engine", reply: Any) -> None:
        """Send the answer (None at the beginning) to the conversation and pass on its next request."""
        self.request = self.work = None
        try:
            if isinstance(reply, BaseException):
                ask = self._conversation.throw(reply)
            else:
                ask = self._conversation.send(reply)
            if isinstance(ask, ThreadWork):
                self.work = engine.work(ask)
            else:
                self.request = engine.send(ask)
        except StopIteration as end:
            self.result = end.value
        except IsegError as error:
            self.error = error
        except Exception:  # an incomplete answer or a bug on this side: end the task, or its waiters wait for ever
            traceback.print_exc()
            self.error = EngineError(NONSENSE)
        if self.request is None and self.work is None:
            self.ended = True
            self._conversation.close()
            if self._then is not None:
                try:
                    self._then(self)
                except Exception:  # the other answers of this pump still have to be handed out
                    traceback.print_exc()


class Engine:
    """Owner of the engine process: starts it on first use, and again after a changed command or a crash."""

    def __init__(self, command: Callable[[], tuple[list[str], dict[str, str]]], log: Callable[[], str | None]):
        """Store how to start the engine; nothing is started yet.

        command: returns the command line and the extra environment variables, or raises EngineError where no engine
        is chosen. log: returns the file for the engine's output.
        """
        self._command, self._log = command, log
        self._client: EngineClient | None = None
        self._started: tuple[list[str], dict[str, str]] | None = None
        self._tasks: dict[int, Task] = {}
        self._working: list[Task] = []
        self._threads: ThreadPoolExecutor | None = None

    @property
    def busy(self) -> bool:
        return bool(self._tasks or self._working)

    @property
    def command(self) -> list[str]:
        """Return the command line of the running engine; empty where none runs."""
        return self._started[0] if self._client is not None and self._started is not None else []

    @property
    def state(self) -> EngineState:
        return self._client.state if self._client is not None else EngineState.STOPPED

    @property
    def reason(self) -> str:
        """Say in a sentence why the engine crashed; empty where it did not."""
        return self._client.reason.partition("\n")[0] if self._client is not None else ""

    @property
    def notice(self) -> str:
        return self._client.notice if self._client is not None else ""

    @property
    def about(self) -> dict[str, Any]:
        return self._client.engine if self._client is not None else {}

    def start(self, conversation: Conversation, then: Callable[[Task], None] | None = None) -> Task:
        """Begin a conversation; `then` is called when it has ended, also where it could not begin."""
        task = Task(conversation, then)
        self._step(task, None)
        return task

    def cancel(self, task: Task) -> None:
        if self._client is not None and task.request is not None:
            self._client.cancel(task.request)
        elif task.work is not None and task in self._working:
            task.work.cancel()  # a thread that has already begun runs on; its result is dropped
            self._working.remove(task)
            self._step(task, Cancelled("Cancelled; what was there before is unchanged."))

    def pump(self) -> set[str]:
        """Hand out what has arrived and return its kinds: progress, work, and the kinds that a client hands out."""
        done = [task for task in self._working if task.work is not None and task.work.done()]
        for task in done:
            assert task.work is not None
            self._working.remove(task)
            self._step(task, result_of(task.work))
        events = self._client.pump() if self._client is not None else []
        for event in events:
            task = self._tasks.get(event.id)
            if task is None:
                continue
            if event.kind == "progress":
                task.progress = as_progress(event)
                continue
            del self._tasks[event.id]
            self._step(task, as_error(event) if event.kind == "error" else Reply(event.fields, event.arrays))
        return {"work" for _ in done} | {event.kind for event in events}

    def wait(self, task: Task, timeout: float | None = None) -> None:
        """Wait until a task has ended, for scripts and background mode. Ctrl-C, and the timeout, cancel it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not task.ended:
                self.pump()
                if deadline is not None and time.monotonic() > deadline:
                    raise EngineError(f"The engine has not answered within {timeout:g} s. Try again in a moment.")
                time.sleep(0.002)
        except BaseException:
            self.cancel(task)
            self.pump()
            raise

    def close(self) -> None:
        """End the process; tasks under way end with an error. The next request starts a new process."""
        if self._client is not None:
            self._client.close()
            self.pump()
            self._client = None
        for task in list(self._working):
            self.cancel(task)
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
            self._threads = None

    def send(self, ask: Ask) -> int:
        return self._connected().request(ask.request.kind, ask.request.to_fields(), ask.arrays)

    def work(self, work: ThreadWork) -> Future:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "iseg")
        return self._threads.submit(work.compute)

    def _step(self, task: Task, reply: Reply | IsegError | None) -> None:
        task.step(self, reply)
        if task.request is not None:
            self._tasks[task.request] = task
        elif task.work is not None:
            self._working.append(task)

    def _connected(self) -> EngineClient:
        wanted = self._command()
        if self._client is not None and wanted != self._started and not self._tasks:
            self.close()
        if self._client is None:
            command, environment = wanted
            self._client, self._started = EngineClient(command, environment, log=self._log()), wanted
        return self._client


def result_of(work: Future) -> Any:
    """Return the result of finished thread work, or raise an error for the user."""
    error = work.exception()
    if error is None or isinstance(error, IsegError):
        return error or work.result()
    traceback.print_exception(error)
    remedy = "Free memory, or use a smaller mesh." if isinstance(error, MemoryError) else "Please report it."
    return EngineError(f"iSeg could not work on this mesh ({error!r}). {remedy}")


def local_command(python: str | os.PathLike, package: str) -> tuple[list[str], dict[str, str]]:
    """Command line that starts an engine with a Python of this machine.

    It runs the iseg_core in the folder `package`, whatever that Python has installed, and imports nothing from
    Blender's current working directory.
    """
    return [os.fspath(python), "-m", "iseg_core", "engine"], {"PYTHONPATH": package, "PYTHONSAFEPATH": "1"}


def split_command(text: str) -> list[str]:
    """Split a command line into a list of arguments. Raises EngineError where it is not a valid one."""
    try:
        parts = shlex.split(text, posix=os.name != "nt")
    except ValueError as error:
        raise EngineError(f"The engine's command cannot be read ({error}): {text!r}. Check its quotes.") from None
    parts = [part.strip('"') for part in parts] if os.name == "nt" else parts
    if not parts:
        raise EngineError("The engine's command is empty. Choose one in the preferences of the extension.")
    return parts


class Refusal(Exception):
    """Error of an operator that cannot work: its message says why and what to do. Nothing has been changed."""
