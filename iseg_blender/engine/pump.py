"""The timer that hands out what the engine has said."""

import traceback

from ..redraw import redraw
from ..tasks import PUMP_INTERVAL
from ..timers import Timers
from . import running


def keep_pumping() -> None:
    """Hand out the engine's answers until none is expected any more."""
    Timers.current().begin(pump, after=PUMP_INTERVAL, persistent=True)  # a training outlives its file


def pump() -> float | None:
    try:
        arrived = running.engine().pump()
        if arrived:
            redraw(views=arrived != {"progress"})  # a large mesh takes long to draw, a bar does not
    except Exception:  # a defect of ours; a timer that raises is never called again
        traceback.print_exc()
    return PUMP_INTERVAL if running.engine().busy else None
