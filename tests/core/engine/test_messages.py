"""The fields of messages: there and back, and what is refused."""

import io
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

import iseg_core as iseg
from iseg_core.clicks.click import Click, SurfacePoint
from iseg_core.engine import messages
from iseg_core.engine.handlers import Handlers
from iseg_core.engine.messages import MeshHash, Seed
from iseg_core.engine.protocol import Message, encode, read
from iseg_core.errors import EngineError, MessageError
from iseg_core.geometry.domain import Domain

HASH = "0123456789abcdef" * 4
MESSAGES = [
    one
    for one in vars(messages).values()
    if isinstance(one, type) and issubclass(one, messages.Fields) and one not in (messages.Fields, messages.Request)
]
REQUESTS = [one for one in MESSAGES if issubclass(one, messages.Request)]

corners = st.tuples(*[st.floats(0, 1)] * 3).filter(lambda w: sum(w) > 1e-6)
points = st.builds(
    lambda face, w: SurfacePoint(face, (w[0] / sum(w), w[1] / sum(w), w[2] / sum(w))), st.integers(), corners
)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(-(2**60), 2**60),
    float: st.floats(-1e299, 1e299),
    bool: st.booleans(),
    Any: st.none() | st.integers(),
    MeshHash: st.text("0123456789abcdef", min_size=64, max_size=64),
    Seed: st.integers(0, 2**53 - 1),
    messages.Size: st.floats(0, 1),
    Domain: st.sampled_from(Domain),
    Click: st.builds(Click, st.integers() | points, st.booleans()),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    inner = get_args(kind)
    if kind in VALUES:
        return VALUES[kind]
    if get_origin(kind) in (Union, UnionType):
        return st.none() | values(next(one for one in inner if one is not NoneType))
    if get_origin(kind) is tuple:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(st.text(), values(inner[1]), max_size=3)
    return made(kind)


def made(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Messages of a class."""
    types = get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{one.name: values(types[one.name]) for one in fields(cls)})


def travelled(given: dict[str, Any]) -> dict[str, Any]:
    """The same fields at the other end of the pipe."""
    message = read(io.BytesIO(b"".join(encode(Message("query", 1, given, {})))))
    assert message is not None
    return message.fields


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(HASH),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_messages_arrive_as_they_were(cls, data):
    message = data.draw(made(cls))
    assert cls.from_fields(travelled(message.to_fields())) == message


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_whatever_arrives_is_a_message_or_a_sentence(cls, data):
    names = [one.name for one in fields(cls)]
    given = data.draw(st.dictionaries(st.sampled_from([*names, "more"]), json, max_size=len(names) + 1))
    if data.draw(st.booleans()):  # only one of them is odd
        given = data.draw(made(cls)).to_fields() | dict(list(given.items())[:1])
    try:
        message = cls.from_fields(given)
    except (MessageError, iseg.SettingsError) as error:
        assert str(error).endswith(".")
    else:
        assert set(message.to_fields()) <= set(names)


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_a_field_without_a_default_must_be_there(cls, data):
    given = data.draw(made(cls)).to_fields()
    for one in fields(cls):
        rest = {name: value for name, value in given.items() if name != one.name}
        may_be_null = one.default is None or NoneType in get_args(get_type_hints(cls)[one.name])
        if one.default is not MISSING:
            assert getattr(cls.from_fields(rest), one.name) == one.default
        elif not may_be_null:
            with pytest.raises(MessageError):
                cls.from_fields(rest)


def test_every_request_of_the_engine_has_its_message():
    known = {cls.kind for cls in REQUESTS}
    assert known == {"hello", "cancel", "shutdown", *Handlers().table} and len(known) == len(REQUESTS)
    for cls in MESSAGES:
        assert is_dataclass(cls) and cls.__dataclass_params__.frozen  # pyright: ignore[reportAttributeAccessIssue]
        for kind in get_type_hints(cls, include_extras=True).values():
            assert get_origin(kind) is not Annotated or kind in VALUES


def test_the_wire_format():
    query = messages.QueryRequest(mesh=HASH, clicks=(Click(12, True), Click(SurfacePoint(7, (0.25, 0.25, 0.5)), False)))
    written = {"mesh": HASH, "granularity": 0.5, "device": "auto", "model": None}
    written |= {"clicks": [[12, True], [[7, 0.25, 0.25, 0.5], False]]}
    assert list(query.to_fields().items()) == list(written.items())
    named = messages.QueryRequest.from_fields(query.to_fields() | {"granularity": "fine"})
    assert named.granularity == 0.25  # a name stands for its size
    tagged = messages.QueryRequest(mesh=HASH, clicks=(), supersedes="hover", model=messages.ModelName(seed=3))
    assert tagged.to_fields()["supersedes"] == "hover"
    assert tagged.to_fields()["model"] == {"teacher": "geometric", "preset": "standard", "seed": 3}
    faces = messages.QueryRequest(mesh=HASH, clicks=(), domain=Domain.FACE).to_fields()["domain"]
    assert faces == "face" and type(faces) is str
    assert messages.QueryRequest.from_fields({"mesh": HASH, "clicks": [], "unknown": 1}).clicks == ()
    assert messages.QueryRequest.from_fields({"mesh": HASH, "clicks": []}).domain is Domain.VERTEX
    assert messages.QueryResult.from_fields({"threshold": 1, "milliseconds": 0}).threshold == 1.0
    assert "traceback" not in messages.ErrorFields(type="MeshError", sentence="No.").to_fields()


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
    with pytest.raises(MessageError, match="The request query needs clicks: "):
        messages.QueryRequest.from_fields({"mesh": HASH, "clicks": value})


def test_refusals_are_sentences():
    for wrong, words in [
        ({"clicks": []}, "query needs mesh: a text"),
        ({"mesh": "*", "clicks": []}, "query needs mesh: a hash that open_mesh gave"),
        ({"mesh": HASH, "clicks": [], "model": 3}, "query needs model: teacher, preset, seed"),
        ({"mesh": HASH, "clicks": [], "model": {"seed": -1}}, "query needs model: seed: an integer from 0 on"),
        ({"mesh": HASH, "clicks": [[[7, 1, 1, 0], True]]}, "query needs clicks: .* must sum to 1"),
    ]:
        with pytest.raises(MessageError, match=f"^The request {words}\\.$"):
            messages.QueryRequest.from_fields(wrong)
    with pytest.raises(EngineError, match="^The engine's answer makes no sense. Use the engine of this iSeg version.$"):
        messages.QueryResult.from_fields({"threshold": "0.5", "milliseconds": 1.0})
    with pytest.raises(iseg.SettingsError, match="fine, part, whole"):
        messages.ProposeRequest.from_fields({"mesh": HASH, "granularity": "tiny"})
    with pytest.raises(iseg.SettingsError, match="vertex, face"):
        messages.QueryRequest.from_fields({"mesh": HASH, "clicks": [], "domain": "edge"})
