"""Meshes: what is refused and with which words, what is tolerated, and files read vertex by vertex."""

import base64
import json
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from iseg_core.errors import MeshError
from iseg_core.mesh import Mesh, as_mesh, check, equal_rows, load_mesh, weld
from iseg_core.polygons import LARGEST, clip_ears, triangulate

TRIANGLE = ([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])


def area_of(vertices: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def exported(mesh: trimesh.Trimesh, kind: str) -> bytes:
    content = mesh.export(file_type=kind)
    assert not isinstance(content, dict)
    return content.encode() if isinstance(content, str) else content


# ---- check: what is refused ----


@pytest.mark.parametrize(
    ("vertices", "faces", "words"),
    [
        ([], [], "empty"),
        (np.zeros((0, 3)), TRIANGLE[1], "empty"),
        (TRIANGLE[0], [], "no faces"),
        (TRIANGLE[0], np.zeros((0, 3), int), "no faces"),
        (TRIANGLE[0], [[0, 1], [1, 2]], "shape"),
        ([[0, 0, 0], [1, 0, np.nan], [0, 1, 0]], TRIANGLE[1], r"1 of 3 vertices have NaN or infinite.*first: 1"),
        ([[0, 0, 0], [1, 0, 0], [0, np.inf, 0]], TRIANGLE[1], "NaN or infinite"),
        ([*TRIANGLE[0], [np.nan] * 3], TRIANGLE[1], "NaN or infinite"),
        (TRIANGLE[0], [[0, 1, 3]], "names vertex 3, but the vertices are 0 to 2"),
        (TRIANGLE[0], [[0, 1, -1]], "names vertex -1"),
        (TRIANGLE[0], [[0, 1, 2**40]], "names vertex 1099511627776"),
        (TRIANGLE[0], [[0, 1, 2], [0, 1, 2, 7]], "names vertex 7"),
        ([[0, 0], [1, 0], [0, 1]], TRIANGLE[1], "shape"),
        (np.zeros(9), TRIANGLE[1], "shape"),
        ([[0, 0, 0], [1, 0]], TRIANGLE[1], "not numbers"),
        ([["a", "b", "c"]] * 3, TRIANGLE[1], "not numbers"),
        (None, TRIANGLE[1], "not numbers"),
        (np.array(TRIANGLE[0], complex), TRIANGLE[1], "not numbers"),
        (TRIANGLE[0], [[0.0, 1.0, 2.0]], "not integers"),
        (TRIANGLE[0], [[True, False, True]], "not integers"),
        (TRIANGLE[0], [0, 1, 2], "shape"),
        (TRIANGLE[0], None, "shape"),
        (TRIANGLE[0], [[[0, 1, 2]], [0, 1, 2]], "not lists"),
        ([[1, 1, 1]] * 3, TRIANGLE[1], "equal"),
        ([[0, 0, 0], [1, 1, 1], [2, 2, 2]], TRIANGLE[1], "zero area"),
        ([[0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.6, 0.9]], TRIANGLE[1], "zero area"),
        (np.array([[0, 0, 0], [0.1, 0.2, 0.3], [0.3, 0.6, 0.9]]) + 1e6, TRIANGLE[1], "zero area"),
        (TRIANGLE[0], [[0, 1, 1]], "zero area"),
        (np.array(TRIANGLE[0]) * 1e200, TRIANGLE[1], "Scale the mesh down"),
        (np.array(TRIANGLE[0]) * 1e-200, TRIANGLE[1], "Scale it up"),
    ],
)
def test_bad_meshes_are_refused_with_the_defect_and_the_remedy(vertices, faces, words):
    with pytest.raises(MeshError, match=words) as caught:
        check(vertices, faces)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value).count(".") >= 2  # a sentence for the defect, one for the remedy


# ---- check: what is tolerated ----


