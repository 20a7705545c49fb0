"""Operators on the engine: its report, its memory and cache, and downloads of weights."""

import bpy
from bpy.props import StringProperty

from .. import names, redraw
from ..core import Cancelled, messages, weights_files
from ..document import parts as document_parts
from ..engine import bug_report, choice, models, pump, queries, running
from ..engine.queries import AnswerCache
from ..engine.running import Running, engine
from ..live import answers
from ..mesh import usable
from ..tasks import Ask, Conversation, Task
from .base import ReasonedOperator
from .environment import OFFLINE


class Fetching:
    """Mixin of operators on the weights of one teacher."""

    name: StringProperty(
        name="Teacher", description="Whose weights; empty: the chosen teacher's", options={"SKIP_SAVE"}
    )

    def teacher(self, context):
        """Return the name of the teacher: the one given, else the one chosen in the scene."""
        return self.name or context.scene.iseg.teacher


class ISEG_OT_fetch_weights(Fetching, ReasonedOperator):
    """Download the weights that a teacher needs, from its makers' site; checked when they have arrived"""

    bl_idname = names.FETCH_WEIGHTS
    bl_label = "Fetch Weights"
    bl_options = {"REGISTER"}

    @classmethod
    def refusal(cls, context):
        return choice.problem() if bpy.app.online_access else OFFLINE

    def execute(self, context):
        name = self.teacher(context)
        if name not in weights_files():
            self.report({"ERROR"}, f"The {name} teacher needs no weights; {', '.join(weights_files())} do.")
            return {"CANCELLED"}

        def ended() -> None:
            redraw.redraw()
            if name not in Running.current().problems and not bpy.app.background:
                check()  # renew the report, which now finds the weights

        return finish(self, running.fetch(name, ended))


class ISEG_OT_cancel_fetch(Fetching, ReasonedOperator):
    """Stop the download; it goes on from where it was the next time"""

    bl_idname = names.CANCEL_FETCH
    bl_label = "Stop the Download"
    bl_options = {"REGISTER"}

    @classmethod
    def refusal(cls, context):
        return "" if Running.current().fetches else "No weights are being fetched."

    def execute(self, context):
        if self.teacher(context) not in Running.current().fetches:
            self.report({"ERROR"}, f"The weights of {self.teacher(context)} are not being fetched.")
            return {"CANCELLED"}
        engine().cancel(Running.current().fetches[self.teacher(context)])
        engine().pump()
        redraw.redraw()
        return {"FINISHED"}


class EmptyingOperator(ReasonedOperator):
    """Has the engine give something back, and says how much."""

    bl_options = {"REGISTER"}

    def conversation(self) -> Conversation:
        """Return the conversation with the engine, which puts a sentence on its result into Running.freed."""
        raise NotImplementedError

    def execute(self, context):
        outcome = finish(self, engine().start(self.conversation(), lambda task: answers.changed()))
        if bpy.app.background and outcome == {"FINISHED"}:
            self.report({"INFO"}, Running.current().freed)  # in a window the preferences show it once it is done
        return outcome


class ISEG_OT_free_memory(EmptyingOperator):
    """Let the engine forget meshes and models that it holds in memory; they are read again when they are needed"""

    bl_idname = names.FREE_MEMORY
    bl_label = "Free Memory"

    @classmethod
    def refusal(cls, context):
        return "" if engine().about else "The engine is not running: it holds no memory."

    def conversation(self):
        parts = [(obj, document_parts.part_of(obj)) for _, obj in answers.actives() if not usable.refusal(obj)]
        shown = [id(queries.answer_of(obj, part)) for obj, part in parts if part is not None]
        known = AnswerCache.current()
        known.answers.drop(lambda query: id(known.answers[query]) not in shown)
        known.previews.clear()
        return running.freeing()


class ISEG_OT_clear_cache(EmptyingOperator):
    """Delete all trained models and what interrupted trainings have kept, on the disk of the engine's machine"""

    bl_idname = names.CLEAR_CACHE
    bl_label = "Clear Cache"

    @classmethod
    def refusal(cls, context):
        busy = "A mesh is being trained: wait for it, or cancel it." if Running.current().trainings else ""
        return choice.problem() or busy

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def conversation(self):
        return clearing()


def clearing() -> Conversation:
    """Have the engine clear its cache; a sentence on the result goes to Running.freed."""
    reply = yield Ask(messages.CacheRequest(clear=True))
    held = messages.CacheResult.from_fields(reply.fields)
    reports = models.ModelLists.current().reports
    for name in reports:
        reports[name] = []
    AnswerCache.current().answers.clear()
    count, kept = held.models, held.checkpoints
    Running.current().freed = f"Deleted {count} trained model{'s' * (count != 1)}, {held.bytes / 1e6:,.1f} MB." + (
        f" {kept} interrupted training{'s' * (kept != 1)} will begin anew." if kept else ""
    )


class ISEG_OT_copy_report(ReasonedOperator):
    """Copy versions, settings and the end of the engine's log, to be pasted into a bug report; nothing of a mesh"""

    bl_idname = names.COPY_REPORT
    bl_label = "Copy Report"
    bl_options = {"REGISTER"}

    @classmethod
    def refusal(cls, context):
        return ""

    def execute(self, context):
        context.window_manager.clipboard = bug_report.text()
        self.report({"INFO"}, "The report is in the clipboard. Paste it where you describe what happened.")
        return {"FINISHED"}


class ISEG_OT_check_engine(ReasonedOperator):
    """Start the engine, have it report what it has and lacks, and click on a mesh of its own"""

    bl_idname = names.CHECK_ENGINE
    bl_label = "Self-Test"
    bl_options = {"REGISTER"}

    @classmethod
    def refusal(cls, context):
        return choice.problem() or ("It is under way: its report comes here." if Running.current().testing else "")

    def execute(self, context):
        return finish(self, check())


def check() -> Task:
    """Start the self-test of the engine; its report goes to Running.checkup."""

    def ended(task: Task) -> None:
        Running.current().testing = None
        if task.error is not None:
            Running.current().checkup["error"] = str(task.error)
        redraw.redraw()

    Running.current().checkup.clear()
    task = engine().start(running.checking(), ended)
    Running.current().testing = None if task.ended else task
    pump.keep_pumping()
    return task


def finish(operator: bpy.types.Operator, task: Task) -> set[str]:
    """Return the outcome of an operator that has started a task; in background mode, wait for the task first."""
    pump.keep_pumping()
    if bpy.app.background:
        engine().wait(task)
    if task.error is not None and not isinstance(task.error, Cancelled):
        operator.report({"ERROR"}, str(task.error))
        return {"CANCELLED"}
    return {"FINISHED"}


CLASSES = (
    ISEG_OT_fetch_weights,
    ISEG_OT_cancel_fetch,
    ISEG_OT_free_memory,
    ISEG_OT_clear_cache,
    ISEG_OT_copy_report,
    ISEG_OT_check_engine,
)
