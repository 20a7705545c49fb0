"""Jobs: requests under way, and their outcomes."""

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..progress import ProgressCallback
from .messages import Fields


class Job:
    """Request under way."""

    def __init__(
        self, kind: str, id: int, fields: dict[str, Any], arrays: dict[str, np.ndarray], report: ProgressCallback
    ):
        self.kind, self.id, self.fields, self.arrays, self.report = kind, id, fields, arrays, report
        self.cancelled = threading.Event()


class Done(NamedTuple):
    """Result that ends a request."""

    result: Fields
    arrays: dict[str, np.ndarray] = {}


class Later(NamedTuple):
    """Rest of a request, to be done in another lane."""

    lane: str
    handler: "Handler"


Handler = Callable[[Job], Done | Later]
