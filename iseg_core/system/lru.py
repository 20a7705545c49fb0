"""LRU cache of bounded size, for what can be made or read again."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(OrderedDict[Key, Value]):
    """LRU cache of `limit` values, or of as many as together weigh no more. Several threads may put and take."""

    def __init__(self, limit: float, weigh: Callable[[Value], float] | None = None):
        super().__init__()
        self._limit, self._weigh, self._lock = limit, weigh, threading.Lock()

    def take(self, key: Key) -> Value | None:
        """Return what was put in under the key, or None."""
        with self._lock:
            if key in self:
                self.move_to_end(key)
            return self.get(key)

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self[key] = value
            self.move_to_end(key)
            while self._weight() > self._limit and len(self) > 1:
                self.popitem(last=False)

    def drop(self, match: Callable[[Key], bool]) -> None:
        """Remove the entries whose key matches."""
        with self._lock:
            for key in [key for key in self if match(key)]:
                del self[key]

    def _weight(self) -> float:
        return len(self) if self._weigh is None else sum(map(self._weigh, self.values()))
