"""Engine of this Blender session, its running tasks and its last errors.

Nothing here is saved, and nothing blocks.
"""

from collections.abc import Callable

import bpy

from ..core import Cancelled, EngineState, messages
from ..mesh import cache
from ..session import Kept
from ..tasks import Ask, Conversation, Engine, Task
from . import choice, selftest


class Running(Kept):
    """Engine of the session and its running tasks."""

    def __init__(self) -> None:
        self.engine = Engine(choice.engine_command, choice.log_path)
        self.trainings: dict[str, Task] = {}  # by the geometry's hash
        self.fetches: dict[str, Task] = {}  # downloads of weights, by the teacher's name
        # Last error, by the geometry's hash, by "mesh UID" where it has none, or by the name of a teacher.
        self.problems: dict[str, str] = {}
        self.checkup: dict = {}  # the engine's last report on itself
        self.testing: Task | None = None  # the running self-test
        self.freed = ""  # what Free Memory or Clear Cache did last, in a sentence

    def close(self) -> None:
        """End the engine; running tasks end with an error, which their callbacks are told."""
        self.engine.close()


def engine() -> Engine:
    """Return the engine of this session."""
    return Running.current().engine


def fetch(name: str, then: Callable[[], None] = lambda: None) -> Task:
    """Start to download the weights of a teacher; returns the running download where there is one."""
    running = Running.current()
    if name in running.fetches:
        return running.fetches[name]
    running.problems.pop(name, None)

    def ended(task: Task) -> None:
        running.fetches.pop(name, None)
        running.checkup.clear()  # its finding on these weights is out of date
        if task.error is not None and not isinstance(task.error, Cancelled):
            running.problems[name] = str(task.error)
        then()

    task = running.engine.start(fetching(name), ended)
    if not task.ended:
        running.fetches[name] = task
    return task


def fetching(name: str) -> Conversation:
    """Have the engine download the weights of a teacher; returns their path."""
    reply = yield Ask(messages.FetchRequest(name=name))
    return messages.FetchResult.from_fields(reply.fields).path


def checking() -> Conversation:
    """Have the engine report on itself; the report goes to Running.checkup."""
    report = yield from selftest.examining()
    Running.current().checkup = report


def freeing() -> Conversation:
    """Have the engine free its memory; a sentence on the result goes to Running.freed."""
    reply = yield Ask(messages.FreeRequest())
    result = messages.FreeResult.from_fields(reply.fields)
    freed = "The engine has given its memory back."
    if result.resident is not None and result.freed is not None:
        freed = f"Freed {result.freed / 1e6:,.0f} MB; the engine holds {result.resident / 1e6:,.0f} MB."
    Running.current().freed = freed


def problem_of(obj: bpy.types.Object | None) -> str:
    """Return the last error of an object, else of the engine; empty where there is none."""
    running = Running.current()
    if obj is not None and obj.type == "MESH":
        snapshot = cache.known_snapshot(obj)
        for name in (snapshot.hash if snapshot is not None else "", f"mesh {obj.data.session_uid}"):
            if name in running.problems:
                return running.problems[name]
    return running.engine.reason if running.engine.state is EngineState.CRASHED else running.engine.notice
