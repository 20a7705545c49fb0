"""Progress and cancellation of a run, as the caller sees them."""

import time
from collections.abc import Callable
from typing import NamedTuple

from .errors import Cancelled


class Progress(NamedTuple):
    """Progress report: name of the stage, fraction of the whole run that is done, seconds left (None: not known)."""

    stage: str
    fraction: float
    seconds_left: float | None


ProgressCallback = Callable[[Progress], None]


class Reporter:
    """Converter of (stage, fraction of the stage) into Progress of the whole run; it also checks for cancellation.

    stages: the run's stages in order, each with its expected share of the time (any unit).
    cancel: asked at every step; True ends the run with Cancelled.
    """

    def __init__(
        self,
        stages: dict[str, float],
        progress: ProgressCallback | None = None,
        cancel: Callable[[], bool] | None = None,
    ):
        total = sum(stages.values())
        self._start, done = {}, 0.0
        for name, share in stages.items():
            self._start[name] = (done / total, share / total)
            done += share
        self._progress, self._cancel = progress, cancel
        self._began = time.perf_counter()
        self._stage_began: dict[str, float] = {}
        self._resuming, self._skipped = False, 0.0  # fraction of the run that earlier runs have done
        self.seconds: dict[str, float] = {}  # measured time of each finished stage

    def begin(self, stage: str) -> None:
        """Report that a stage has begun; its next step says how much of it an earlier run had done."""
        self.step(stage, 0.0)
        self._resuming = True

    def step(self, stage: str, fraction: float) -> None:
        """Report that `fraction` (0..1) of `stage` is done. Raises Cancelled where the caller asked to stop."""
        if self._cancel is not None and self._cancel():
            raise Cancelled("Training was cancelled; no model was written.")
        now = time.perf_counter()
        self.seconds[stage] = now - self._stage_began.setdefault(stage, now)
        begin, share = self._start[stage]
        whole = begin + share * min(max(fraction, 0.0), 1.0)
        if self._resuming:
            self._resuming, self._skipped = False, self._skipped + whole - begin
        if self._progress is not None:
            elapsed = now - self._began
            worked = whole - self._skipped
            left = elapsed / worked * (1.0 - whole) if worked > 0.02 else None
            self._progress(Progress(stage, whole, left))
