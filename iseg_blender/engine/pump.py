"""Timer that delivers the engine's messages to the tasks that wait for them."""

import traceback

from ..redraw import redraw
from ..tasks import PUMP_INTERVAL
from ..timers import Timers
from . import running


def keep_pumping() -> None:
    """Start the timer that delivers the engine's messages; it ends itself when none is expected any more."""
    Timers.current().begin(pump, after=PUMP_INTERVAL, persistent=True)  # a training goes on when another file is loaded


def pump() -> float | None:
    """Deliver what has arrived; called by the timer. Returns the seconds until the next call, or None to end."""
    try:
        arrived = running.engine().pump()
        if arrived:
            redraw(views=arrived != {"progress"})  # progress needs no redraw of the views, slow for a large mesh
    except Exception:  # a bug; Blender never calls a timer again that has raised
        traceback.print_exc()
    return PUMP_INTERVAL if running.engine().busy else None
