"""Work in a thread of its own that is watched, cancelled and waited for."""

import atexit
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ...core import Cancelled, IsegError, Progress

PATIENCE = 2.0  # seconds that cancelled work gets to end; it looks several times a second whether it shall


class EnvironmentJob:
    """Begins at once. Its fields are set by the work's thread and read by anyone."""

    def __init__(self, work: Callable[["EnvironmentJob"], Any]):
        """work: given this job, which it asks with `check` whether to go on, and tells with `report` how far it is.
        It ends with a result, or raises IsegError or OSError.
        """
        self.progress: Progress | None = None
        self.error: IsegError | None = None
        self.result: Any = None
        self._work, self._cancelled = work, threading.Event()
        self._thread = threading.Thread(target=self._run, name="iseg environment", daemon=True)
        atexit.register(self.close)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def report(self, stage: str, fraction: float) -> None:
        """How far the work is; fraction: of the whole, never less than before. Raises Cancelled where it shall end."""
        self.check()
        before = self.progress.fraction if self.progress is not None else 0.0
        self.progress = Progress(stage, min(max(fraction, before), 1.0), None)

    def check(self) -> None:
        """Raises Cancelled where the work shall end."""
        if self._cancelled.is_set():
            raise Cancelled("Stopped. What has arrived is kept: the next attempt goes on from there.")

    def cancel(self) -> None:
        self._cancelled.set()

    def wait(self) -> None:
        """Until the work has ended. Ctrl-C cancels it."""
        try:
            while not self.ended:
                self._thread.join(0.1)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel the work and wait a moment for its end."""
        self.cancel()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            self.result = self._work(self)
        except IsegError as error:
            self.error = error
        except Exception as error:  # a defect of ours; the thread has no one else to tell
            traceback.print_exc()
            self.error = IsegError(f"This should not happen: {type(error).__name__}: {error}. Please report it.")
        finally:
            atexit.unregister(self.close)
