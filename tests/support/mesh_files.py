"""Mesh files of every format, written by hand."""

import base64
import json
import struct
from typing import Any

import numpy as np
import trimesh


def exported(mesh: trimesh.Trimesh, kind: str) -> bytes:
    content = mesh.export(file_type=kind)
    assert not isinstance(content, dict)
    return content.encode() if isinstance(content, str) else content


SEAMS = """mtllib missing.mtl
o first
v 0 0 0 1.0 0.5 0.5
v 1 0 0 1.0 0.5 0.5
v 1 1 0 1.0 0.5 0.5
v 0 1 0 1.0 0.5 0.5
v 7 7 7 1.0 0.5 0.5
vt 0 0
vt 1 0
vt 1 1
vt 0.5 0.5
vn 0 0 1
vn 0 0 -1
usemtl red
f 1/1/1 2/2/1 3/3/1
usemtl blue
f 1/4/2 3/3/2 4/1/2
l 1 2
o second  # comments, relative indices, a quad over two lines
v 0 0 1
v 1 0 1
v 1 1 1
v 0 1 1
f -4//1 -3//1 \\
 -2//1 -1//1
f 6 7 8 9 1
"""


def ply_file(kind: str, rows: list[list[int]], texture: bool = False) -> bytes:
    """Five vertices with a normal and a colour, an element in between, and polygons, in each of PLY's formats."""
    endian = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[kind]
    coordinates = [(k, k * k, 7 - k) for k in range(5)]
    head = [
        *("ply", f"format {kind} 1.0", "comment made by hand", "element vertex 5"),
        *(f"property float {p}" for p in ("nx", "x", "y", "z")),
        *("property uchar red", "element camera 2", "property double f"),
        *(f"element face {len(rows)}", "property uchar flags", "property list uchar int vertex_indices"),
        *(["property list uchar float texcoord"] if texture else []),
        "end_header\n",
    ]
    if not endian:
        lines = [f"0.5 {x} {y} {z} 200" for x, y, z in coordinates] + ["1.5", "2.5"]
        for row in rows:
            uv = f" {2 * len(row)} " + " ".join(["0.25"] * 2 * len(row)) if texture else ""
            lines.append(f"1 {len(row)} {' '.join(map(str, row))}{uv}")
        return "\n".join([*head[:-1], head[-1] + lines[0], *lines[1:]]).encode() + b"\n"
    body = b"".join(struct.pack(endian + "4fB", 0.5, *p, 200) for p in coordinates) + struct.pack(
        endian + "2d", 1.5, 2.5
    )
    for row in rows:
        body += struct.pack(f"{endian}BB{len(row)}i", 1, len(row), *row)
        if texture:
            body += struct.pack(f"{endian}B{2 * len(row)}f", 2 * len(row), *[0.25 * k for k in range(2 * len(row))])
    return "\n".join(head).encode() + body


class Gltf:
    """A glTF file put together by hand: `add` returns an accessor's index, `header` takes the rest."""

    def __init__(self):
        self.data, self.views, self.accessors = b"", [], []

    def view(self, array: np.ndarray, **more) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes, **more})
        self.data += array.tobytes() + bytes(-array.nbytes % 4)
        return len(self.views) - 1

    def add(self, array: np.ndarray, **more) -> int:
        codes = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
        kinds = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
        info = {"componentType": codes[array.dtype.name], "count": len(array), "type": kinds[array[0].size]}
        self.accessors.append({"bufferView": self.view(array), **info, **more})
        return len(self.accessors) - 1

    def text(self, uri: str | None = "inline", **header: Any) -> bytes:
        inline = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        buffer = {"byteLength": len(self.data)} | ({"uri": inline if uri == "inline" else uri} if uri else {})
        shared = {"asset": {"version": "2.0"}, "bufferViews": self.views, "accessors": self.accessors}
        return json.dumps(shared | {"buffers": [buffer]} | header).encode()

    def glb(self, **header: Any) -> bytes:
        text = self.text(None, **header)
        text += b" " * (-len(text) % 4)
        chunks = (
            struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(self.data), 0x4E4942) + self.data
        )
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)


def primitive(position: int, indices: int | None = None, **more) -> dict:
    return {"attributes": {"POSITION": position}, **({} if indices is None else {"indices": indices}), **more}


def good_files() -> dict[str, bytes]:
    gltf = Gltf()
    header = {"meshes": [{"primitives": [primitive(gltf.add(CORNERS), mode=6)]}], "nodes": [{"mesh": 0}]}
    sparse = Gltf()
    given = sparse.view(CORNERS[1:3], byteStride=12)
    where = {"bufferView": sparse.view(np.array([1, 2], np.uint8)), "componentType": 5121}
    pulled = {"count": 2, "indices": where, "values": {"bufferView": given}}
    sparse.accessors = [{"componentType": 5126, "count": 3, "type": "VEC3", "sparse": pulled}]  # all else is zero
    twice = {"meshes": [{"primitives": [primitive(0)]}], "nodes": [{"mesh": 0, "children": [1]}, {"mesh": 0}]}
    box = trimesh.creation.box()
    instances = Gltf()
    places = {"extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": instances.add(CORNERS)}}}}
    copies = {"meshes": [{"primitives": [primitive(0, mode=5)]}], "nodes": [{"mesh": 0, **places}]}
    strips = ply_file("ascii", [[0, 1, 2, 3, -1, 1, 2, 4]]).replace(b"element face", b"element tristrips")
    off = exported(box, "off")
    record = np.frombuffer(exported(box, "stl"), np.uint8, offset=84).reshape(-1, 50).copy()  # [F, 50]
    record[:, 48] = 2  # bytes that follow each triangle
    payloads = exported(box, "stl")[:84] + np.concatenate([record, record[:, :2] + 7], axis=1).tobytes()
    return {
        "a.obj": SEAMS.encode(),
        "a.off": exported(box, "off"),
        "a.ply": ply_file("binary_little_endian", [[0, 1, 2, 3], [4, 1, 2]]),
        "b.ply": ply_file("ascii", [[0, 1, 2, 3], [4, 1, 2]]),
        "a.stl": exported(box, "stl"),
        "b.stl": exported(box, "stl_ascii"),
        "a.gltf": gltf.text(**header),
        "b.gltf": sparse.text(**twice),
        "a.glb": gltf.glb(**header),
        "b.obj": SEAMS.encode("utf-16"),
        "b.off": off.replace(b"\n", b" "),
        "c.ply": strips,
        "c.stl": payloads,
        "c.gltf": instances.text(**copies),
    }
