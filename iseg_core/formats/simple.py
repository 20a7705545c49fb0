"""OBJ, OFF and STL files: plain lists of corners (Wavefront, Geomview, 3D Systems)."""

import re
from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import MeshError
from .common import Polygons, both_labels, label_polygons
from .text import Rows, decoded, numbers, quoted, ranges, whole

COMMENT = re.compile(rb"#(?<!\.#)[^\r\n]*")  # 1.#INF is how Microsoft's C wrote infinity

# OBJ: a backslash at the end of a line continues it only where the next begins with a number, for names and comments
# may end in a backslash, too.
CONTINUED = re.compile(rb"\\(?:[ \t]*(?:\r\n|\n|\r))+(?=[ \t]*[-+.\d\\])")
DANGLING = re.compile(rb"\\(?=[ \t]*(?:[\r\n]|\Z))")
OBJ_FACES = (b"f", b"fo")  # fo: the keyword until 1995
OBJ_GLUED = re.compile(rb"[vf][-+.]?\d")  # a keyword without its space: what it says would be missing
OBJ_GROUPS = (b"o", b"g", b"usemtl")  # until the next of the same keyword
NUMERIC = b"+-.0123456789"

OFF_HEADER = re.compile(rb"\s*((?:ST|C|N)*)(4?)(n?)OFF(?![A-Za-z])\s*(BINARY\b)?")
OFF_WIDTHS = {b"N": 3, b"C": 4, b"S": 2}  # values behind x, y and z: normal, colour, texture (ST)

STL_HEAD = 84  # bytes: a title of 80 and the number of triangles
TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
# Text STL: a solid's name reaches to the end of the line, or into its first facet, and may hold any word.
STL_NAME = re.compile(rb"solid\b(?:[^\r\n]*?(?=\bloop[ \t]+vertex[ \t])|[^\r\n]*)")
STL_LOOP = re.compile(rb"loop" + rb"\s+vertex\s+(\S+)\s+(\S+)\s+(\S+)" * 3 + rb"\s+endloop")


def read_obj(data: bytes, _: Path) -> Polygons:
    """Read OBJ; the labels are of its objects, groups, materials and colours together. Errors: MeshError.

    Textures and normals are left aside: they do not change what a vertex is.
    """
    text = COMMENT.sub(b"", decoded(data))
    vertices: list[bytes] = []
    faces: list[bytes] = []
    known: list[int] = []
    said: dict[bytes, bytes] = {}
    numbered: dict[tuple[bytes | None, ...], int] = {}
    labels, label = [], -1  # of the faces so far, and of the next
    for line in DANGLING.sub(b"", CONTINUED.sub(b" ", text)).splitlines():
        fields = line.split(None, 1)
        if len(fields) < 2:
            continue
        if fields[0] == b"v":
            vertices.append(fields[1])
        elif fields[0] in OBJ_FACES:
            faces.append(fields[1])
            known.append(len(vertices))
            labels.append(label)
        elif fields[0] in OBJ_GROUPS:
            said[fields[0]] = fields[1].rstrip()
            label = numbered.setdefault(tuple(map(said.get, OBJ_GROUPS)), len(numbered))
        elif OBJ_GLUED.match(fields[0]):
            raise MeshError(f"{quoted(fields[0])} stands where a line's keyword should. Export the mesh again.")
        elif fields[0][0] in NUMERIC:
            raise MeshError(f"a line begins with a number ({quoted(line)}), which says nothing. Export the mesh again.")
    rows = Rows(b"\n".join(vertices))
    short = np.flatnonzero(rows.lengths < 3)  # [S]
    if short.size:
        raise MeshError(f"a vertex has fewer than three numbers ({rows.quoted(short[0])}). Export the mesh again.")
    polygons = Rows(b"\n".join(faces), b"/")
    indices = whole(polygons.at(np.arange(len(polygons.values))))  # [C]
    if (indices == 0).any():
        raise MeshError("a face names vertex 0, but OBJ counts from 1. Export the mesh again.")
    before = np.repeat(np.array(known, np.int64), polygons.lengths)  # [C] count of vertices above: -1 is the last
    corners = np.where(indices > 0, indices - 1, before + indices)  # [C]
    points = rows.at(rows.starts[:, None] + np.arange(3))  # [V, 3]
    said_labels = np.array(labels, np.int32) if numbered else None  # [F]
    if len(rows) and rows.lengths.min() >= 6:  # red, green and blue behind the place: a habit of many programs
        colours = rows.values[rows.starts[:, None] + np.arange(3, 6)]  # [V, 3]
        if not np.isnan(colours).any():
            said_labels = both_labels(said_labels, label_polygons(colours, corners, polygons.lengths))  # [F]
    return Polygons(points, corners, polygons.lengths, said_labels)


def read_off(data: bytes, _: Path) -> Polygons:
    """Read OFF, with or without its keyword, colours, normals and textures. Errors: MeshError.

    Its lines are one for each vertex and face, or have no meaning.
    """
    text = COMMENT.sub(b"", decoded(data))
    header = OFF_HEADER.match(text)
    if header is None and not re.match(rb"\s*\d", text):
        raise MeshError("not a text OFF file. Export the mesh as plain OFF.")
    if header and header[4]:
        raise MeshError("it is binary (OFF BINARY). Export the mesh as plain OFF, which is text.")
    if header and (header[2] or header[3]):
        kind = quoted(header[0].strip())
        raise MeshError(f"its vertices do not have three coordinates ({kind}). Export the mesh as plain OFF.")
    rows = Rows(text[header.end() :] if header else text)
    vertex_count, face_count = whole(rows.at(np.arange(2))).tolist() if len(rows.values) > 1 else (-1, -1)
    if min(vertex_count, face_count) < 0:
        raise MeshError("it does not say how many vertices and faces it has. Export the mesh again.")
    width = 3 + sum(OFF_WIDTHS[kind] * header[1].count(kind) for kind in OFF_WIDTHS) if header else 3
    is_rows = len(rows) == 1 + vertex_count + face_count and 2 <= rows.lengths[0] <= 3
    read = _off_rows(rows, vertex_count) if is_rows else _off_stream(rows, vertex_count, face_count, width)
    if read is None:
        counted = f"its header counts {vertex_count:,} vertices and {face_count:,} faces"
        raise MeshError(f"the file is truncated or damaged: {counted}, its rows do not fit. Export the mesh again.")
    return read


