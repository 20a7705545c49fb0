"""Session state: everything the extension remembers while it is enabled, in one object with one close().

A module declares its state as a subclass of `Kept` and finds it by that class: `MeshCache.current()`.
register() lists these classes and begins the session, unregister() ends it. So no state hides in module globals,
nothing is left over when the extension is disabled, and a test begins anew with `restart`.
"""

from typing import Any, Self


class Kept:
    """Base class of session state: the session holds one object of each subclass."""

    @classmethod
    def current(cls) -> Self:
        """Return this session's object of the class. Raises KeyError where the extension is not enabled."""
        return SESSION.kept[cls]

    def start(self) -> None:
        """Begin, once all objects of the session have been made."""

    def close(self) -> None:
        """End what is under way, and unregister what was registered with Blender."""


class Session:
    """Container with one object of each of the given classes."""

    def __init__(self) -> None:
        self.kept: dict[type[Kept], Any] = {}

    def start(self, classes: tuple[type[Kept], ...]) -> None:
        self.kept.update((cls, cls()) for cls in classes)
        for kept in self.kept.values():
            kept.start()

    def close(self) -> None:
        """Close all objects, the last one first."""
        for kept in reversed(self.kept.values()):
            kept.close()
        self.kept.clear()

    def restart(self) -> None:
        """Close all objects and start new ones."""
        classes = tuple(self.kept)
        self.close()
        self.start(classes)


SESSION = Session()
