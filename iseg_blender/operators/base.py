"""Base classes of the operators: refusals as sentences, and waiting for answers without blocking a window."""

from typing import Any

import bpy

from ..core import Cancelled, IsegError
from ..document import parts, parts_snapshot, properties, undo
from ..engine import choice, pump, queries, reading, running, status
from ..live import answers
from ..mesh import cache, usable
from ..tasks import Refusal, Task

TIMER_INTERVAL = 0.03  # seconds
PATIENCE = 30.0  # seconds that a script in a window waits for an answer; in background mode there is no limit
OTHERS = "Another object, mode or part is active now, or its clicks are others: nothing was done. Try again."


class ReasonedOperator(bpy.types.Operator):
    """An operator whose button says why it is disabled."""

    @classmethod
    def refusal(cls, context: bpy.types.Context) -> str:
        """Return the reason why the operator cannot be used now; empty where it can."""
        raise NotImplementedError

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        why = cls.refusal(context)
        if why:
            cls.poll_message_set(why)
        return not why


class MeshOperator(ReasonedOperator):
    """An operator on the active object. `run` does the work and raises Refusal or IsegError where it cannot."""

    fresh = True  # True where a script may have changed the mesh without a notice from Blender

    @classmethod
    def refusal(cls, context: bpy.types.Context) -> str:
        return usable.refusal(context.object)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.options.is_repeat:
            self.fresh = False  # called by Adjust Last Operation with every movement of the mouse
        try:
            with undo.step(context.object):
                self.run(context)
        except (Refusal, IsegError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        answers.retry()
        return {"FINISHED"}

    def run(self, context: bpy.types.Context) -> None:
        """Do the work of the operator. Raises Refusal or IsegError where it cannot be done."""
        raise NotImplementedError


class WaitingOperator(MeshOperator):
    """An operator that needs the mesh, and mostly something of the engine.

    From a button it waits modally: Blender stays usable, Esc ends the wait. From a script, and where everything is at
    hand, it is done at once.
    """

    WAITING = "iSeg works out the part"
    _task: Task | None = None
    _begun = False
    _timer: Any = None
    _meant: Any = None  # what the operator was about when the wait began (`meaning`)

    def ready(self, obj: bpy.types.Object) -> bool:
        """Return True where the current mesh has been read; else start to read it."""
        return reading.snapshot_of(obj) is not None

    def begin(self, context: bpy.types.Context) -> Task | None:
        """Start the request to the engine; None where only the mesh is needed. Raises Refusal."""
        return None

    @staticmethod
    def meaning(obj: bpy.types.Object | None) -> Any:
        """Return a value that identifies the object, mode and clicks that the operator is about.

        Blender stays usable during the wait: a changed value shows that, for example, another object is active now.
        """
        return (obj.session_uid, obj.mode, parts_snapshot.saved(obj)) if obj is not None else None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.fresh = False  # in a window Blender gives notice of every change
        self._meant = self.meaning(context.object)
        outcome = self._proceed(context)
        if outcome is None:
            self._timer = context.window_manager.event_timer_add(TIMER_INTERVAL, window=context.window)
            context.window_manager.modal_handler_add(self)
            context.workspace.status_text_set(f"{self.WAITING}. Esc: stop waiting")
        return outcome or {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        running.engine().pump()
        if event.type == "ESC" and event.value == "PRESS":
            if self._task is not None:
                running.engine().cancel(self._task)
                running.engine().pump()
            outcome = {"CANCELLED"}
        else:
            outcome = self._proceed(context)
        if outcome is None:
            return {"PASS_THROUGH"}
        self._end_wait(context)
        return outcome

    def _proceed(self, context: bpy.types.Context) -> set[str] | None:
        """Go on as far as possible without blocking; None where the wait continues."""
        try:
            if self.meaning(context.object) != self._meant:
                raise Refusal(OTHERS)
            why = type(self).refusal(context)
            if why:
                raise Refusal(why)
            if not self._begun:
                if not self.ready(context.object):
                    return None
                self._begun, self._task = True, self.begin(context)
            if self._task is not None and not self._task.ended:
                return None
            if self._task is not None and self._task.error is not None:
                raise self._task.error
            if context.object.data.session_uid in cache.MeshCache.current().stale:  # changed during the wait: ask again
                self._begun = False
                return None
        except Cancelled:
            return {"CANCELLED"}
        except (Refusal, IsegError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return self.execute(context)

    def cancel(self, context: bpy.types.Context) -> None:
        """Clean up when Blender ends the modal operator."""
        self._end_wait(context)

    def _end_wait(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)

    def wait(self, task: Task) -> Any:
        """Block until a task has ended, and return its result. Raises its error."""
        running.engine().wait(task, None if bpy.app.background else PATIENCE)
        if task.error is not None:
            raise task.error
        return task.result


class AnswerOperator(WaitingOperator):
    """An operator that needs the answer to the active part's clicks."""

    @classmethod
    def refusal(cls, context: bpy.types.Context) -> str:
        why = usable.face_refusal(context.object)
        if why:
            return why
        return status.clicks_problem(context.object, parts.part_of(context.object)) or choice.problem()

    def begin(self, context: bpy.types.Context) -> Task:
        obj = context.object
        snapshot, part = cache.snapshot_of(obj, self.fresh), parts.part_of(obj)
        why = status.clicks_problem(obj, part)
        if why:
            raise Refusal(why)
        task = running.engine().start(queries.answering(obj, part, snapshot, context.scene.iseg.device))
        pump.keep_pumping()
        return task

    def run(self, context: bpy.types.Context) -> None:
        answer = self.wait(self.begin(context))  # the clicks may have changed during the wait
        obj = context.object
        snapshot, part = cache.known_snapshot(obj), parts.part_of(obj)
        assert snapshot is not None  # else there was no answer
        running.Running.current().problems.pop(snapshot.hash, None)  # the query succeeded
        dropped = parts.clicks_of(part, snapshot.geometry).dropped
        if dropped:
            self.report({"WARNING"}, f"{dropped} of the clicks were left out: they name what is not there.")
        self.apply(context, obj, part, answer)

    def apply(
        self, context: bpy.types.Context, obj: bpy.types.Object, part: properties.Part, answer: queries.Answer
    ) -> None:
        """Use the answer to the part's clicks."""
        raise NotImplementedError
