"""PLY files: text and binary, polygons of any kind, any further properties (Turk, The PLY Polygon File Format)."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import MeshError

TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"}
TYPES |= {"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
TYPES |= {"float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"}
ENDIANS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
INDICES = ("vertex_indices", "vertex_index")  # both names are in use


@dataclass
class Property:
    name: str
    dtype: np.dtype  # of the value, or of the list's items
    count_dtype: np.dtype | None = None  # of the list's length; None: a single value


@dataclass
class Element:
    name: str
    count: int
    properties: list[Property] = field(default_factory=list)


def read_ply(data: bytes, _: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [V, 3] float64, corners [C], corners of each polygon [F]. Errors: MeshError, ValueError, IndexError."""
    elements, body = _parse_header(data)
    offset = 0
    columns: dict[str, dict[str, np.ndarray]] = {}
    counts = np.zeros(0, np.int64)  # [F]
    for element in elements:
        columns[element.name], lengths, offset = _read_element(element, body, offset)
        if element.name == "face":
            counts = next((lengths[name] for name in INDICES if name in lengths), counts)  # [F]
    vertex, face = columns.get("vertex", {}), columns.get("face", {})
    if not {"x", "y", "z"} <= vertex.keys():
        raise MeshError("the vertices have no x, y and z. Export the mesh again.")
    vertices = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float64)  # [V, 3]
    corners = next((face[name] for name in INDICES if name in face), counts)  # [C]
    return vertices, corners.astype(np.int64), counts


def _parse_header(data: bytes) -> tuple[list[Element], bytes]:
    """The elements, and their values as bytes. Text is turned into doubles, so that one reader serves all formats."""
    head, mark, body = data.partition(b"end_header")
    lines = [line.split() for line in head.decode("ascii", "replace").splitlines()]
    if not mark or lines[0] != ["ply"]:
        raise MeshError("not PLY, or its header is truncated. Export the mesh again.")
    body = body[2:] if body[:2] == b"\r\n" else body[1:]
    text, endian = False, "<"
    elements: list[Element] = []
    for line in lines:
        if line[:1] == ["format"]:
            text, endian = line[1] == "ascii", ENDIANS[line[1]]
        elif line[:1] == ["element"]:
            elements.append(Element(line[1], int(line[2])))
        elif line[:1] == ["property"]:
            types = [np.dtype("<f8") if text else np.dtype(endian + TYPES[t]) for t in line[1:-1] if t != "list"]
            elements[-1].properties.append(Property(line[-1], types[-1], types[0] if line[1] == "list" else None))
    return elements, np.array(body.split(), dtype="<f8").tobytes() if text else body


def _read_element(
    element: Element, body: bytes, offset: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """The values of each property, those of lists one after the other; the lengths of the lists; the new offset."""
    if element.count == 0:
        return {}, {}, offset
    row = _row_dtype(element, body, offset)
    if offset + element.count * row.itemsize <= len(body):
        rows = np.frombuffer(body, row, element.count, offset)  # [N]
        lists = [p.name for p in element.properties if p.count_dtype]
        # Where every row's lists are as long as the first row's, one look at the memory is enough.
        if all((rows[name + "#"] == rows[name + "#"][0]).all() for name in lists):
            values = {p.name: rows[p.name].ravel() for p in element.properties}  # [N] or [N * length] each
            return values, {name: rows[name + "#"].astype(np.int64) for name in lists}, offset + rows.nbytes
    return _read_ragged(element, body, offset)


def _row_dtype(element: Element, body: bytes, offset: int) -> np.dtype:
    """The memory of a row whose lists are as long as those of the first row."""
    fields: list[tuple] = []
    for prop in element.properties:
        if prop.count_dtype is None:
            fields.append((prop.name, prop.dtype))
        else:
            at = offset + np.dtype(fields).itemsize
            length = int(np.frombuffer(body, prop.count_dtype, 1, at)[0])
            fields += [(prop.name + "#", prop.count_dtype), (prop.name, prop.dtype, (max(length, 0),))]
    return np.dtype(fields)


def _read_ragged(
    element: Element, body: bytes, offset: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int]:
    """As _read_element, row by row: triangles and quads together, for instance."""
    pieces: dict[str, list[bytes]] = {p.name: [] for p in element.properties}
    lengths: dict[str, list[int]] = {p.name: [] for p in element.properties if p.count_dtype}
    for _ in range(element.count):
        for prop in element.properties:
            length = 1
            if prop.count_dtype is not None:
                length = int(np.frombuffer(body, prop.count_dtype, 1, offset)[0])
                offset += prop.count_dtype.itemsize
                lengths[prop.name].append(length)
            end = offset + length * prop.dtype.itemsize
            if length < 0 or end > len(body):
                raise MeshError("the file is truncated or damaged. Export the mesh again.")
            pieces[prop.name].append(body[offset:end])
            offset = end
    values = {p.name: np.frombuffer(b"".join(pieces[p.name]), p.dtype) for p in element.properties}
    return values, {name: np.array(each, np.int64) for name, each in lengths.items()}, offset
