"""The engine of this Blender session, what is under way in it, and what went wrong.

Nothing here is saved, and nothing waits.
"""

from collections.abc import Callable

import bpy

from ..core import Cancelled, EngineState, messages
from ..mesh import cache
from ..session import Kept
from ..tasks import Ask, Conversation, Engine, Task
from . import choice, selftest


class Running(Kept):
    """The engine, and what is under way in it."""

    def __init__(self) -> None:
        self.engine = Engine(choice.engine_command, choice.log_path)
        self.trainings: dict[str, Task] = {}  # by the geometry's name
        self.fetches: dict[str, Task] = {}  # weights that are being fetched, by their name
        self.problems: dict[str, str] = {}  # what went wrong last, by the geometry's name, or the mesh's without one
        self.checkup: dict = {}  # the engine's last report on itself
        self.testing: Task | None = None  # the self-test that is under way
        self.freed = ""  # what Free Memory did last, in a sentence

    def close(self) -> None:
        """End the engine; what is under way ends with an error, and says so to those who wait for it."""
        self.engine.close()


def engine() -> Engine:
    """The engine of this session."""
    return Running.current().engine


def fetch(name: str, then: Callable[[], None] = lambda: None) -> Task:
    """Begin to fetch the weights of a teacher; a download that is under way goes on."""
    running = Running.current()
    if name in running.fetches:
        return running.fetches[name]
    running.problems.pop(name, None)

    def ended(task: Task) -> None:
        running.fetches.pop(name, None)
        running.checkup.clear()  # what it said of this teacher is over
        if task.error is not None and not isinstance(task.error, Cancelled):
            running.problems[name] = str(task.error)
        then()

    task = running.engine.start(fetching(name), ended)
    if not task.ended:
        running.fetches[name] = task
    return task


def fetching(name: str) -> Conversation:
    """Have the engine download the weights of a teacher; returns where they lie."""
    reply = yield Ask(messages.FetchRequest(name=name))
    return messages.FetchResult.from_fields(reply.fields).path


def checking() -> Conversation:
    """Have the engine report on itself."""
    report = yield from selftest.examining()
    Running.current().checkup = report


def freeing() -> Conversation:
    """Have the engine give its memory back; what that did goes to Running.freed."""
    reply = yield Ask(messages.FreeRequest())
    result = messages.FreeResult.from_fields(reply.fields)
    freed = "The engine has given its memory back."
    if result.resident is not None and result.freed is not None:
        freed = f"Freed {result.freed / 1e6:,.0f} MB; the engine holds {result.resident / 1e6:,.0f} MB."
    Running.current().freed = freed


def problem_of(obj: bpy.types.Object | None) -> str:
    """What went wrong last with an object, or with the engine; empty where nothing did."""
    running = Running.current()
    if obj is not None and obj.type == "MESH":
        snapshot = cache.known_snapshot(obj)
        for name in (snapshot.hash if snapshot is not None else "", f"mesh {obj.data.session_uid}"):
            if name in running.problems:
                return running.problems[name]
    return running.engine.reason if running.engine.state is EngineState.CRASHED else running.engine.notice
