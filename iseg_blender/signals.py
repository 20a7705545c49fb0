"""Signals: lower modules send them, higher modules listen. Connected in register()."""

from collections.abc import Callable


class Signal:
    """Event that calls every connected function, in the order in which they were connected."""

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


edited = Signal()  # sent with an object whose parts or their settings have changed
changed = Signal()  # sent when something that the region depends on has changed


def disconnect_all() -> None:
    for signal in (edited, changed):
        signal.disconnect_all()
