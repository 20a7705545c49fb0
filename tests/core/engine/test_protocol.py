"""Frames: whatever arrives ends in a message or in one of our errors, and nothing is allocated beyond the bounds."""

import io
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.frames import arrays, header_like, json_values, raw_frame

from iseg_core.engine import protocol
from iseg_core.engine.protocol import HEADER_LIMIT, MAGIC, PAYLOAD_LIMIT, PREFIX, Message, encode, read, write
from iseg_core.errors import MessageError, ProtocolError

messages = st.builds(
    Message,
    kind=st.text(min_size=1, max_size=20),
    id=st.integers(0, 2**53),
    fields=st.dictionaries(st.text(), json_values, max_size=4),
    arrays=st.dictionaries(st.text(min_size=1, max_size=8), arrays(), max_size=4),
)


class Drip:
    """A stream that gives and takes at most `most` bytes at once, as a pipe may."""

    def __init__(self, data: bytes = b"", most: int = 7):
        self.data, self.most = io.BytesIO(data), most

    def readinto(self, buffer: memoryview) -> int:
        return self.data.readinto(buffer[: self.most])

    def write(self, data: memoryview) -> int:
        return self.data.write(data[: self.most])


def frame(message: Message) -> bytes:
    return b"".join(bytes(part) for part in encode(message))


def declaring(*arrays: Any, id: int = 5) -> dict[str, Any]:
    return {"kind": "query", "id": id, "fields": {}, "arrays": list(arrays)}


GOOD = Message("query", 9, {"mesh": "abc", "clicks": [[1, True]]}, {"x": np.arange(6.0).reshape(2, 3)})


def same(a: Message | None, b: Message) -> bool:
    return (
        a is not None
        and a[:3] == b[:3]
        and a.arrays.keys() == b.arrays.keys()
        and all(
            x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
            for x, y in zip(a.arrays.values(), b.arrays.values(), strict=True)
        )
    )


@given(st.lists(messages, max_size=3), st.integers(1, 50))
def test_round_trip(sent: list[Message], most: int):
    sink = Drip(most=most)
    for message in sent:
        write(sink, encode(message))
    source = Drip(sink.data.getvalue(), most)
    for message in sent:
        assert same(read(source), message)
    assert read(source) is None


def test_arrays_of_any_layout_arrive_equal():
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    sent = {"turned": x.T, "sliced": x[::2, 1:4], "big endian": x.astype(">f4"), "scalar": x[0, 0], "none": x[:0]}
    got = read(io.BytesIO(frame(Message("query", 1, {}, sent))))
    assert got is not None
    for name, array in sent.items():
        assert got.arrays[name].shape == array.shape and np.array_equal(got.arrays[name], array), name
        got.arrays[name][...] = 0  # what arrived is the reader's own


@given(messages, st.data())
def test_a_frame_that_is_cut_off(message: Message, data: st.DataObject):
    whole = frame(message)
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(ProtocolError) as caught:
        read(io.BytesIO(whole[:cut]))
    assert not isinstance(caught.value, MessageError)  # nothing can follow


@given(messages, st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_frame_with_changed_bytes(message: Message, changes: list[tuple[int, int]]):
    """It is another message, or refused; and where it says that the next can be read, the next can be read."""
    damaged = bytearray(frame(message))
    for place, flip in changes:
        damaged[place % len(damaged)] ^= flip
    source = io.BytesIO(bytes(damaged) + frame(GOOD))
    prefix_is_whole = bytes(damaged[: PREFIX.size]) == frame(message)[: PREFIX.size]
    try:
        read(source)
    except MessageError:
        pass
    except ProtocolError:
        assert not prefix_is_whole
        return
    if prefix_is_whole:
        assert same(read(source), GOOD)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes):
    source = io.BytesIO(data)
    try:
        while read(source) is not None:
            pass
    except ProtocolError:
        pass


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_any_header_in_a_whole_frame(text: bytes, payload: bytes):
    source = io.BytesIO(raw_frame(None, payload, text) + frame(GOOD))
    with pytest.raises(MessageError):
        read(source)
    assert same(read(source), GOOD)


@given(header_like, st.binary(max_size=40))
def test_headers_of_wrong_types(header: dict[str, Any], payload: bytes):
    source = io.BytesIO(raw_frame(header, payload) + frame(GOOD))
    try:
        message = read(source)
    except MessageError:
        pass
    else:
        assert message is not None and sum(array.nbytes for array in message.arrays.values()) == len(payload)
    assert same(read(source), GOOD)


