"""Signals: what lies below announces, what lies above listens. Connected in register()."""

from collections.abc import Callable


class Signal:
    """Something that happens; those who are connected are called, in the order in which they were connected."""

    def __init__(self) -> None:
        self._listeners: list[Callable[..., None]] = []

    def connect(self, listener: Callable[..., None]) -> None:
        if listener not in self._listeners:
            self._listeners.append(listener)

    def disconnect_all(self) -> None:
        self._listeners.clear()

    def __call__(self, *values: object) -> None:
        for listener in list(self._listeners):
            listener(*values)


edited = Signal()  # given an object: its parts or their settings are others now
changed = Signal()  # something that the region depends on is another now


def disconnect_all() -> None:
    for signal in (edited, changed):
        signal.disconnect_all()
