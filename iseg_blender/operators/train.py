"""Training, its end before time, and the engine itself."""

import bpy

from .. import live, mesh_io, names, prefs, session
from ..core import Cancelled
from .common import MeshOperator


class ISEG_OT_train(MeshOperator):
    """Learn the parts of the active mesh. Blender stays usable meanwhile; in background mode this waits"""

    bl_idname = names.TRAIN
    bl_label = "Train iSeg"
    bl_options = {"REGISTER"}

    @classmethod
    def refusal(cls, context):
        why = mesh_io.refusal(context.object) or prefs.chosen()
        if not why and session.training_of(context.object) is not None:
            return "This mesh is being trained already: wait for it, or cancel it."
        return why

    def run(self, context):
        task = session.train(context.object, context.scene.iseg, live.changed)
        live.keep_pumping()
        if not bpy.app.background:
            if task.error is not None:
                raise task.error
            return
        session.engine.wait(task)
        if task.error is not None:
            raise task.error
        if task.result.get("unsaved"):
            self.report({"WARNING"}, task.result["unsaved"])


class ISEG_OT_cancel(bpy.types.Operator):
    """End the training of the active mesh; nothing is kept of it"""

    bl_idname = names.CANCEL
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        running = session.training_of(context.object) is not None
        if not running:
            cls.poll_message_set("The active object is not being trained.")
        return running

    def execute(self, context):
        task = session.training_of(context.object)
        assert task is not None  # else poll has refused
        session.engine.cancel(task)
        session.engine.pump()
        live.redraw()
        self.report({"INFO"}, "The training was cancelled; what was there before is unchanged.")
        return {"FINISHED"}


class ISEG_OT_fetch_weights(bpy.types.Operator):
    """Download the weights that the chosen teacher needs, from its makers' site; checked when they have arrived"""

    bl_idname = names.FETCH_WEIGHTS
    bl_label = "Fetch Weights"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        why = prefs.chosen()
        if context.scene.iseg.teacher == "geometric":
            why = "The geometric teacher needs no weights."
        elif not bpy.app.online_access:
            why = "Blender is offline: allow online access in Edit > Preferences > System > Network."
        elif context.scene.iseg.teacher in session.fetches:
            why = "These weights are being fetched already."
        if why:
            cls.poll_message_set(why)
        return not why

    def execute(self, context):
        task = session.fetch(context.scene.iseg.teacher, live.redraw)
        live.keep_pumping()
        if bpy.app.background:
            session.engine.wait(task)
        if task.error is not None:
            self.report({"ERROR"}, str(task.error))
            return {"CANCELLED"}
        return {"FINISHED"}


class ISEG_OT_cancel_fetch(bpy.types.Operator):
    """Stop the download; it goes on from where it was the next time"""

    bl_idname = names.CANCEL_FETCH
    bl_label = "Stop the Download"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        running = context.scene.iseg.teacher in session.fetches
        if not running:
            cls.poll_message_set("No weights of the chosen teacher are being fetched.")
        return running

    def execute(self, context):
        session.engine.cancel(session.fetches[context.scene.iseg.teacher])
        session.engine.pump()
        live.redraw()
        return {"FINISHED"}


class ISEG_OT_free_memory(bpy.types.Operator):
    """Let the engine forget meshes and models that it holds in memory; they are read again when they are needed"""

    bl_idname = names.FREE_MEMORY
    bl_label = "Free Memory"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        running = bool(session.engine.about)
        if not running:
            cls.poll_message_set("The engine is not running: it holds no memory.")
        return running

    def execute(self, context):
        session.answers.clear()
        task = session.engine.start(session.freeing())
        live.keep_pumping()
        if bpy.app.background:
            session.engine.wait(task)
        if task.error is not None and not isinstance(task.error, Cancelled):
            self.report({"ERROR"}, str(task.error))
            return {"CANCELLED"}
        return {"FINISHED"}


class ISEG_OT_check_engine(bpy.types.Operator):
    """Start the engine and have it report what it has and what it lacks"""

    bl_idname = names.CHECK_ENGINE
    bl_label = "Check Engine"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        why = prefs.chosen()
        if why:
            cls.poll_message_set(why)
        return not why

    def execute(self, context):
        def ended(task):
            if task.error is not None:
                session.checkup["error"] = str(task.error)
            redraw_all()

        session.checkup.clear()
        task = session.engine.start(session.checking(), ended)
        live.keep_pumping()
        if bpy.app.background:
            session.engine.wait(task)
        if task.error is not None:
            self.report({"ERROR"}, str(task.error))
            return {"CANCELLED"}
        return {"FINISHED"}


def redraw_all() -> None:
    """The preferences' window, too."""
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            area.tag_redraw()


CLASSES = (
    ISEG_OT_train,
    ISEG_OT_cancel,
    ISEG_OT_fetch_weights,
    ISEG_OT_cancel_fetch,
    ISEG_OT_free_memory,
    ISEG_OT_check_engine,
)