def test_the_arrays_are_copied_and_kept_as_they_are():
    vertices, faces = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32), np.array([[4, 2, 1], [1, 2, 0]])
    mesh = check(vertices, faces)
    assert mesh.vertices.dtype == np.float64 and mesh.faces.dtype == np.int32
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)
    vertices[:] = 0
    assert mesh.vertices.any()


TOLERATED = {
    "one face": TRIANGLE,
    "non-manifold edge": ([*TRIANGLE[0], [0, 0, 1], [0, 0, -1]], [[0, 1, 2], [0, 1, 3], [0, 1, 4]]),
    "duplicate faces": (TRIANGLE[0], [[0, 1, 2], [0, 1, 2], [2, 1, 0]]),
    "degenerate face": (TRIANGLE[0], [[0, 1, 2], [0, 0, 1], [2, 2, 2]]),
    "isolated vertices": ([[9, 9, 9], *TRIANGLE[0], [-9, 9, 9]], [[1, 2, 3]]),
    "shells": ([*TRIANGLE[0], [5, 5, 5], [6, 5, 5], [5, 6, 5]], [[0, 1, 2], [3, 4, 5]]),
    "seam": ([*TRIANGLE[0], [0, 0, 0], [0, 1, 0], [-1, 0, 0]], [[0, 1, 2], [3, 4, 5]]),
    "unsigned indices": (TRIANGLE[0], np.array(TRIANGLE[1], np.uint64)),
    "integer coordinates": (np.array(TRIANGLE[0], int), TRIANGLE[1]),
}


@pytest.mark.parametrize("name", TOLERATED)
@pytest.mark.parametrize(("size", "offset"), [(1, 0), (1e-6, 0), (1e6, 0), (1, 1e6), (1e-6, 1)])
def test_odd_meshes_are_tolerated_at_every_size_and_place(name, size, offset):
    vertices, faces = TOLERATED[name]
    vertices = np.array(vertices) * size + offset
    mesh = check(vertices, faces)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.faces, faces)


# ---- polygons ----


def test_polygons_of_all_kinds_become_triangles_in_their_order():
    ring = np.stack([np.cos(np.arange(6)), np.sin(np.arange(6)), np.zeros(6)], axis=1)
    mesh = check(ring, [[0, 1, 2], [0, 1, 2, 3], [0, 1], [0, 1, 2, 3, 4, 5]])
    assert len(mesh.faces) == 1 + 2 + 4
    np.testing.assert_array_equal(mesh.faces[0], [0, 1, 2])
    assert set(mesh.faces[1:3].ravel()) == {0, 1, 2, 3}
    quads = check(ring, np.array([[0, 1, 2, 3], [2, 3, 4, 5]]))
    assert len(quads.faces) == 4


@given(st.integers(4, 12), st.integers(0, 10_000))
def test_triangles_of_a_concave_polygon_cover_it_once(corners, seed):
    """A polygon that is star-shaped around the origin, in any plane: areas add up, and no triangle is turned over."""
    random = np.random.default_rng(seed)
    angle = 2 * np.pi * (np.arange(corners) + random.uniform(0.1, 0.9, corners)) / corners
    flat = random.uniform(0.1, 1, corners)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    plane = np.linalg.qr(random.normal(size=(3, 3)))[0][:, :2]
    points = flat @ plane.T
    faces = triangulate(points, np.arange(corners), np.array([corners]))
    following = np.roll(flat, -1, axis=0)
    expected = (flat[:, 0] * following[:, 1] - flat[:, 1] * following[:, 0]).sum() / 2
    a, b, c = (flat[faces[:, k]] for k in range(3))
    signed = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert len(faces) == corners - 2
    if expected > 1e-3:  # a star whose corners span less than half a turn may cross itself
        assert signed.sum() == pytest.approx(expected, rel=1e-9)
        assert signed.min() > -1e-9