def _off_rows(rows: Rows, vertex_count: int) -> Polygons | None:
    """Read usual OFF, a row for the counts and one for each vertex and face; None where a row is too short.

    Further values in a row are a colour, a normal or texture coordinates, whether the header says so or not.
    """
    first, last = np.split(rows.starts[1:], [vertex_count])  # [V], [F]
    vertex_lengths, face_lengths = np.split(rows.lengths[1:], [vertex_count])  # [V], [F]
    counts = whole(rows.at(last))  # [F]
    if (vertex_lengths < 3).any() or (counts < 0).any() or (counts >= face_lengths).any():
        return None
    points = rows.at(first[:, None] + np.arange(3))  # [V, 3]
    return Polygons(points, whole(rows.at(ranges(last + 1, counts))), counts)


def _off_stream(rows: Rows, vertex_count: int, face_count: int, width: int) -> Polygons | None:
    """Read OFF whose lines mean nothing: `width` numbers a vertex, only corners a face; None where they do not fit."""
    values, at, starts = rows.values.tolist(), 3 + width * vertex_count, []
    while len(starts) < face_count and at < len(values) and 0 <= values[at] < len(values):
        starts.append(at)
        at += 1 + int(values[at])
    if len(starts) < face_count or at != len(values):
        return None
    begin = np.array(starts, np.int64)  # [F]
    counts = whole(rows.values[begin])  # [F]
    first = 3 + width * np.arange(vertex_count)  # [V]
    points = rows.at(first[:, None] + np.arange(3))  # [V, 3]
    return Polygons(points, whole(rows.at(ranges(begin + 1, counts))), counts)


def read_stl(data: bytes, _: Path) -> Polygons:
    """Read STL, binary or text; it has no shared vertices: each triangle has three of its own. Errors: MeshError."""
    text = decoded(data) if len(data) != STL_HEAD + TRIANGLE.itemsize * _stl_count(data) else b""
    is_text = text[:1000].lstrip()[:5].lower() == b"solid" and b"\0" not in text.rstrip(b"\0")
    vertices = _stl_text(text) if is_text else _stl_binary(data)  # [V, 3]
    return Polygons(vertices, np.arange(len(vertices)), np.full(len(vertices) // 3, 3))


def _stl_count(data: bytes) -> int:
    return int.from_bytes(data[80:STL_HEAD], "little")


def _stl_text(text: bytes) -> np.ndarray:
    """Read the corners of the triangles of text STL. [V, 3] float64"""
    text = text.lower()
    last = max((name.start() for name in STL_NAME.finditer(text)), default=0)
    if not text[:last].rstrip().endswith(b"end"):
        raise MeshError("truncated, damaged or not STL: its last solid has no end. Export the mesh again.")
    text = STL_NAME.sub(b" ", text)
    loops = STL_LOOP.findall(text)
    if not 3 * len(loops) == text.count(b"vertex") == 3 * text.count(b"endloop"):
        shape = "'loop', three times 'vertex x y z', 'endloop'"
        raise MeshError(f"a facet is not as STL has it: {shape}. Export the mesh again.")
    return numbers(list(chain.from_iterable(loops))).reshape(-1, 3)  # [V, 3]


def _stl_binary(data: bytes) -> np.ndarray:
    """Read the corners of the triangles of binary STL. [V, 3] float64"""
    size, count = TRIANGLE.itemsize, _stl_count(data)
    if len(data) < STL_HEAD:
        raise MeshError("truncated, damaged or not STL. Export the mesh again.")
    held, over = divmod(len(data) - STL_HEAD, size)
    rest = data[STL_HEAD + size * count :].strip(b"\0")  # zeros fill a block of the disk
    if count == 0 or count > held or (rest and over == 0):
        said = f"its header counts {count:,} triangles, and {held:,} would fit"
        raise MeshError(f"truncated, damaged or not STL: {said}. Export the mesh again.")
    starts = _stl_payloads(data, count) if rest else None
    if starts is not None:
        data = b"".join([data[:STL_HEAD], *(data[at : at + size] for at in starts)])
    triangles = np.frombuffer(data, TRIANGLE, count, STL_HEAD)  # [F]
    if rest and starts is None and triangles["attribute"].any():  # may be lengths of data behind triangles
        raise MeshError(f"truncated, damaged or not STL: {len(rest):,} bytes are left over. Export the mesh again.")
    return triangles["corners"].reshape(-1, 3).astype(np.float64)  # [V, 3]


def _stl_payloads(data: bytes, count: int) -> list[int] | None:
    """Find the offset of each triangle, in bytes, where attributes are lengths of data that follow the triangles.

    None where these do not end with the file: most writers keep a colour in the attribute.
    """
    starts, at = [], STL_HEAD
    for _ in range(count):
        starts.append(at)
        at += TRIANGLE.itemsize
        if at > len(data):
            return None
        at += int.from_bytes(data[at - 2 : at], "little")
    return starts if at == len(data) else None
