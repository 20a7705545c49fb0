"""Tensor files: named arrays and a JSON record in one safetensors file with a checksum."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ModelFileError
from ..formats.load import READERS
from ..system.atomic_file import atomic_write
from ..version import __version__

FORMAT = 2  # raised by one whenever an older engine could misread a newer file; those before are read
HEADER_LIMIT = 4 * 2**20  # bytes; a real header has some 20 thousand
FILE_LIMIT = 2**30  # bytes; the model of a mesh of 14 million vertices, which take 72 each


def checksum(record: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    """Hash (hex sha256) of the record without its own checksum, and of every array's name, type, shape and bytes."""
    rest = {key: value for key, value in record.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode())
    for name, array in sorted(tensors.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(_bytes_of(array))
    return digest.hexdigest()


def write(path: str | os.PathLike[str], record: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """Write a record (JSON) and arrays as a safetensors file, whole or not at all.

    The library's own `save` has the whole file in memory and ends the process where there is no room for it; this goes
    array by array. Equal contents are equal files. Raises OSError where the file cannot be written.
    """
    # What is aligned to more bytes comes first: so all of it is aligned.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    header: dict[str, Any] = {"__metadata__": {"iseg": json.dumps(record, allow_nan=False)}}
    end = 0
    for name, array in ordered:
        kind = "BOOL" if array.dtype == bool else f"{array.dtype.kind.upper()}{8 * array.itemsize}"
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            file.write(_bytes_of(array))


def _bytes_of(array: np.ndarray) -> memoryview:
    """View the memory of an array, or of a contiguous copy, as bytes."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read the record and the arrays of a file. Raises ModelFileError unless version and checksum are right."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as load_tensors

    try:
        with open(path, "rb") as file:
            record, end = read_header(path, file)  # before all the rest is read: it may be any file
            size = os.fstat(file.fileno()).st_size
            if size > FILE_LIMIT:
                raise ModelFileError(
                    f"{path} has {size:,} bytes, more than any model of iSeg ({FILE_LIMIT:,}). Restore it from a copy, "
                    "or train the mesh again."
                )
            file.seek(0)
            data = file.read()
    except FileNotFoundError:
        raise ModelFileError(
            f"There is no file {path}. `python -m iseg_core train MESH -o {path}` makes one."
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}. Give a file that can be.") from error
    if len(data) < end:
        raise ModelFileError(
            f"{path} is cut off: {len(data):,} of {end:,} bytes are there. Copy it again, or train the mesh again."
        )

    edited = f"{path} was changed after iSeg wrote it, or damaged. Restore it from a copy, or train the mesh again."
    try:
        tensors = load_tensors(data)
        if record["sha256"] != checksum(record, tensors):
            raise ModelFileError(edited)
        if not (isinstance(record["mesh"], str) and type(record["settings"]) is type(record["info"]) is dict):
            raise ModelFileError(edited)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # unknown array types are a KeyError
        raise ModelFileError(edited) from error
    return record, tensors


def read_header(path: Path, file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Read iSeg's record in a safetensors header, and the number of bytes that the file should have.

    Raises ModelFileError where that is not of the version that this engine reads.
    """
    start = file.read(9)
    size = int.from_bytes(start[:8], "little")
    what = "a mesh, not a model" if path.suffix.lower() in READERS else "not a model that iSeg wrote"
    instant = " Or, with segment, name it after --instant." if path.suffix.lower() in READERS else ""
    foreign = ModelFileError(f"{path} is {what}. Give the file that `train -o` made.{instant}")
    if start[8:] != b"{":
        raise foreign
    if not 2 <= size <= HEADER_LIMIT:
        raise ModelFileError(
            f"{path} announces a header of {size:,} bytes; that of a model has 2 to {HEADER_LIMIT:,}. "
            "It is damaged or not a model: restore it from a copy, or train the mesh again."
        )
    text = start[8:] + file.read(size - 1)
    if len(text) < size:
        raise ModelFileError(f"{path} is cut off inside its header. Copy it again, or train the mesh again.")
    try:
        header = json.loads(text)
        record = json.loads(header.pop("__metadata__")["iseg"])
        version, engine = record["format"], record["engine"]
        end = 8 + size + max(entry["data_offsets"][1] for entry in header.values())
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise foreign from None
    if not isinstance(version, int) or not 1 <= version <= FORMAT:
        newer = isinstance(version, int) and version > FORMAT
        remedy = "Update iSeg" if newer else f"Open it with iSeg {engine}"
        raise ModelFileError(
            f"{path} was made by iSeg {engine} in format {version}; this is iSeg {__version__}, which reads formats "
            f"1 to {FORMAT}. {remedy}, or train the mesh again."
        )
    return record, end
