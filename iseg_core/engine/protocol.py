"""Frames: what a client and the engine say to each other over two pipes. Standard library and numpy only.

A frame is a prefix of 16 bytes (the magic "iSeg", the header's length as uint32, the payload's as uint64, little
endian), a header of that many bytes, and the payload: the arrays' bytes, one after the other. The header is JSON:

    {"kind": "query", "id": 7, "fields": {...}, "arrays": [["vertices", "float32", [162, 3]], ...]}

Every length is checked against its bound before anything is allocated for it, and the declared arrays must be exactly
the payload. Nothing is ever unpickled. So whatever arrives, reading it ends in a message or in a ProtocolError; and
since the prefix says where a frame ends, one bad header costs one message, not the connection (MessageError).

Requests (client to engine) carry an id >= 1 of the client's choice; the engine answers each with any number of
`progress` frames (fields stage, fraction, seconds_left) and exactly one `result` or `error` (fields type, sentence)
of the same id. An error with the id 0 belongs to a message whose id could not be read. The first request is `hello`;
messages.py documents the others.
"""

import json
import struct
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np

from ..errors import MessageError, ProtocolError
from ..version import __version__

PROTOCOL = 1  # raised by one with every change that an older client or engine would misunderstand
MAGIC = b"iSeg"
PREFIX = struct.Struct("<4sIQ")
HEADER_LIMIT = 2**20  # bytes
PAYLOAD_LIMIT = 2**30  # bytes; a mesh of 29 million vertices in float32 with its faces
ARRAYS_LIMIT = 8
AXES_LIMIT = 4
TYPES = {"uint8": "|u1", "int32": "<i4", "int64": "<i8", "float32": "<f4", "float64": "<f8"}
LAST_ID = 2**53  # every JSON reader keeps integers up to here exactly
WASTE = memoryview(bytearray(2**16))  # target of skipped bytes, allocated ahead: memory may have run out


class Message(NamedTuple):
    """Frame. fields: JSON values. arrays: of a type in TYPES, at most ARRAYS_LIMIT of them."""

    kind: str
    id: int
    fields: dict[str, Any]
    arrays: dict[str, np.ndarray]


