"""The fields of messages: there and back, and what is refused."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iseg_core.clicks.click import Click, SurfacePoint
from iseg_core.engine.messages import clicks_from_wire, clicks_to_wire
from iseg_core.engine.protocol import Message, encode, read
from iseg_core.errors import MessageError

corners = st.tuples(*[st.floats(0, 1)] * 3).filter(lambda w: sum(w) > 1e-6)
points = st.builds(
    lambda face, w: SurfacePoint(face, (w[0] / sum(w), w[1] / sum(w), w[2] / sum(w))), st.integers(), corners
)
clicks = st.lists(st.builds(Click, st.integers() | points, st.booleans())).map(tuple)
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=2),
)


def travelled(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields at the other end of the pipe."""
    message = read(io.BytesIO(b"".join(encode(Message("query", 1, fields, {})))))
    assert message is not None
    return message.fields


@given(clicks)
def test_clicks_arrive_as_they_were(made):
    assert clicks_from_wire(travelled({"clicks": clicks_to_wire(made)})["clicks"]) == made


def test_the_wire_format():
    assert clicks_to_wire([(12, True), (7, False)]) == [[12, True], [7, False]]  # plain pairs are as good
    assert clicks_to_wire([Click(SurfacePoint(7, (0.25, 0.25, 0.5)), True)]) == [[[7, 0.25, 0.25, 0.5], True]]
    assert clicks_from_wire([[[7, 0, 0, 1], False]]) == (Click(SurfacePoint(7, (0, 0, 1)), False),)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        "ab",
        [1],
        [[1]],
        [[1, 2]],
        [[1, None]],
        [[True, True]],
        [[1.0, True]],
        [["1", True]],
        [[1, True, 1]],
        [[[7, 0.5, 0.5], True]],
        [[[7, 0.5, 0.5, 0, 0], True]],
        [[[7.0, 0.5, 0.5, 0], True]],
        [[[7, "1", 0, 0], True]],
        [[[7, True, 0, 0], True]],
        [[[7, 0.5, 0.6, 0], True]],
        [[[7, -1, 1, 1], True]],
        [[[7, 10**400, 0, 0], True]],
        [[[], True]],
    ],
)
def test_what_are_no_clicks(value):
    with pytest.raises(MessageError):
        clicks_from_wire(value)


@given(json)
def test_whatever_arrives_is_clicks_or_a_message_error(value):
    try:
        assert isinstance(clicks_from_wire(value), tuple)
    except MessageError:
        pass