def test_a_polygon_with_two_reflex_corners_needs_ears():
    comb = np.array([[0, 0], [6, 0], [6, 3], [5, 3], [5, 1], [4, 1], [4, 3], [3, 3], [3, 1], [1, 1], [1, 3], [0, 3]])
    points = np.column_stack([comb, np.zeros(len(comb))]).astype(float)
    faces = triangulate(points, np.arange(len(comb)), np.array([len(comb)]))
    assert area_of(points, faces) == pytest.approx(3 * 2 + 6 * 1)
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_a_polygon_that_crosses_itself_still_gives_triangles():
    star = np.array([[np.cos(4 * np.pi * k / 5), np.sin(4 * np.pi * k / 5), 0] for k in range(5)])
    assert clip_ears(star).shape == (3, 3)
    assert clip_ears(np.zeros((5, 3))).shape == (3, 3)


def outline(kind: str, corners: int) -> np.ndarray:
    """Polygons that do not cross themselves, every other corner of which is reflex or nearly. [corners, 3]"""
    angle = 2 * np.pi * np.arange(corners) / corners
    if kind == "gear":
        radius = 1 + 0.1 * (np.arange(corners) // 2 % 2)
    elif kind == "star":
        radius = np.random.default_rng(0).uniform(0.1, 1, corners)
    else:  # a spiral, outwards and back
        angle = np.concatenate([np.linspace(7, 40, corners // 2), np.linspace(40, 7, corners // 2)])
        radius = angle + np.repeat([1, -1], corners // 2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)


def tangle(corners: int) -> np.ndarray:
    """A polygon that crosses itself everywhere. [corners, 3]"""
    return np.random.default_rng(0).normal(size=(corners, 3)) * [1, 1, 0]


@pytest.mark.parametrize("kind", ["gear", "star", "spiral"])
def test_a_concave_polygon_of_thousands_of_corners_is_cut_soon(kind):
    points = outline(kind, 2000)
    began = time.process_time()
    faces = triangulate(points, np.arange(2000), np.array([2000]))
    assert time.process_time() - began < 5  # 0.2 s on an idle machine
    a, b, c = (points[faces[:, k]] for k in range(3))
    doubled = np.cross(b - a, c - a)[:, 2]  # [T]
    x, y, _ = points.T
    assert len(faces) == 1998 and (doubled > 0).all()
    assert doubled.sum() == pytest.approx((x * np.roll(y, -1) - np.roll(x, -1) * y).sum(), rel=1e-9)


@pytest.mark.parametrize("corners", [2000, LARGEST + 1, 100_000])
def test_a_polygon_that_crosses_itself_everywhere_takes_no_longer(corners):
    began = time.process_time()
    faces = triangulate(tangle(corners), np.arange(corners), np.array([corners]))
    assert time.process_time() - began < 5  # 0.2 s on an idle machine
    assert faces.shape == (corners - 2, 3) and len(np.unique(faces)) == corners


# ---- weld and hashes ----


def test_welding_is_by_exact_position_and_zero_has_no_sign():
    vertices = np.array([[1, 2, 3], [0.0, 0, 0], [1, 2, 3], [-0.0, 0, -0.0], [1, 2, 3 + 1e-15]])
    np.testing.assert_array_equal(weld(vertices), [0, 1, 0, 1, 2])


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(0, 30), st.just(3)), elements=st.sampled_from([-0.0, 0.0, 1.0, 2.5]))
)
def test_equal_rows_are_those_that_are_equal(rows):
    ids, first = equal_rows(rows)
    for i in range(len(rows)):
        np.testing.assert_array_equal(ids == ids[i], (rows == rows[i]).all(axis=1))
        assert first[ids[i]] == np.flatnonzero(ids == ids[i])[0]
    np.testing.assert_array_equal(first, np.sort(first))


def test_the_hash_follows_the_geometry_and_the_topology_hash_only_the_faces():
    mesh = check(*TRIANGLE)
    moved = check(np.array(TRIANGLE[0]) * 2, TRIANGLE[1])
    turned = check(TRIANGLE[0], [[1, 2, 0]])
    more = check([*TRIANGLE[0], [7, 7, 7]], TRIANGLE[1])
    assert mesh.hash == check(*TRIANGLE).hash
    assert len({mesh.hash, moved.hash, turned.hash, more.hash}) == 4
    assert mesh.topology_hash == moved.topology_hash
    assert len({mesh.topology_hash, turned.topology_hash, more.topology_hash}) == 3


def test_as_mesh_takes_meshes_paths_and_pairs(tmp_path):
    mesh = check(*TRIANGLE)
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert as_mesh(mesh) is mesh
    assert as_mesh(path).hash == as_mesh(str(path)).hash == as_mesh(TRIANGLE).hash == mesh.hash
    with pytest.raises(MeshError, match="int is not a mesh"):
        as_mesh(3)


# ---- files ----

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


def test_obj_keeps_every_vertex_whatever_the_seams_objects_and_materials(tmp_path):
    (tmp_path / "a.OBJ").write_text(SEAMS.replace("\n", "\r\n"))
    mesh = load_mesh(tmp_path / "a.OBJ")
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(mesh.vertices, [*square, [7, 7, 7], *(square + [0, 0, 1])])
    np.testing.assert_array_equal(mesh.faces[:4], [[0, 1, 2], [0, 2, 3], [5, 6, 7], [5, 7, 8]])
    assert len(mesh.faces) == 7


@pytest.mark.parametrize("header", ["OFF\n# a comment\n5 3 0", "OFF 5 3 0", "OFF5 3 0", "COFF\n5 3 0"])
def test_off_keeps_every_vertex(tmp_path, header):
    colour = " 255 0 0 255" if header.startswith("C") else ""
    rows = [f"{x} {x * x} {7 - x}{colour}" for x in range(5)]
    faces = ["3 0 1 2  0.5 0.5 0.5", "4 0 1 2 3", "3 4 1 0"]
    (tmp_path / "a.off").write_text("\n".join([header, *rows, "", *faces]))
    mesh = load_mesh(tmp_path / "a.off")
    np.testing.assert_array_equal(mesh.vertices, [[x, x * x, 7 - x] for x in range(5)])
    assert len(mesh.faces) == 4
    np.testing.assert_array_equal(mesh.faces[[0, 3]], [[0, 1, 2], [4, 1, 0]])


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


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("texture", [False, True])
@pytest.mark.parametrize("rows", [[[0, 1, 2], [2, 3, 0]], [[0, 1, 2, 3], [4, 1, 2]], [[4, 0, 1], [0, 1, 2, 3]]])
def test_ply_keeps_every_vertex_in_every_format(tmp_path, kind, texture, rows):
    (tmp_path / "a.ply").write_bytes(ply_file(kind, rows, texture))
    mesh = load_mesh(tmp_path / "a.ply")
    np.testing.assert_array_equal(mesh.vertices, [[k, k * k, 7 - k] for k in range(5)])
    np.testing.assert_array_equal(mesh.faces, check(mesh.vertices, rows).faces)


@pytest.mark.parametrize("kind", ["stl", "stl_ascii"])
def test_stl_gives_three_vertices_a_triangle(tmp_path, kind):
    box = trimesh.creation.box((1, 2, 3))
    (tmp_path / "a.stl").write_bytes(exported(box, kind))
    mesh = load_mesh(tmp_path / "a.stl")
    np.testing.assert_allclose(mesh.vertices, box.triangles.reshape(-1, 3), atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, np.arange(36).reshape(-1, 3))


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

    def text(self, uri: str | None = "inline", **header) -> bytes:
        inline = "data:application/octet-stream;base64," + base64.b64encode(self.data).decode()
        buffer = {"byteLength": len(self.data)} | ({"uri": inline if uri == "inline" else uri} if uri else {})
        shared = {"asset": {"version": "2.0"}, "bufferViews": self.views, "accessors": self.accessors}
        return json.dumps(shared | {"buffers": [buffer]} | header).encode()

    def glb(self, **header) -> bytes:
        text = self.text(None, **header)
        text += b" " * (-len(text) % 4)
        chunks = (
            struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(self.data), 0x4E4942) + self.data
        )
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


CORNERS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)


