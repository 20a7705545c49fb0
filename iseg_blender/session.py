"""The session: what the extension remembers as long as it is enabled, in one object with one close().

A module says what it remembers as a class of its own, a `Kept`, and finds it by that class: `Meshes.current()`.
register() lists these classes and begins the session, unregister() ends it. So nothing hides in module globals, nothing
is left over when the extension is disabled, and a test begins anew with `restart`.
"""

from typing import Any, Self


class Kept:
    """Base of what the session remembers: one object of each class."""

    @classmethod
    def current(cls) -> Self:
        """The one of this session. Raises KeyError where the extension is not enabled."""
        return SESSION.kept[cls]

    def start(self) -> None:
        """Begin; everything of the session is there."""

    def close(self) -> None:
        """End what is under way, and take back what Blender was given."""


class Session:
    """One object of each class that it is started with."""

    def __init__(self) -> None:
        self.kept: dict[type[Kept], Any] = {}

    def start(self, classes: tuple[type[Kept], ...]) -> None:
        self.kept.update((cls, cls()) for cls in classes)
        for kept in self.kept.values():
            kept.start()

    def close(self) -> None:
        """End everything, the last of the classes first."""
        for kept in reversed(self.kept.values()):
            kept.close()
        self.kept.clear()

    def restart(self) -> None:
        """End everything and begin anew."""
        classes = tuple(self.kept)
        self.close()
        self.start(classes)


SESSION = Session()
