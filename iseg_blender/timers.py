"""Timers: functions that Blender calls repeatedly. They end with the session, and never run in background mode."""

from collections.abc import Callable

import bpy

from .session import Kept

Timer = Callable[[], float | None]  # returns the seconds until its next call; None ends it


class Timers(Kept):
    """Timers that were begun."""

    def __init__(self) -> None:
        self._begun: list[Timer] = []

    def begin(self, timer: Timer, after: float = 0.0, persistent: bool = False) -> None:
        """Call a function after some seconds, unless it is registered already.

        persistent: it stays registered when another file is opened.
        """
        if not bpy.app.background and not bpy.app.timers.is_registered(timer):
            self._begun = [other for other in self._begun if bpy.app.timers.is_registered(other)]
            self._begun.append(timer)
            bpy.app.timers.register(timer, first_interval=after, persistent=persistent)

    def end(self, timer: Timer) -> None:
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)

    def close(self) -> None:
        for timer in self._begun:
            self.end(timer)