def primitive(position: int, indices: int | None = None, **more) -> dict:
    return {"attributes": {"POSITION": position}, **({} if indices is None else {"indices": indices}), **more}


@pytest.mark.parametrize("packing", ["glb", "inline", "file"])
def test_gltf_nodes_are_joined_in_order_with_their_world_transforms(tmp_path, packing):
    """A parent with scale and translation, a child with rotation, one mesh instanced twice, a node with a matrix."""
    gltf, half = Gltf(), 2**-0.5
    square, order = gltf.add(CORNERS), gltf.add(np.array([0, 1, 2, 2, 3, 0], np.uint8))
    header = {
        "meshes": [{"primitives": [primitive(square, order)]}],
        "nodes": [
            {"mesh": 0, "children": [2], "translation": [10, 0, 0], "scale": [2, 2, 2]},
            {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 5, 6, 7, 1], "camera": 0},
            {"mesh": 0, "rotation": [0, 0, half, half]},  # a quarter turn about z
            {"mesh": 0},  # not in the scene
        ],
        "scenes": [{"nodes": []}, {"nodes": [0, 1]}],
        "scene": 1,
    }
    if packing == "glb":
        path = tmp_path / "a.glb"
        path.write_bytes(gltf.glb(**header))
    else:
        path = tmp_path / "a.gltf"
        path.write_bytes(gltf.text("the data.bin".replace(" ", "%20") if packing == "file" else "inline", **header))
        (tmp_path / "the data.bin").write_bytes(gltf.data)
    mesh = load_mesh(path)
    turned = np.array([[0, 0, 0], [0, 1, 0], [-1, 1, 0], [-1, 0, 0]])
    expected = [CORNERS * 2 + [10, 0, 0], turned * 2 + [10, 0, 0], CORNERS + [5, 6, 7]]
    np.testing.assert_allclose(mesh.vertices, np.concatenate(expected), atol=1e-6)
    faces = np.array([[0, 1, 2], [2, 3, 0]])
    np.testing.assert_array_equal(mesh.faces, np.concatenate([faces, faces + 4, faces + 8]))


