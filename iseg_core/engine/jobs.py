"""Jobs: requests under way, and what comes of them."""

import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..errors import MessageError
from ..progress import ProgressCallback

T = TypeVar("T")


class Job:
    """A request under way."""

    def __init__(
        self, kind: str, id: int, fields: dict[str, Any], arrays: dict[str, np.ndarray], report: ProgressCallback
    ):
        self.kind, self.id, self.fields, self.arrays, self.report = kind, id, fields, arrays, report
        self.cancelled = threading.Event()

    def field(self, name: str, kind: type[T], default: T | None = None) -> T:
        """A field of the request, of the right type; without a default it must be there."""
        value = self.fields.get(name, default)
        if type(value) is not kind:
            raise MessageError(f"The request {self.kind} needs {name}, a {kind.__name__}.", self.id)
        return value

    def mesh_hash(self) -> str:
        value = self.field("mesh", str)
        if not re.fullmatch("[0-9a-f]{64}", value):
            raise MessageError(f"The request {self.kind} needs mesh, a hash that open_mesh gave.", self.id)
        return value


class Answer(NamedTuple):
    """The result of a request."""

    fields: dict[str, Any]
    arrays: dict[str, np.ndarray] = {}


class Later(NamedTuple):
    """The rest of a request, to be done in another lane."""

    lane: str
    work: Callable[[Job], "Answer | Later"]


Work = Callable[[Job], Answer | Later]


class ModelKey(NamedTuple):
    """What distinguishes the models in a cache."""

    mesh: str
    teacher: str
    preset: str
    seed: int