class Source(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...


class Sink(Protocol):
    def write(self, data: memoryview, /) -> int | None: ...


def encode(message: Message) -> list[memoryview]:
    """Encode a frame to bytes, in parts; contiguous arrays are not copied.

    Raises MessageError where the message cannot be sent: a type of array that the protocol does not have, or a bound
    that is exceeded.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in message.arrays.items()}
    for name, array in arrays.items():
        if array.dtype.name not in TYPES:
            raise MessageError(
                f"The array {name} is {array.dtype}. Convert it to one of: {', '.join(TYPES)}.", message.id
            )
    parts = [_bytes_of(array.astype(TYPES[array.dtype.name], copy=False)) for array in arrays.values()]
    declared = [[name, array.dtype.name, list(array.shape)] for name, array in arrays.items()]
    try:
        header = {"kind": message.kind, "id": message.id, "fields": message.fields, "arrays": declared}
        text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageError(
            f"The fields of {message.kind!r} are not JSON: {error}. Give plain values.", message.id
        ) from None
    payload = sum(part.nbytes for part in parts)
    if len(text) > HEADER_LIMIT:
        raise MessageError(f"A message of {len(text):,} bytes beside its arrays is too long. Send less.", message.id)
    if payload > PAYLOAD_LIMIT:
        raise MessageError(
            f"{payload / 2**30:.1f} GiB are too much for one message ({PAYLOAD_LIMIT / 2**30:.0f} GiB). "
            "Use a mesh of fewer vertices.",
            message.id,
        )
    _check(json.loads(text), payload)  # never send what the other end would refuse
    return [memoryview(PREFIX.pack(MAGIC, len(text), payload) + text), *parts]


def write(sink: Sink, parts: list[memoryview]) -> None:
    """Write the parts of a frame. Raises OSError where the other end is gone."""
    for part in parts:
        while part.nbytes:
            part = part[sink.write(part) or 0 :]


def read(source: Source) -> Message | None:
    """Read the next message; None where the stream ends between two of them.

    Raises MessageError where this message is malformed, or too large for the memory there is; it has been skipped, and
    the next can be read. Raises ProtocolError where what arrives is no frame, or ends within one.
    """
    prefix = bytearray(PREFIX.size)
    got = _fill(source, prefix)
    if got == 0:
        return None
    magic, header_size, payload = PREFIX.unpack(prefix)
    if magic[:got] != MAGIC[:got]:
        said = bytes(prefix[:got]).decode("ascii", "replace")
        raise ProtocolError(
            f"What arrived is not iSeg's protocol; it begins with {said!r}. The command must start the engine, and "
            "nothing but the engine may write to its output (a login script, for example)."
        )
    if got < PREFIX.size:
        raise _cut_off()
    if header_size > HEADER_LIMIT or payload > PAYLOAD_LIMIT:
        raise ProtocolError(
            f"A message announces {header_size:,} + {payload:,} bytes; more than {HEADER_LIMIT:,} + {PAYLOAD_LIMIT:,} "
            "are never sent. The connection is damaged: start the engine again."
        )
    id, left = 0, header_size + payload
    try:
        text = bytearray(header_size)
        if _fill(source, text) < header_size:
            raise _cut_off()
        left = payload
        header = _parse(text)
        id = _id(header)
        declared = _check(header, payload)
        arrays = {name: np.empty(shape, dtype) for name, dtype, shape in declared}
    except MessageError as error:
        _skip(source, left)
        raise MessageError(str(error), id) from None
    except MemoryError:
        _skip(source, left)
        raise MessageError(
            f"There is not enough memory for the {(header_size + payload) / 2**20:,.0f} MiB of this message. "
            "Close other programs, or use a mesh of fewer vertices.",
            id,
        ) from None
    for array in arrays.values():
        data = _bytes_of(array)
        if _fill(source, data) < data.nbytes:
            raise _cut_off()
    return Message(header["kind"], id, header["fields"], arrays)


def mismatch(other: str, fields: dict[str, Any]) -> str:
    """Word the error for a hello of another protocol. other: the end that sent it, engine or client."""
    return (
        f"The {other} is iSeg {fields.get('version')} and speaks protocol {fields.get('protocol')}; this is iSeg "
        f"{__version__} with protocol {PROTOCOL}. Install the same version of iSeg on both sides."
    )


def _bytes_of(array: np.ndarray) -> memoryview:
    """View the memory of a contiguous array, of any shape, as bytes."""
    return array.reshape(-1).view(np.uint8).data


def _parse(text: bytearray) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        return json.loads(text.decode(), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"The header of a message is not JSON ({error}). Both ends must be iSeg's.") from None


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _id(header: Any) -> int:
    """Find the id in a header that may be anything; 0 where there is none."""
    id = header.get("id") if _is_object(header) else None
    return id if type(id) is int and 0 <= id <= LAST_ID else 0


def _check(header: Any, payload: int) -> list[tuple[str, str, tuple[int, ...]]]:
    """Check a header; returns name, dtype and shape of its arrays. Raises MessageError where it is malformed."""

    def fail(defect: str) -> MessageError:
        return MessageError(f"A message is malformed: {defect}. Both ends must be iSeg's, of matching versions.")

    if not _is_object(header) or header.keys() != {"kind", "id", "fields", "arrays"}:
        raise fail("the header must have kind, id, fields and arrays, and nothing else")
    if not isinstance(header["kind"], str) or not 1 <= len(header["kind"]) <= 64:
        raise fail("its kind is not a short text")
    if type(header["id"]) is not int or not 0 <= header["id"] <= LAST_ID:
        raise fail(f"its id is not an integer from 0 to {LAST_ID}")
    if not _is_object(header["fields"]):
        raise fail("its fields are not an object")
    arrays = header["arrays"]
    if not _is_list(arrays) or len(arrays) > ARRAYS_LIMIT:
        raise fail(f"its arrays are not a list of at most {ARRAYS_LIMIT}")
    declared: dict[str, tuple[str, str, tuple[int, ...]]] = {}
    total = 0
    for entry in arrays:
        if not _is_list(entry) or len(entry) != 3:
            raise fail("an array is not declared as name, type and shape")
        name, dtype, shape = entry
        if not isinstance(name, str) or not 1 <= len(name) <= 64 or name in declared:
            raise fail("an array's name is not a short text of its own")
        if not isinstance(dtype, str) or dtype not in TYPES:
            raise fail(f"the array {name!r} is of none of the types {', '.join(TYPES)}")
        if not _is_list(shape) or len(shape) > AXES_LIMIT or any(type(n) is not int or n < 0 for n in shape):
            raise fail(f"the shape of {name!r} is not a list of at most {AXES_LIMIT} lengths")
        size, extent = np.dtype(TYPES[dtype]).itemsize, 1
        for n in shape:
            size, extent = size * n, extent * max(n, 1)  # extent: lengths beside a zero are bounded, too
        total += size
        if total > payload or extent > PAYLOAD_LIMIT:
            raise fail(f"the array {name!r} is larger than what was sent")
        declared[name] = (name, TYPES[dtype], tuple(shape))
    if total != payload:
        raise fail(f"its arrays have {total:,} bytes, but {payload:,} were sent")
    return list(declared.values())


def _fill(source: Source, buffer: bytearray | memoryview) -> int:
    """Read until the buffer is full or the stream ends; returns the number of bytes read."""
    view, done = memoryview(buffer), 0
    while done < len(view):
        count = source.readinto(view[done:])
        if not count:
            break
        done += count
    return done


def _skip(source: Source, size: int) -> None:
    while size > 0:
        count = _fill(source, WASTE[:size])
        if count == 0:
            raise _cut_off()
        size -= count


def _cut_off() -> ProtocolError:
    return ProtocolError("The connection ended in the middle of a message. Start the engine again.")
