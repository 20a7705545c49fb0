"""Registry of teachers: from a name to a teacher."""

import os
from collections.abc import Callable

from ..storage.trained_model import Model
from .teacher import Teacher

GEOMETRIC = "geometric"


def make_teacher(teacher: str | Teacher | Callable[[Model], Teacher], model: Model, device: str = "auto") -> Teacher:
    """The teacher that `train` would ask about a prepared model; see there."""
    if not isinstance(teacher, str | os.PathLike):
        return teacher if hasattr(teacher, "look") else teacher(model)  # pyright: ignore
    if teacher == GEOMETRIC:
        from ..parts.candidates import PartFinder
        from ..parts.surface import Surface
        from .geometric import GeometricTeacher

        surface = Surface.from_arrays(model.proxy.vertices, model.surface)
        return GeometricTeacher(PartFinder(surface), model.proxy.faces)
    from .sam import SamTeacher

    return SamTeacher.from_weights(os.fspath(teacher), device)
