"""PLY files: text and binary, polygons and strips, any further properties (Turk, The PLY Polygon File Format)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import MeshError
from .common import Polygons, colour_labels, label_polygons, strip_triangles
from .text import Rows, decoded, quoted, ranges, whole

TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"}
TYPES |= {"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
TYPES |= {"float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"}
ENDIANS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
INDICES = ("vertex_indices", "vertex_index")  # both names are in use
COLOURS = ("red", "green", "blue")
WANTED = {"x", "y", "z", *INDICES, *COLOURS}
HEADER_END = re.compile(rb"[\r\n]end_header[ \t]*(\r\n|\n|\r|\Z)")
CUT = "the file is truncated or damaged. Export the mesh again."

Columns = dict[str, tuple[np.ndarray, np.ndarray | None]]  # a property's values [N], and the lengths [R] of its lists


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


def read_ply(data: bytes, _: Path) -> Polygons:
    """Read PLY; the labels are of the colours of the faces, else of the vertices. Errors: MeshError."""
    is_text, elements, body = _parse_header(data if data[:3] == b"ply" else decoded(data))
    vertices, colours = None, None  # [V, 3] each
    labels: list[np.ndarray | None] = []  # [f] of each element with faces
    corners, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]  # [0], [0]
    for element, columns in (_text_columns if is_text else _binary_columns)(elements, body):
        if element.name == "vertex":
            axes = [columns[axis][0] for axis in "xyz" if axis in columns and columns[axis][1] is None]  # [V] each
            if element.count and len(axes) < 3:
                break
            vertices = np.stack(axes, axis=1).astype(np.float64) if axes else np.zeros((0, 3))  # [V, 3]
            colours = _colours(columns)  # [V, 3]
        elif element.name in ("face", "tristrips") and element.count:
            indices, lengths = _indices(element, columns)  # [N], [R]
            if element.name == "tristrips":
                indices = strip_triangles(indices, lengths, restart=-1).ravel()  # [N]
                lengths = np.full(len(indices) // 3, 3)  # [R]
            own = _colours(columns) if element.name == "face" else None  # [R, 3]
            labels.append(None if own is None else colour_labels(own))
            corners.append(indices)
            counts.append(lengths)
    if len(counts) == 1 and any(element.name == "range_grid" for element in elements):
        raise MeshError("its surface is a range grid, which is not read. Export it as polygons.")
    if vertices is None:
        raise MeshError("the vertices have no x, y and z. Export the mesh again.")
    joined, lengths = np.concatenate(corners), np.concatenate(counts)  # [C], [F]
    if len(labels) == 1 and labels[0] is not None:
        return Polygons(vertices, joined, lengths, labels[0])
    return Polygons(vertices, joined, lengths, None if colours is None else label_polygons(colours, joined, lengths))


def _colours(columns: Columns) -> np.ndarray | None:
    """Colours of vertices or faces; None where there are none. [N, 3]"""
    values = [columns[name][0] for name in COLOURS if name in columns and columns[name][1] is None]  # [N] each
    return np.stack(values, axis=1) if len(values) == len(COLOURS) else None


def _indices(element: Element, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Pick the vertex indices of all faces or strips [N], and how many each has [R]. Errors: MeshError without them."""
    for name in INDICES:
        values, lengths = columns.get(name, (None, None))
        if values is not None and lengths is not None:
            return values.astype(np.int64) if values.dtype.kind in "iu" else whole(values), lengths
    known = ", ".join(quoted(prop.name.encode()) for prop in element.properties)
    raise MeshError(f"its {element.name} element has no list vertex_indices, but {known:.200}. Export the mesh again.")


def _parse_header(data: bytes) -> tuple[bool, list[Element], bytes]:
    """Parse the header: True for text values, the elements, and the bytes of the values. Errors: MeshError."""
    end = HEADER_END.search(data)
    if end is None or data[:3] != b"ply":
        raise MeshError("not PLY, or its header is truncated. Export the mesh again.")
    # Where lines end in CR alone, a line feed behind the header is the first byte of the values.
    begin = end.start(1) + 1 if data[3:4] == b"\r" and data[3:5] != b"\r\n" else end.end()
    text, endian = None, "<"
    elements: list[Element] = []
    for line in data[: end.start()].decode("ascii", "replace").splitlines():
        match line.split():
            case ["format", kind, *_] if kind in ENDIANS:
                text, endian = kind == "ascii", ENDIANS[kind]
            case ["element", name, count] if count.isdecimal():
                elements.append(Element(name, int(count)))
            case ["property", "list", count, item, name] if elements and _is_whole(count) and item in TYPES:
                types = np.dtype(endian + TYPES[item]), np.dtype(endian + TYPES[count])
                elements[-1].properties.append(Property(name, *types))
            case ["property", item, name] if elements and item in TYPES:
                elements[-1].properties.append(Property(name, np.dtype(endian + TYPES[item])))
            case ["format" | "element" | "property", *_]:
                raise MeshError(
                    f"its header has a line that PLY does not know ({line.strip()[:80]!r}). Export it again."
                )
    if text is None:
        raise MeshError("its header names no format. Export the mesh again.")
    for element in elements:
        names = [prop.name for prop in element.properties]
        if len(set(names)) < len(names):
            raise MeshError(f"its header names a property of {element.name[:40]!r} twice. Export the mesh again.")
    return text, elements, data[begin:]


