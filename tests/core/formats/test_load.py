"""Mesh files, vertex by vertex: good ones, ones that are no use, and real ones."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from support.mesh_files import CORNERS, SEAMS, Gltf, exported, good_files, ply_file, primitive

from iseg_core.errors import MeshError
from iseg_core.formats.load import load_mesh
from iseg_core.geometry.mesh import Mesh, check, face_areas

# ---- good ones ----


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


# ---- ones that are no use ----


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
        ("a.obj", b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "fewer than three numbers .'0 0'"),
        ("a.obj", b"v 0 0 x\n", "'x' stands where a number should"),
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


# ---- ones that no one here made ----

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
    assert face_areas(mesh).sum() == pytest.approx(other.area, rel=1e-5)
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


CASES = {
    "obj_bom/absolute.obj": (8, 12),
    "obj_bom/relative.obj": (8, 12),
    "obj_continuation/box.obj": (8, 12),
    "obj_utf16/box.obj": (8, 12),
    "off_free_form/counts_over_lines.off": (8, 12),
    "off_free_form/no_keyword.off": (8, 12),
    "off_free_form/one_line.off": (8, 12),
    "ply_off_bom/box.off": (8, 12),
    "ply_off_bom/box.ply": (8, 12),
    "ply_rows_longer/box.ply": (8, 12),
    "ply_rows_longer/box_vertex_colours_undeclared.ply": (8, 12),
    "ply_tristrips/box.ply": (8, 12),
    "ply_binary_stride/box.ply": "damaged",
    "stl_bom/box.stl": (36, 12),
    "stl_name_vertex/box.stl": (36, 12),
    "stl_trailing/box_payload.stl": (36, 12),
    "stl_trailing/box_trailing.stl": (36, 12),
    "stl_trailing/box_count_zero.stl": "counts 0 triangles, and 12 would fit",
    "glb_nul_padding/box.glb": (8, 12),
    "glb_version1/old.glb": "only version 2",
    "gltf_stride_zero/box.gltf": (8, 12),
    "gltf_no_position/box.gltf": (8, 12),
    "gltf_gpu_instancing/three_boxes_used.gltf": (24, 36),
    "gltf_draco_not_required/box.gltf": "without compression",
}


@pytest.mark.parametrize("name", CASES)
def test_files_that_once_failed_are_read_or_refused_in_a_sentence(shared_data: Path, name):
    path, expected = shared_data.parent / "cases" / name, CASES[name]
    if not path.exists():
        pytest.skip("needs the files in ../shared/cases, which are not part of the project")
    if isinstance(expected, str):
        with pytest.raises(MeshError, match=expected):
            load_mesh(path)
        return
    mesh = load_mesh(path)
    assert (len(mesh.vertices), len(mesh.faces)) == expected
    copies = 3 if "instancing" in name else 1
    assert face_areas(mesh).sum() == pytest.approx(10 * copies)  # a box of 2 x 1 x 1
