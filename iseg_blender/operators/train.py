"""Operators that start and cancel a training."""

import bpy
from bpy.props import StringProperty

from .. import names, redraw
from ..engine import choice, pump, selftest, training
from ..engine.running import Running, engine
from ..live import answers
from ..mesh import usable
from .base import ReasonedOperator, WaitingOperator


class ISEG_OT_train(WaitingOperator):
    """Learn the parts of the active mesh. Blender stays usable meanwhile; in background mode this waits"""

    bl_idname = names.TRAIN
    bl_label = "Train iSeg"
    bl_options = {"REGISTER"}
    WAITING = "iSeg reads the mesh"

    @classmethod
    def refusal(cls, context):
        why = usable.face_refusal(context.object) or choice.problem()
        report, teacher = Running.current().checkup, context.scene.iseg.teacher
        why = why or selftest.teacher_problem(report, teacher, choice.is_managed())
        if not why and training.training_of(context.object) is not None:
            return "This mesh is being trained already: wait for it, or cancel it."
        return why

    @staticmethod
    def meaning(obj):
        return obj.session_uid if obj is not None else None  # a training does not depend on parts and clicks

    def run(self, context):
        task = training.train(context.object, context.scene.iseg, answers.changed, self.fresh)
        pump.keep_pumping()
        if not bpy.app.background:
            if task.error is not None:
                raise task.error
            return
        engine().wait(task)
        if task.error is not None:
            raise task.error
        if task.result.unsaved:
            self.report({"WARNING"}, task.result.unsaved)


class ISEG_OT_cancel(ReasonedOperator):
    """End this training. What it has done is kept: Train goes on from there"""

    bl_idname = names.CANCEL
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    name: StringProperty(
        name="Mesh",
        description="The engine's name for it; empty: the active object's",
        options={"HIDDEN", "SKIP_SAVE"},
    )

    @classmethod
    def refusal(cls, context):
        return "" if Running.current().trainings else "No mesh is being trained."

    def execute(self, context):
        task = Running.current().trainings.get(self.name) if self.name else training.training_of(context.object)
        if task is None:
            self.report({"ERROR"}, "This mesh is not being trained.")
            return {"CANCELLED"}
        engine().cancel(task)
        engine().pump()
        redraw.redraw()
        self.report({"INFO"}, "Cancelled: what was there before is unchanged, and Train goes on from here.")
        return {"FINISHED"}


CLASSES = (ISEG_OT_train, ISEG_OT_cancel)
