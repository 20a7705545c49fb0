"""Any mesh, written by tiny writers in any of the layouts that a format allows, is read back equal."""

import struct
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.mesh_files import Gltf, primitive

from iseg_core.formats.load import read

Polygon = list[int]

coordinates = st.floats(-1e6, 1e6, width=32)
ends = st.sampled_from(["\n", "\r\n", "\r"])
encodings = st.sampled_from(["ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
gaps = st.sampled_from([" ", "  ", "\t"])


@st.composite
def meshes(draw, corners: int = 5) -> tuple[np.ndarray, list[Polygon]]:
    """Vertices [V, 3] float32 and polygons of up to so many corners."""
    rows = draw(st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=3, max_size=8))
    polygon = st.lists(st.integers(0, len(rows) - 1), min_size=3, max_size=corners)
    return np.array(rows, np.float32), draw(st.lists(polygon, min_size=1, max_size=6))


def assert_equal(path: Path, content: bytes, vertices: np.ndarray, polygons: list[Polygon]) -> None:
    path.write_bytes(content)
    got, corners, counts, _ = read(path)
    np.testing.assert_array_equal(got, vertices.astype(np.float64))
    np.testing.assert_array_equal(corners, np.concatenate(polygons))
    np.testing.assert_array_equal(counts, [len(polygon) for polygon in polygons])


def numbers(values) -> list[str]:
    return [repr(float(value)) for value in values]


@given(data=st.data(), mesh=meshes())
def test_obj(tmp_path_factory, data, mesh):
    vertices, polygons = mesh
    gap, end, order = data.draw(gaps), data.draw(ends), data.draw(st.sampled_from(["above", "below", "relative"]))
    wrap = data.draw(st.sampled_from(["", f"\\{end}", f"\\ {end} "]))
    behind = data.draw(st.sampled_from(["", "/1", "//2", "/1/2"]))
    extra = data.draw(st.sampled_from(["", " 1.0", " 0.5 0.5 0.5"]))
    first = -len(vertices) if order == "relative" else 1
    rows = [gap.join(["v", *numbers(vertex)]) + extra for vertex in vertices]
    faces = [(gap + wrap).join(["f", *(f"{k + first}{behind}" for k in polygon)]) for polygon in polygons]
    body = [*faces, *rows] if order == "above" else [*rows, "usemtl red", *faces]
    content = end.join(["# made here", *body, ""]).encode(data.draw(encodings))
    assert_equal(tmp_path_factory.mktemp("obj") / "a.obj", content, vertices, polygons)


@given(data=st.data(), mesh=meshes())
def test_off(tmp_path_factory, data, mesh):
    vertices, polygons = mesh
    kind = data.draw(st.sampled_from(["", "OFF", "COFF", "NOFF", "STCNOFF"]))
    width = 3 * ("N" in kind) + 4 * ("C" in kind) + 2 * ("ST" in kind)
    rows = [[*numbers(vertex), *["0.5"] * width] for vertex in vertices]
    faces = [[str(len(polygon)), *map(str, polygon)] for polygon in polygons]
    lines = [[kind], [str(len(rows)), str(len(faces)), "0"], *rows, *faces]
    by_lines = data.draw(st.booleans())
    gap, end = data.draw(gaps), data.draw(ends)
    if by_lines:
        extra = data.draw(st.sampled_from([[], ["255", "0", "0"]]))
        text = end.join(gap.join(line + (extra if k > 1 else [])) for k, line in enumerate(lines))
    else:
        text = data.draw(st.sampled_from([gap, end])).join(word for line in lines for word in line)
    content = text.encode(data.draw(encodings))
    assert_equal(tmp_path_factory.mktemp("off") / "a.off", content, vertices, polygons)


PLY_CODES = {"uchar": "B", "short": "h", "ushort": "H", "int": "i", "uint": "I"}


@given(data=st.data(), mesh=meshes())
def test_ply(tmp_path_factory, data, mesh):
    vertices, polygons = mesh
    kind = data.draw(st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]))
    end, count, index = (
        data.draw(ends),
        data.draw(st.sampled_from([*PLY_CODES])),
        data.draw(st.sampled_from([*PLY_CODES])),
    )
    colour, flags, faces_first = (data.draw(st.booleans()) for _ in range(3))
    vertex = [f"element vertex {len(vertices)}", *(f"property float {axis}" for axis in "xyz")]
    vertex += ["property uchar red"] * colour
    face = [
        f"element face {len(polygons)}",
        f"property list {count} {index} vertex_indices",
        *["property short f"] * flags,
    ]
    elements = [*face, *vertex] if faces_first else [*vertex, *face]
    head = end.join(["ply", f"format {kind} 1.0", *elements, "end_header", ""])
    if kind == "ascii":
        gap = data.draw(gaps)
        rows = [gap.join([*numbers(vertex), *["7"] * colour]) for vertex in vertices]
        lists = [gap.join(map(str, [len(polygon), *polygon, *[7] * flags])) for polygon in polygons]
        lines = [*lists, *rows] if faces_first else [*rows, *lists]
        content = (head + end.join([*lines, ""])).encode(data.draw(encodings))
    else:
        endian = "<" if "little" in kind else ">"
        rows = [struct.pack(endian + "3f", *vertex) + b"\7" * colour for vertex in vertices]
        lists = [
            struct.pack(f"{endian}{PLY_CODES[count]}{len(polygon)}{PLY_CODES[index]}{'h' * flags}", *all_)
            for polygon in polygons
            for all_ in [[len(polygon), *polygon, *[7] * flags]]
        ]
        content = head.encode() + b"".join([*lists, *rows] if faces_first else [*rows, *lists])
    assert_equal(tmp_path_factory.mktemp("ply") / "a.ply", content, vertices, polygons)