def test_gltf_primitives_may_share_vertices_and_be_strips_or_fans(tmp_path):
    gltf = Gltf()
    square, other = gltf.add(CORNERS), gltf.add(CORNERS + np.float32(2))
    primitives = [
        primitive(square, gltf.add(np.array([0, 1, 2], np.uint16))),
        primitive(square, gltf.add(np.array([0, 2, 3], np.uint32))),
        primitive(other, gltf.add(np.array([0, 1, 3, 2], np.uint16)), mode=5),
        primitive(other, mode=6),
        primitive(other, mode=1),  # lines
    ]
    header = {"meshes": [{"primitives": primitives}], "nodes": [{"mesh": 0}]}
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    mesh = load_mesh(tmp_path / "a.gltf")
    np.testing.assert_array_equal(mesh.vertices, np.concatenate([CORNERS, CORNERS + 2]))
    expected = [[0, 1, 2], [0, 2, 3], [4, 5, 7], [5, 6, 7], [4, 5, 6], [4, 6, 7]]
    np.testing.assert_array_equal(mesh.faces, expected)


def test_gltf_sparse_strided_and_normalised_values_are_read(tmp_path):
    gltf = Gltf()
    pulled = gltf.add(CORNERS)
    gltf.accessors[pulled]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": gltf.view(np.array([2], np.uint16)), "componentType": 5123},
        "values": {"bufferView": gltf.view(np.array([[9, 9, 9]], np.float32))},
    }
    wide = np.zeros((4, 6), np.float32)
    wide[:, 3:] = CORNERS
    strided = gltf.add(CORNERS)
    gltf.accessors[strided] |= {"bufferView": gltf.view(wide, byteStride=24), "byteOffset": 12}
    whole = gltf.add((CORNERS * 127).astype(np.int8), normalized=True)
    header = {
        "meshes": [{"primitives": [primitive(k, mode=6) for k in (pulled, strided, whole)]}],
        "nodes": [{"mesh": 0}],
    }
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    vertices = load_mesh(tmp_path / "a.gltf").vertices
    np.testing.assert_array_equal(vertices[:4], [*CORNERS[:2], [9, 9, 9], CORNERS[3]])
    np.testing.assert_array_equal(vertices[4:], np.concatenate([CORNERS, CORNERS]))


