"""Make a teacher from its name."""

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from ..storage.trained_model import Model
from .registry import TEACHERS, TeacherEntry
from .teacher import Teacher
from .weights import locate


class Factory(Protocol):
    """Function that makes a teacher for a prepared mesh. weights: the entry's file, checked; None where it has none."""

    def __call__(self, entry: TeacherEntry, weights: Path | None, model: Model, device: str) -> Teacher: ...


def find(teacher: str | os.PathLike[str]) -> tuple[TeacherEntry, Path | None]:
    """Find a teacher by its name, or by the path of its weights: its entry, and its weights if it needs some, checked.

    Raises WeightsError where there is no such teacher, or its weights are not there or not the official ones.
    """
    known = TEACHERS.get(os.fspath(teacher))
    return (known, None) if known is not None and known.weights is None else locate(teacher)


def make_teacher(
    teacher: str | os.PathLike[str] | Teacher | Callable[[Model], Teacher], model: Model, device: str = "auto"
) -> Teacher:
    """Make the teacher that `train` would ask about a prepared model.

    teacher: a name, the path of a weights file, a Teacher (returned as it is), or a function of the prepared model.
    Raises WeightsError as `find` does, and SettingsError where the teacher's packages or the device are missing.
    """
    if isinstance(teacher, Teacher):
        return teacher
    if not isinstance(teacher, str | os.PathLike):
        return teacher(model)
    entry, weights = find(cast("str | os.PathLike[str]", teacher))
    module, function = entry.factory.split(":")
    make: Factory = vars(import_module(module, __package__))[function]
    return make(entry, weights, model, device)
