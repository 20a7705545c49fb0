"""Background job on a thread, with progress, cancellation and waiting."""

import atexit
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ...core import Cancelled, IsegError, Progress

PATIENCE = 2.0  # seconds that a cancelled job gets to end; it checks several times a second


class EnvironmentJob:
    """Job that starts at once on its own thread. The thread sets the fields; any thread may read them."""

    def __init__(self, work: Callable[["EnvironmentJob"], Any]):
        """Start the work. It is given this job, calls `check` to learn of a cancellation and `report` to set the
        progress, and returns a result, or raises IsegError or OSError.
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
        """Set the progress. fraction: of the whole, never less than before. Raises Cancelled after `cancel`."""
        self.check()
        before = self.progress.fraction if self.progress is not None else 0.0
        self.progress = Progress(stage, min(max(fraction, before), 1.0), None)

    def check(self) -> None:
        """Raise Cancelled where the job has been cancelled."""
        if self._cancelled.is_set():
            raise Cancelled("Stopped. What has arrived is kept: the next attempt goes on from there.")

    def cancel(self) -> None:
        self._cancelled.set()

    def wait(self) -> None:
        """Block until the job has ended. Ctrl-C cancels it."""
        try:
            while not self.ended:
                self._thread.join(0.1)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel the job and wait up to PATIENCE seconds for its end."""
        self.cancel()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        try:
            self.result = self._work(self)
        except IsegError as error:
            self.error = error
        except Exception as error:  # a bug; nothing above this thread would report it
            traceback.print_exc()
            self.error = IsegError(f"This should not happen: {type(error).__name__}: {error}. Please report it.")
        finally:
            atexit.unregister(self.close)