@given(
    data=st.data(), mesh=meshes(corners=3), name=st.text(st.characters(codec="latin-1", exclude_characters="\0\r\n"))
)
def test_stl(tmp_path_factory, data, mesh, name):
    vertices, polygons = mesh
    corners = vertices[np.concatenate(polygons)]  # [C, 3]
    path, order = tmp_path_factory.mktemp("stl") / "a.stl", np.arange(len(corners)).reshape(-1, 3).tolist()
    end, encoding = data.draw(ends), data.draw(st.sampled_from(["latin-1", "utf-8-sig", "utf-16"]))
    rows = ["vertex " + " ".join(numbers(corner)) for corner in corners]
    facets = [
        end.join(["facet normal 0 0 1", "outer loop", *(rows[k] for k in three), "endloop", "endfacet"])
        for three in order
    ]
    text = end.join([f"solid {name}", *facets, f"endsolid {name}"])
    assert_equal(path, text.encode(encoding), corners, order)
    payload = data.draw(st.binary(max_size=3))
    binary = f"solid {name}".encode()[:80].ljust(80) + struct.pack("<I", len(order))
    for three in order:
        binary += struct.pack("<12fH", 0, 0, 1, *corners[three].ravel(), len(payload)) + payload
    assert_equal(path, binary + (b"" if payload else bytes(data.draw(st.integers(0, 200)))), corners, order)


@given(data=st.data(), mesh=meshes(corners=3))
def test_gltf(tmp_path_factory, data, mesh):
    vertices, polygons = mesh
    gltf = Gltf()
    before, behind = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))  # floats between the rows
    rows = np.full((len(vertices), before + 3 + behind), 9, np.float32)  # [V, 3 and more]
    sparse = data.draw(st.booleans())
    rows[: len(rows) - sparse, before : before + 3] = vertices[: len(rows) - sparse]
    stride = (
        {"byteStride": rows.itemsize * rows.shape[1]}
        if before + behind
        else data.draw(st.sampled_from([{}, {"byteStride": 0}]))
    )
    position = {"componentType": 5126, "count": len(vertices), "type": "VEC3"}
    gltf.accessors.append(position | {"bufferView": gltf.view(rows, **stride), "byteOffset": 4 * before})
    if sparse:  # the last row comes from elsewhere
        gltf.accessors[0]["sparse"] = {
            "count": 1,
            "indices": {"bufferView": gltf.view(np.array([len(vertices) - 1], np.uint8)), "componentType": 5121},
            "values": {"bufferView": gltf.view(vertices[-1:])},
        }
    corners = np.concatenate(polygons).astype(data.draw(st.sampled_from([np.uint8, np.uint16, np.uint32])))
    cut = 3 * data.draw(st.integers(0, len(polygons) - 1))
    parts = [primitive(0, gltf.add(part)) for part in np.split(corners, [cut]) if len(part)]
    header = {"meshes": [{"primitives": parts}], "nodes": [{"mesh": 0}]}
    content = gltf.glb(**header) if data.draw(st.booleans()) else gltf.text(**header)
    assert_equal(tmp_path_factory.mktemp("gltf") / "a.gltf", content, vertices, polygons)