def test_a_skinned_gltf_mesh_stands_where_its_joints_put_it(tmp_path):
    gltf = Gltf()
    inverse = np.tile(np.eye(4, dtype=np.float32), (2, 1, 1))
    inverse[1, 3, :3] = [-1, 0, 0]  # columns: the second joint was bound at x = 1
    weights = np.zeros((4, 4), np.float32)
    weights[[0, 3], 0] = weights[[1, 2], 1] = 1
    joints = np.tile(np.array([0, 1, 0, 0], np.uint8), (4, 1))
    skinned = primitive(gltf.add(CORNERS), mode=6)
    skinned["attributes"] |= {"JOINTS_0": gltf.add(joints), "WEIGHTS_0": gltf.add(weights)}
    header = {
        "meshes": [{"primitives": [skinned]}],
        "skins": [{"joints": [1, 2], "inverseBindMatrices": gltf.add(inverse.reshape(2, 16))}],
        "nodes": [
            {"mesh": 0, "skin": 0, "translation": [100, 100, 100]},  # of no effect, says glTF
            {"children": [2]},
            {"translation": [3, 0, 0]},
        ],
    }
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    np.testing.assert_allclose(
        load_mesh(tmp_path / "a.gltf").vertices, CORNERS + [[0, 0, 0], [2, 0, 0], [2, 0, 0], [0, 0, 0]]
    )


# ---- files that are no use ----


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
    }