@pytest.mark.parametrize(
    "header",
    [
        declaring(["x", "float32", [10**18]]),  # more than was sent
        declaring(["x", "float32", [2**32, 2**32]]),  # a product that overflows 64 bits
        declaring(["x", "float32", [0, 10**18]]),  # nothing, but lengths that numpy refuses
        declaring(["x", "float32", [0, 2**29, 2**29]]),
        declaring(["x", "float32", [-1]]),
        declaring(["x", "float32", [True]]),
        declaring(["x", "float32", [1.0]]),
        declaring(["x", "float32", 1]),
        declaring(["x", "float32", [1, 1, 1, 1, 1]]),
        declaring(["x", "object", [1]]),
        declaring(["x", "O", [0]]),
        declaring(["x", "float16", [2]]),
        declaring(["x", ["float32"], [1]]),
        declaring(["x", "float32"]),
        declaring(["", "float32", [1]]),
        declaring(["x", "uint8", [2]], ["x", "uint8", [2]]),
        declaring(["x", "uint8", [3]]),  # less than was sent
        declaring(["x", "uint8", [5]]),
        declaring(*[[str(i), "uint8", [0]] for i in range(9)], ["x", "uint8", [4]]),
        declaring() | {"kind": ""},
        declaring() | {"kind": 7},
        declaring() | {"fields": []},
        declaring() | {"arrays": {}},
        declaring() | {"more": 1},
        {"kind": "query", "id": 5},
    ],
    ids=lambda header: json.dumps(header)[:60],
)
def test_a_bad_header_costs_one_message_and_no_memory(header: dict[str, Any]):
    source = io.BytesIO(raw_frame(header, b"1234") + frame(GOOD))
    tracemalloc.start()
    try:
        with pytest.raises(MessageError) as caught:
            read(source)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert caught.value.id == 5  # the request can still be answered
    assert same(read(source), GOOD)


@pytest.mark.parametrize("id", [-1, 1.0, True, "1", None, 2**53 + 1, [1]])
def test_a_bad_id_is_not_answered_to(id: Any):
    with pytest.raises(MessageError) as caught:
        read(io.BytesIO(raw_frame(declaring() | {"id": id})))
    assert caught.value.id == 0


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b"1" * 100_000,
        b'{"kind": "query", "id": NaN, "fields": {}, "arrays": []}',
        b'{"kind": "query", "id": 1, "fields": {"x": Infinity}, "arrays": []}',
        b"\xff\xfe{}",
        b"",
        b"null",
        b"\x80\x04\x95\x10",  # the beginning of a pickle
    ],
    ids=lambda text: str(text[:12]),
)
def test_headers_that_are_no_json(text: bytes):
    source = io.BytesIO(raw_frame(None, b"", text) + frame(GOOD))
    with pytest.raises(MessageError):
        read(source)
    assert same(read(source), GOOD)


@pytest.mark.parametrize("sizes", [(HEADER_LIMIT + 1, 0), (2**32 - 1, 0), (10, PAYLOAD_LIMIT + 1), (10, 2**64 - 1)])
def test_announced_sizes_beyond_the_bounds_end_the_connection_at_once(sizes: tuple[int, int]):
    source = io.BytesIO(PREFIX.pack(MAGIC, *sizes) + b"x" * 100)
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match="never sent"):
            read(source)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_a_login_script_prints_is_quoted():
    with pytest.raises(ProtocolError, match="'Welcome to gpubo'.*login script"):
        read(io.BytesIO(b"Welcome to gpubox!\n"))
    with pytest.raises(ProtocolError, match="'hi"):
        read(io.BytesIO(b"hi\n"))


def test_a_message_that_memory_has_no_room_for_is_skipped(monkeypatch: pytest.MonkeyPatch):
    source = io.BytesIO(frame(GOOD) + frame(GOOD))

    def full(*arguments: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(protocol.np, "empty", full)
        with pytest.raises(MessageError, match="memory") as caught:
            read(source)
    assert caught.value.id == GOOD.id
    assert same(read(source), GOOD)


def test_a_header_that_memory_has_no_room_for_is_skipped(monkeypatch: pytest.MonkeyPatch):
    """Without taking any for what is skipped."""
    source = io.BytesIO(
        raw_frame(declaring(["x", "uint8", [10**6]]) | {"more": "x" * 10**5}, bytes(10**6)) + frame(GOOD)
    )

    def full(size: int) -> bytearray:
        if size > PREFIX.size:
            raise MemoryError
        return bytearray(size)

    with monkeypatch.context() as patched:
        patched.setattr(protocol, "bytearray", full, raising=False)
        with pytest.raises(MessageError, match="memory for the 1 MiB") as caught:
            read(source)
    assert caught.value.id == 0
    assert same(read(source), GOOD)


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (GOOD._replace(arrays={"x": np.array([None])}), "object"),
        (GOOD._replace(arrays={"x": np.zeros(1, np.float16)}), "float16"),
        (GOOD._replace(arrays={"x": np.zeros(1, bool)}), "bool"),
        (GOOD._replace(arrays={"x": np.array(["a"])}), "<U1"),
        (GOOD._replace(arrays={str(i): np.zeros(1) for i in range(9)}), "at most 8"),
        (GOOD._replace(arrays={"x": np.zeros((1, 1, 1, 1, 1))}), "at most 4"),
        (GOOD._replace(fields={"x": float("nan")}), "not JSON"),
        (GOOD._replace(fields={"x": np.float32(1)}), "not JSON"),
        (GOOD._replace(fields={"x": "x" * HEADER_LIMIT}), "too long"),
        (GOOD._replace(id=-1), "id"),
        (GOOD._replace(kind=""), "kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_be_read_is_not_sent(message: Message, word: str):
    with pytest.raises(MessageError, match=word):
        encode(message)


def test_a_mesh_too_large_for_a_message(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "PAYLOAD_LIMIT", 100)
    with pytest.raises(MessageError, match="fewer vertices"):
        encode(GOOD._replace(arrays={"x": np.zeros(101, np.uint8)}))
