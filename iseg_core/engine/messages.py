"""Messages: what the fields of each message mean. Standard library and numpy only; both sides of the pipe import it."""

from collections.abc import Iterable
from typing import Any, cast

from ..clicks.click import Click, Clicks, Prompt, SurfacePoint
from ..errors import ClickError, MessageError


def clicks_to_wire(clicks: Iterable[tuple[Prompt, bool]]) -> list[list[Any]]:
    """Clicks as JSON: [vertex, include], or [[face, b0, b1, b2], include] for a point of the surface."""
    return [
        [[prompt.face, *prompt.barycentric] if isinstance(prompt, SurfacePoint) else prompt, include]
        for prompt, include in clicks
    ]


def clicks_from_wire(value: Any) -> Clicks:
    """The clicks that such JSON stands for. Raises MessageError where it stands for none."""
    if not isinstance(value, list):
        raise MessageError("Clicks are a list of pairs of a prompt and true or false.")
    return tuple(_click_from_wire(click) for click in cast("list[Any]", value))


def _click_from_wire(value: Any) -> Click:
    match value:
        case [prompt, bool(include)] if type(prompt) is int:
            return Click(prompt, include)
        case [[face, *weights], bool(include)] if type(face) is int and all(type(w) in (int, float) for w in weights):
            try:
                return Click(SurfacePoint(face, tuple(weights)), include)
            except ClickError as error:
                raise MessageError(str(error)) from None
        case _:
            raise MessageError("A click is a pair of a vertex, or of a face and three weights, and true or false.")
