"""Lanes: threads that do jobs, one after the other in each."""

import threading
from collections import deque
from collections.abc import Callable

from .jobs import Handler, Job


class Lane:
    """Thread that does one job after the other."""

    def __init__(self, name: str, do: Callable[[Job, Handler], None]):
        self._do, self._waiting = do, deque[tuple[Job, Handler]]()
        self._changed, self._ended, self.busy = threading.Condition(), False, False
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, job: Job, handler: Handler) -> bool:
        """Queue a job; True where it has to wait for another one."""
        with self._changed:
            waits = self.busy or bool(self._waiting)
            self._waiting.append((job, handler))
            self._changed.notify()
        return waits

    def withdraw(self, match: Callable[[Job], bool]) -> list[Job]:
        """Take the matching jobs out that have not begun."""
        with self._changed:
            out = [job for job, _ in self._waiting if match(job)]
            self._waiting = deque(item for item in self._waiting if item[0] not in out)
        return out

    def end(self) -> None:
        """Begin no further job."""
        with self._changed:
            self._waiting.clear()
            self._ended = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self.busy = False
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if self._ended:
                    return
                job, handler = self._waiting.popleft()
                self.busy = True
            self._do(job, handler)
            del job, handler  # else they hold their memory until the next job comes
