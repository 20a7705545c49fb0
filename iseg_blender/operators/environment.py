"""Operators that install, repair and remove the managed environment, and cancel that; they block in background mode."""

import bpy

from .. import names
from ..core import Cancelled, IsegError
from ..engine import installing, managed
from ..engine.environment.folder import EnvironmentState
from ..engine.environment.job import EnvironmentJob
from ..engine.running import Running
from .base import ReasonedOperator

OFFLINE = "Blender is offline: allow online access in Edit > Preferences > System > Network."


class EnvironmentOperator(ReasonedOperator):
    """An operator that begins a job."""

    bl_options = {"REGISTER"}

    @classmethod
    def unfit(cls, state: EnvironmentState) -> str:
        """Return the reason why the operator cannot be used in this state of the environment; empty where it can."""
        raise NotImplementedError

    @staticmethod
    def begin() -> EnvironmentJob:
        """Start the job."""
        raise NotImplementedError

    @classmethod
    def refusal(cls, context):
        if managed.working():
            return "It is being made or removed already: wait for that, or cancel it."
        if managed.folder() is None:
            return "This Blender has no folder for the files of iSeg: install the extension from its zip."
        return cls.unfit(managed.examine()[1])

    def execute(self, context):
        try:
            self.begin()
            if not bpy.app.background:
                return {"FINISHED"}
            installing.wait()
            job = managed.Managed.current().job
            if job is not None and job.error is not None:
                raise job.error
        except IsegError as error:
            self.report({"WARNING"} if isinstance(error, Cancelled) else {"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class ISEG_OT_environment_install(EnvironmentOperator):
    """Make a Python environment for the engine in Blender's folder for extensions, with the PyTorch that fits the GPU.
    Downloads about 0.3 GB, with an NVIDIA GPU about 3 GB; Blender stays usable"""

    bl_idname = names.ENVIRONMENT_INSTALL
    bl_label = "Install"

    @classmethod
    def unfit(cls, state):
        if state in (EnvironmentState.READY, EnvironmentState.OUT_OF_DATE):
            return "It is installed. Repair makes it anew."
        if state is EnvironmentState.MAKING:
            return "Another Blender is making or removing it: wait for that."
        return "" if bpy.app.online_access else OFFLINE

    begin = staticmethod(installing.install)


class ISEG_OT_environment_repair(EnvironmentOperator):
    """Make the environment anew. The one that is there stays in use until the new one has proved to work"""

    bl_idname = names.ENVIRONMENT_REPAIR
    bl_label = "Repair"

    @classmethod
    def unfit(cls, state):
        if state is EnvironmentState.NOT_MADE:
            return "There is nothing to repair yet: press Install."
        return ISEG_OT_environment_install.unfit(
            EnvironmentState.INCOMPLETE if state is not EnvironmentState.MAKING else state
        )

    begin = staticmethod(installing.install)


class ISEG_OT_environment_remove(EnvironmentOperator):
    """Stop the engine and remove its environment, and what it was made with, from the disk"""

    bl_idname = names.ENVIRONMENT_REMOVE
    bl_label = "Remove"

    @classmethod
    def unfit(cls, state):
        place = managed.folder()
        if place is None or place.is_empty():
            return "There is nothing to remove."
        if Running.current().trainings:
            return "A mesh is being trained: wait for it, or cancel it."
        return "Another Blender is making or removing it: wait for that." if state is EnvironmentState.MAKING else ""

    begin = staticmethod(installing.remove)


class ISEG_OT_environment_cancel(ReasonedOperator):
    """Stop; what has arrived is kept, so that the next attempt goes on from there"""

    bl_idname = names.ENVIRONMENT_CANCEL
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    @classmethod
    def refusal(cls, context):
        return "" if managed.working() else "Nothing is being made or removed."

    def execute(self, context):
        job = managed.Managed.current().job
        assert job is not None  # else poll has refused
        job.cancel()
        return {"FINISHED"}


CLASSES = (
    ISEG_OT_environment_install,
    ISEG_OT_environment_repair,
    ISEG_OT_environment_remove,
    ISEG_OT_environment_cancel,
)