def _is_whole(kind: str) -> bool:
    return np.dtype(TYPES.get(kind, "f4")).kind in "iu"


def _text_columns(elements: list[Element], body: bytes) -> Iterator[tuple[Element, Columns]]:
    """Yield each element with its values, from text: one line an item, perhaps with values that the header lacks.

    Errors: MeshError where lines and elements do not fit.
    """
    rows, used = Rows(body), 0
    for element in elements:
        if not element.properties:
            continue
        if used + element.count > len(rows):
            asked = f"one line for each of its {element.count:,} elements {element.name[:40]!r}"
            raise MeshError(f"the file is truncated, or has not {asked}. Export the mesh again.")
        mine = slice(used, used + element.count)
        used += element.count
        at, ends = rows.starts[mine], rows.starts[mine] + rows.lengths[mine]  # [R], [R]
        columns: Columns = {}
        for prop in element.properties:
            lengths = np.ones(element.count, np.int64)  # [R]
            if prop.count_dtype is not None:
                lengths, at = whole(rows.at(np.minimum(at, ends - 1))), at + 1  # [R], [R]
            short = np.flatnonzero((lengths < 0) | (at + lengths > ends))  # [S]
            if short.size:
                row = rows.quoted(mine.start + short[0])
                raise MeshError(f"a line ends before the values of its {element.name[:40]!r} ({row}). Export it again.")
            if prop.name in WANTED:
                values = rows.at(at if prop.count_dtype is None else ranges(at, lengths))  # [N]
                columns[prop.name] = values, None if prop.count_dtype is None else lengths
            at = at + lengths  # [R]
        yield element, columns
    if used < len(rows):
        more = f"{len(rows) - used:,} lines are left over ({rows.quoted(used)})"
        raise MeshError(f"{more}: text PLY has one line for each element that the header counts. Export it again.")


def _binary_columns(elements: list[Element], body: bytes) -> Iterator[tuple[Element, Columns]]:
    """Yield each element with its values, from binary. Errors: MeshError where they do not end with the file."""
    offset = 0
    for element in elements:
        if not element.properties:
            continue
        columns, offset = _binary_element(element, body, offset)
        yield element, columns
    if body[offset:].strip():  # a line end does not hurt
        raise MeshError(f"{len(body) - offset:,} bytes are left over: the header is wrong. Export the mesh again.")


def _binary_element(element: Element, body: bytes, offset: int) -> tuple[Columns, int]:
    """Read the values of each property of an element, lists concatenated; also returns the offset behind them."""
    if element.count == 0:
        return {}, offset
    row = _row_dtype(element, body, offset)
    if offset + element.count * row.itemsize <= len(body):
        rows = np.frombuffer(body, row, element.count, offset)  # [N]
        lists = {p.name: rows[p.name + "#"] for p in element.properties if p.count_dtype}
        # Where every row's lists are as long as the first row's, one dtype fits all rows.
        if all((lengths == lengths[0]).all() for lengths in lists.values()):
            columns: Columns = {p.name: (rows[p.name].ravel(), None) for p in element.properties}  # [N * length] each
            for name, lengths in lists.items():
                columns[name] = columns[name][0], lengths.astype(np.int64)
            return columns, offset + rows.nbytes
    return _ragged_element(element, body, offset)


def _row_dtype(element: Element, body: bytes, offset: int) -> np.dtype:
    """Build the dtype of a row whose lists are as long as those of the first row."""
    fields: list[tuple] = []
    for prop in element.properties:
        if prop.count_dtype is None:
            fields.append((prop.name, prop.dtype))
        else:
            length = _list_length(body, prop.count_dtype, offset + np.dtype(fields).itemsize)
            fields += [(prop.name + "#", prop.count_dtype), (prop.name, prop.dtype, (length,))]
    return np.dtype(fields)


def _list_length(body: bytes, dtype: np.dtype, offset: int) -> int:
    if offset + dtype.itemsize > len(body):
        raise MeshError(CUT)
    length = int(np.frombuffer(body, dtype, 1, offset)[0])
    if not 0 <= length <= len(body) - offset:
        raise MeshError(CUT)
    return length


def _ragged_element(element: Element, body: bytes, offset: int) -> tuple[Columns, int]:
    """Read as _binary_element does, but row by row: for lists of different lengths, as of triangles and quads."""
    pieces: dict[str, list[bytes]] = {p.name: [] for p in element.properties}
    lengths: dict[str, list[int]] = {p.name: [] for p in element.properties if p.count_dtype}
    for _ in range(element.count):
        for prop in element.properties:
            length = 1
            if prop.count_dtype is not None:
                length = _list_length(body, prop.count_dtype, offset)
                offset += prop.count_dtype.itemsize
                lengths[prop.name].append(length)
            end = offset + length * prop.dtype.itemsize
            if end > len(body):
                raise MeshError(CUT)
            pieces[prop.name].append(body[offset:end])
            offset = end
    columns: Columns = {p.name: (np.frombuffer(b"".join(pieces[p.name]), p.dtype), None) for p in element.properties}
    for name, each in lengths.items():
        columns[name] = columns[name][0], np.array(each, np.int64)
    return columns, offset
