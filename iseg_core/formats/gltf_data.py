"""Contents of a glTF 2.0 or GLB file: JSON, buffers, and the arrays in them (Khronos glTF 2.0, 3.6 and 4)."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import numpy as np

from ..errors import MeshError
from .common import FILE_LIMIT, read_file

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
GLB, JSON, BINARY = b"glTF", 0x4E4F534A, 0x004E4942
MOST = 30_000_000  # vertices and corners of all nodes; without a limit, a few bytes could ask for any number

COMPRESSIONS = {"KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression"}
INSTANCING = "EXT_mesh_gpu_instancing"
READ = {INSTANCING, "KHR_mesh_quantization"}
# Extensions that do not move triangles: by name, and by the second word of the name (KHR_materials_unlit).
LOOKS = {"EXT_mesh_features", "EXT_instance_features", "EXT_structural_metadata", "FB_ngon_encoding", "MSFT_lod"}
LOOK_WORDS = {"materials", "texture", "lights", "light", "animation", "audio", "xmp", "techniques"}


class Document:
    """glTF file whose buffers are read as they are asked for. Errors: MeshError, here and in all methods."""

    def __init__(self, data: bytes, folder: Path):
        text, self.binary = _split_glb(data) if data[:4] == GLB else (data, b"")
        try:
            self.header: dict[str, Any] = json.loads(text)  # UTF-16 and byte order marks are recognised
            asset = self.header["asset"]
            version, least = str(asset["version"]), str(asset.get("minVersion", "2.0"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MeshError("its JSON is truncated, damaged or not GLTF. Export the mesh again.") from error
        if not version.startswith("2.") or least != "2.0":
            raise MeshError("only version 2 of glTF is read. Export the mesh again as glTF 2.0.")
        self._check_extensions(self.header.get("extensionsRequired", []))
        self.folder = folder
        self.buffers: dict[int, bytes] = {}
        self.counted, self.room = 0, FILE_LIMIT

    def _check_extensions(self, required: list[str]) -> None:
        refuse_compressed(required)
        words = {name: name.split("_")[1:2] for name in required}
        unknown = [n for n in required if n not in READ | LOOKS and not LOOK_WORDS.intersection(words[n])]
        if unknown:
            names = f"{', '.join(unknown):.200}"
            raise MeshError(f"it requires extensions of glTF that are not read ({names}). Export it without them.")

    def count(self, more: int) -> None:
        """Count so many more vertices and corners, before memory is taken for them. Errors: MeshError past MOST."""
        self.counted += more
        if self.counted > MOST:
            much = f"{MOST:,} vertices and corners, or too many parts"
            raise MeshError(f"its nodes have more than {much}. Use a mesh of fewer vertices.")

    def item(self, kind: str, index: Any) -> dict[str, Any]:
        """Look up an item of the header by its kind (nodes, meshes, accessors...) and index."""
        items = self.header.get(kind, [])
        if not isinstance(index, int) or not 0 <= index < len(items):
            raise MeshError(f"it names {kind} {index!r:.40}, and has {len(items)}. Export the mesh again.")
        return items[index]

    def accessor(self, index: Any, kind: str) -> np.ndarray:
        """Read an accessor's values, one row an item; normalised integers as fractions. [N, K] float64

        kind: the type that the accessor must have, one of SIZES.
        """
        values = self._stored(index, kind)  # [N, K]
        if self.item("accessors", index).get("normalized") and values.dtype.kind in "iu":
            return np.maximum(values / float(np.iinfo(values.dtype).max), -1.0)
        return values.astype(np.float64)

    def indices(self, index: Any, kind: str, limit: int, what: str) -> np.ndarray:
        """Read an accessor's values as indices below the limit. [N, K] int64. what: the sentence of the error."""
        values = self._stored(index, kind)  # [N, K]
        if values.dtype.kind not in "iu" or (values.size and (values.max() >= limit or values.min() < 0)):
            raise MeshError(f"{what}. Export the mesh again.")
        return values.astype(np.int64)

    def _stored(self, index: Any, kind: str) -> np.ndarray:
        """Read an accessor's values in the type in which they are stored. [N, K]"""
        info = self.item("accessors", index)
        if info.get("type") != kind or info.get("componentType") not in COMPONENTS:
            raise MeshError(f"accessor {index} is not what is wanted there, {kind}. Export the mesh again.")
        dtype, size, count = np.dtype(COMPONENTS[info["componentType"]]), SIZES[kind], natural(info, "count")
        self.count(count * -(-size // 3))  # in vertices, which have three values
        if "bufferView" in info:
            values = self._view(info["bufferView"], natural(info, "byteOffset"), dtype, count, size)  # [N, K]
        else:
            values = np.zeros((count, size), dtype)  # [N, K] a sparse accessor fills it
        return self._filled(values, info["sparse"]) if "sparse" in info else values

    def _filled(self, values: np.ndarray, sparse: dict[str, Any]) -> np.ndarray:
        """Copy values [N, K] and overwrite rows with those of a sparse accessor. [N, K]"""
        where, given, count = sparse["indices"], sparse["values"], natural(sparse, "count")
        kind = np.dtype(COMPONENTS.get(where["componentType"], "<f4"))
        self.count(count)
        rows = self._view(where["bufferView"], natural(where, "byteOffset"), kind, count, 1)[:, 0]  # [S]
        if kind.kind != "u" or (rows >= len(values)).any():
            raise MeshError("a sparse accessor fills rows that are not there. Export the mesh again.")
        values = values.copy()  # [N, K]
        more = self._view(given["bufferView"], natural(given, "byteOffset"), values.dtype, count, values.shape[1])
        values[rows] = more  # [S, K]
        return values

    def _view(self, index: Any, offset: int, dtype: np.dtype, count: int, size: int) -> np.ndarray:
        """Take `count` rows of `size` values each out of a buffer view, without a copy. [count, size]"""
        view = self.item("bufferViews", index)
        buffer = self._buffer(view.get("buffer"), view)
        start, row = natural(view, "byteOffset"), dtype.itemsize * size
        stride = view.get("byteStride") or row  # some writers say 0 for values without gaps
        if not isinstance(stride, int) or stride < row:
            raise MeshError("the rows of the file's data overlap. Export the mesh again.")
        length = natural(view, "byteLength", max(len(buffer) - start, 0))
        if start + length > len(buffer) or (count and offset + stride * (count - 1) + row > length):
            raise MeshError("the file's data is shorter than it says. Export the mesh again.")
        return np.ndarray((count, size), dtype, buffer, start + offset if count else 0, (stride, dtype.itemsize))

    def _buffer(self, index: Any, view: dict[str, Any]) -> bytes:
        """Read the buffer of a view, once: from the file itself, a data URI or a file beside it."""
        info = self.item("buffers", index)
        if index not in self.buffers:
            uri = info.get("uri")
            if uri is None:
                data = self.binary if index == 0 else b""
                if not data:  # a buffer without data is where compressed data would be unpacked to
                    refuse_compressed(view.get("extensions", {}))
            elif uri[:5].lower() == "data:":
                data = _inline(uri)
            else:
                data = self._data_file(uri)
            if len(data) < natural(info, "byteLength"):
                raise MeshError("the file's data is shorter than it says. Export the mesh again.")
            self.buffers[index] = data
        return self.buffers[index]

    def _data_file(self, uri: str) -> bytes:
        """Read a data file in the folder of the glTF file: a foreign glTF must not reach all that the user can read."""
        name, folder = unquote(uri), self.folder.resolve()
        away = urlsplit(uri).scheme or Path(name).anchor  # by the name alone: to resolve it may ask another machine
        if away or not (folder / name).resolve().is_relative_to(folder):
            raise MeshError(
                f"its data file {uri:.80} is elsewhere. Put it beside the .gltf, and its bare name in there."
            )
        try:
            data = read_file(folder / name, self.room)
        except OSError as error:
            raise MeshError(f"its data file {uri:.80} cannot be read. Put it beside the .gltf.") from error
        self.room -= len(data)
        return data


def natural(info: dict[str, Any], key: str, default: int = 0) -> int:
    """Read a whole number >= 0 by its key. Errors: MeshError for anything else there."""
    value = info.get(key, default)
    if not isinstance(value, int) or value < 0:
        raise MeshError(f"its {key} is {value!r:.40}, not a whole number from 0 on. Export the mesh again.")
    return value


def vector(info: dict[str, Any], key: str, default: tuple[float, ...]) -> np.ndarray:
    """Read a vector by its key, as long as the default. [K] float64. Errors: MeshError for anything else there."""
    value = info.get(key, default)
    ok = isinstance(value, list | tuple) and len(value) == len(default)
    if not ok or not all(isinstance(number, int | float) for number in value):
        raise MeshError(f"a node's {key} does not have {len(default)} numbers. Export the mesh again.")
    return np.array(value, dtype=np.float64)  # [K]


def refuse_compressed(extensions: Any) -> None:
    """Raise MeshError where one of the extensions is a compression."""
    compressed = sorted(COMPRESSIONS.intersection(extensions))
    if compressed:
        raise MeshError(f"the mesh is compressed ({', '.join(compressed)}). Export it without compression.")


def _inline(uri: str) -> bytes:
    """Decode a data URI to bytes."""
    kind, _, content = uri.partition(",")
    if not kind.lower().endswith(";base64"):
        return unquote_to_bytes(content)
    try:
        return base64.b64decode(unquote(content))
    except ValueError as error:
        raise MeshError("its data, which it holds as base64, is damaged. Export the mesh again.") from error


def _split_glb(data: bytes) -> tuple[bytes, bytes]:
    """Split a GLB file into its JSON text and its binary chunk (empty where there is none)."""
    version, length = int.from_bytes(data[4:8], "little"), int.from_bytes(data[8:12], "little")
    if len(data) >= 8 and version != 2:
        raise MeshError("only version 2 of glTF is read. Export the mesh again as glTF 2.0.")
    chunks: dict[int, bytes] = {}
    at, truncated = 12, length > len(data)
    while at + 8 <= length and not truncated:
        size, kind = int.from_bytes(data[at : at + 4], "little"), int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
        truncated = at > length
    if truncated or JSON not in chunks:
        raise MeshError("the file is truncated or damaged. Export the mesh again.")
    return chunks[JSON].rstrip(b"\0 "), chunks.get(BINARY, b"")  # padding by NUL is common, though not allowed