@pytest.mark.parametrize("name", good_files())
def test_files_cut_anywhere_are_refused_in_our_own_words_or_read(tmp_path, name):
    """Text without a count (OBJ) may look whole when it is cut; then it is read. Nothing else may get out."""
    data = good_files()[name]
    path = tmp_path / name
    path.write_bytes(data)
    whole = load_mesh(path)
    refused = 0
    for length in range(0, len(data) - 1, max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        try:
            part = load_mesh(path)
            assert name.endswith("obj") or len(part.vertices) == len(whole.vertices)
        except MeshError as error:
            refused += 1
            assert str(error).startswith(name)
    assert refused >= (5 if name.endswith("obj") else 55)


@pytest.mark.parametrize("name", good_files())
@given(data=st.data())
def test_files_with_flipped_bytes_never_raise_anything_else(tmp_path_factory, name, data):
    content = bytearray(good_files()[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("flipped") / name
    path.write_bytes(content)
    try:
        assert isinstance(load_mesh(path), Mesh)
    except MeshError as error:
        assert str(error).startswith(name)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.fbx", b"x", "not a known kind.*Convert"),
        ("noextension", b"x", "not a known kind"),
        ("a.obj", b"", "empty"),
        ("a.ply", b" \n", "empty"),
        ("a.obj", b"\x89PNG\r\n\x1a\n\x00\x00", "no vertices"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
        ("a.obj", b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "OBJ"),
        ("a.obj", b"v 0 0 x\n", "OBJ"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "counts from 1"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "names vertex 8"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -9\n", "names vertex -6"),
        ("a.obj", b"v 0 0 0\nv 1 0 nan\nv 0 1 0\nf 1 2 3\n", "NaN"),
        ("a.off", b"OFF BINARY\n", "plain OFF"),
        ("a.off", b"nonsense", "not a text OFF"),
        ("a.off", b"OFF\n5 5 0\n0 0 0\n", "truncated"),
        ("a.ply", b"nonsense", "not PLY"),
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float q\nend_header\n1\n", "no x, y and z"),
        (
            "a.ply",
            b"ply\nformat ascii 1.0\nelement vertex 9999999999999\nproperty float x\nend_header\n1\n",
            "truncated",
        ),
        ("a.stl", b"solid x\n", "STL"),
        ("a.gltf", b"{}", "GLTF"),
        ("a.gltf", b"[1]", "GLTF"),
        ("a.gltf", b'{"asset": {"version": "1.0"}}', "version 2"),
        ("a.gltf", b'{"asset": {"version": "2.0"}}', "no vertices"),
        (
            "a.gltf",
            b'{"asset": {"version": "2.0"}, "nodes": [{"children": [0]}], "scenes": [{"nodes": [0]}]}',
            "not a tree",
        ),
        (
            "a.gltf",
            b'{"asset": {"version": "2.0"}, "extensionsRequired": ["KHR_draco_mesh_compression"]}',
            "without compression",
        ),
        ("a.gltf", Gltf().text("gone.bin", meshes=[{"primitives": []}], nodes=[{"mesh": 0}]), "no vertices"),
    ],
)
def test_bad_files_are_refused_by_name_with_the_remedy(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MeshError, match=words) as caught:
        load_mesh(tmp_path / name)
    assert str(caught.value).startswith(name)


def test_missing_files_folders_and_data_files_are_refused(tmp_path):
    with pytest.raises(MeshError, match=r"gone\.obj: cannot be read.*Check the path"):
        load_mesh(tmp_path / "gone.obj")
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(MeshError, match="cannot be read"):
        load_mesh(tmp_path / "folder.ply")
    gltf = Gltf()
    header = {"meshes": [{"primitives": [primitive(gltf.add(CORNERS), mode=6)]}], "nodes": [{"mesh": 0}]}
    (tmp_path / "a.gltf").write_bytes(gltf.text("gone.bin", **header))
    with pytest.raises(MeshError, match=r"gone\.bin cannot be read.*beside"):
        load_mesh(tmp_path / "a.gltf")


# ---- files no one here made ----

COUNTS = {
    "suzanne.obj": (507, 968),
    "teapot.obj": (3644, 6320),
    "spot.obj": (2930, 5856),
    "camel_b.obj": (2032, 3576),
    "horse.ply": (48485, 96966),
    "Knight.glb": (7024, 6952),
    "Lantern.gltf": (4145, 5394),
    "vehicle-motorcycle.glb": (1786, 960),
    "vehicle-truck-green.glb": (1890, 1104),
}


@pytest.mark.parametrize("name", COUNTS)
def test_real_files_are_read_whole_and_as_trimesh_places_them(shared_data: Path, name):
    path = shared_data / "import" / name
    mesh = load_mesh(path)
    assert (len(mesh.vertices), len(mesh.faces)) == COUNTS[name]
    other = trimesh.load_scene(path, process=False, skip_materials=True).to_mesh()
    assert area_of(mesh.vertices, mesh.faces) == pytest.approx(other.area, rel=1e-5)
    used = mesh.vertices[np.unique(mesh.faces)]
    np.testing.assert_allclose([used.min(axis=0), used.max(axis=0)], other.bounds, atol=1e-5)


@pytest.mark.parametrize("name", ["suzanne.obj", "teapot.obj", "spot.obj", "camel_b.obj"])
def test_obj_vertices_are_the_files_own_records(shared_data: Path, name):
    lines = (shared_data / "import" / name).read_text().splitlines()
    records = [[float(x) for x in line.split()[1:4]] for line in lines if line.startswith("v ")]
    np.testing.assert_array_equal(load_mesh(shared_data / "import" / name).vertices, records)


def test_horse_vertices_are_the_files_own_bytes(shared_data: Path):
    path = shared_data / "import" / "horse.ply"
    head, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"property float nz" in head
    rows = np.frombuffer(body, "<f4", 48485 * 6).reshape(-1, 6)
    np.testing.assert_array_equal(load_mesh(path).vertices, rows[:, :3])
