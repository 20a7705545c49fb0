"""Domains of values on a mesh. Standard library only."""

from enum import StrEnum

from ..errors import SettingsError


class Domain(StrEnum):
    """Elements of a mesh that values belong to: every vertex or every face. An unknown one raises SettingsError."""

    VERTEX = "vertex"
    FACE = "face"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise SettingsError(f"Unknown domain {value!r}. Choose one of: {', '.join(cls)}.")
