"""The engine of this Blender session, what is under way in it, and what went wrong.

Nothing here is saved, and nothing waits.
"""

from collections.abc import Callable

import bpy

from ..core import Cancelled, EngineState, messages
from ..mesh import cache
from ..tasks import Ask, Conversation, Engine, Task
from . import choice, queries, selftest

engine = Engine(choice.engine_command, choice.log_path)
trainings: dict[str, Task] = {}  # by the geometry's name
fetches: dict[str, Task] = {}  # weights that are being fetched, by their name
problems: dict[str, str] = {}  # what went wrong last, by the geometry's name, or the mesh's that has none yet
checkup: dict = {}  # the engine's last report on itself
testing: Task | None = None  # the self-test that is under way
freed = ""  # what Free Memory did last, in a sentence


def fetch(name: str, then: Callable[[], None] = lambda: None) -> Task:
    """Begin to fetch the weights of a teacher; a download that is under way goes on."""
    if name in fetches:
        return fetches[name]
    problems.pop(name, None)

    def ended(task: Task) -> None:
        fetches.pop(name, None)
        checkup.clear()  # what it said of this teacher is over
        if task.error is not None and not isinstance(task.error, Cancelled):
            problems[name] = str(task.error)
        then()

    task = engine.start(fetching(name), ended)
    if not task.ended:
        fetches[name] = task
    return task


def fetching(name: str) -> Conversation:
    """Have the engine download the weights of a teacher; returns where they lie."""
    reply = yield Ask(messages.FetchRequest(name=name))
    return messages.FetchResult.from_fields(reply.fields).path


def checking() -> Conversation:
    """Have the engine report on itself."""
    report = yield from selftest.examining()
    checkup.clear()
    checkup.update(report)


def freeing() -> Conversation:
    """Have the engine give its memory back; what that did goes to `freed`."""
    global freed
    reply = yield Ask(messages.FreeRequest())
    result = messages.FreeResult.from_fields(reply.fields)
    freed = "The engine has given its memory back."
    if result.resident is not None and result.freed is not None:
        freed = f"Freed {result.freed / 1e6:,.0f} MB; the engine holds {result.resident / 1e6:,.0f} MB."


def problem_of(thing: bpy.types.Object | None) -> str:
    """What went wrong last with an object, or with the engine; empty where nothing did."""
    if thing is not None and thing.type == "MESH":
        look = cache.known_look(thing)
        for name in (look.hash if look is not None else "", f"mesh {thing.data.session_uid}"):
            if name in problems:
                return problems[name]
    return engine.reason if engine.state is EngineState.CRASHED else engine.notice


def close() -> None:
    """End the engine and forget everything."""
    global freed, testing
    freed = ""
    engine.close()
    testing = None
    cache.forget()
    queries.forget()
    for memory in (trainings, fetches, problems, checkup):
        memory.clear()
