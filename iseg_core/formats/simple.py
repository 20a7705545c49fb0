"""TODO iseg_core/formats/simple.py"""

import re
from pathlib import Path

import numpy as np

from ..errors import MeshError
from .common import Polygons


def read_obj(data: bytes, _: Path) -> Polygons:
    """Records v and f only: objects, groups, materials, textures and normals do not change what a vertex is."""
    coordinates: list[list[bytes]] = []
    corners: list[int] = []
    counts: list[int] = []
    for line in data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines():
        fields = line.partition(b"#")[0].split()
        if not fields:
            continue
        if fields[0] == b"v":
            coordinates.append(fields[1:4])
        elif fields[0] == b"f":
            known = len(coordinates)
            indices = [int(field.partition(b"/")[0]) for field in fields[1:]]
            if 0 in indices:
                raise MeshError("a face names vertex 0, but OBJ counts from 1. Export the mesh again.")
            corners += [i - 1 if i > 0 else known + i for i in indices]  # below zero: counted back from here
            counts.append(len(indices))
    return _floats(coordinates), np.array(corners, np.int64), np.array(counts, np.int64)


def read_off(data: bytes, _: Path) -> Polygons:
    """OFF with or without colours and normals (COFF, NOFF, STOFF); one vertex or face a line."""
    lines = [line for line in (raw.partition(b"#")[0].strip() for raw in data.splitlines()) if line]
    header = re.match(rb"(ST)?C?N?OFF", lines[0])
    if header is None or b"BINARY" in lines[0]:
        raise MeshError("not a text OFF file. Export the mesh as plain OFF.")
    counts_line = lines[0][header.end() :].strip()  # some writers put the counts right behind the word
    body = lines[1:] if counts_line else lines[2:]
    vertex_count, face_count = (int(n) for n in (counts_line or lines[1]).split()[:2])
    if len(body) < vertex_count + face_count:
        raise MeshError("the file is truncated. Export the mesh again.")
    vertices = _floats([line.split()[:3] for line in body[:vertex_count]])  # [V, 3]
    corners: list[int] = []
    counts: list[int] = []
    for line in body[vertex_count : vertex_count + face_count]:
        fields = line.split()
        count = int(fields[0])
        counts.append(count)
        corners += map(int, fields[1 : count + 1])  # what follows is a colour
    return vertices, np.array(corners, np.int64), np.array(counts, np.int64)


def read_stl(data: bytes, _: Path) -> Polygons:
    """Binary or text; STL knows no shared vertices, so every triangle has its own three."""
    count = int.from_bytes(data[80:84], "little")
    if len(data) == 84 + 50 * count:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        vertices = np.frombuffer(data, record, count, 84)["corners"].reshape(-1, 3).astype(np.float64)  # [V, 3]
    elif data.lstrip()[:5].lower() == b"solid" and b"endsolid" in data.lower():
        vertices = _floats([text.split(None, 3)[:3] for text in re.split(rb"(?i)\bvertex\b", data)[1:]])  # [V, 3]
    else:
        raise MeshError("truncated, damaged or not STL. Export the mesh again.")
    return vertices, np.arange(len(vertices)), np.full(len(vertices) // 3, 3)


def _floats(rows: list[list[bytes]]) -> np.ndarray:
    return np.array(rows, dtype=np.float64).reshape(len(rows), 3)  # [V, 3]
