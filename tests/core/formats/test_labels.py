"""Labels of mesh files: groups and materials of OBJ, nodes and materials of glTF, colours of all three."""

# pyright: reportOptionalMemberAccess=false, reportArgumentType=false, reportCallIssue=false

import numpy as np
import pytest
from support.mesh_files import CORNERS, Gltf, primitive

from iseg_core.errors import MeshError
from iseg_core.formats.load import load_mesh, read

VERTICES = "".join(f"v {k} {k * k} 0\n" for k in range(6))


def obj(path, lines: list[str]) -> list[int] | None:
    path.write_text(VERTICES + "\n".join(lines))
    labels = load_mesh(path).labels
    return None if labels is None else labels.tolist()


def test_objects_groups_and_materials_of_obj_are_labels(tmp_path):
    lines = ["f 1 2 3", "usemtl red", "f 2 3 4 5", "usemtl blue", "f 3 4 5", "usemtl red ", "f 4 5 6"]
    assert obj(tmp_path / "a.obj", lines) == [-1, 0, 0, 1, 0]
    assert obj(tmp_path / "a.obj", ["g a b", "f 1 2 3", "o c", "f 1 2 3", "g", "f 1 2 3", "g d", "f 1 2 3"]) == [
        0,
        1,
        1,
        2,
    ]
    assert obj(tmp_path / "a.obj", ["f 1 2 3", "f 2 3 4"]) is None
    assert obj(tmp_path / "a.obj", ["usemtl red", "f 1 2 3", "s 1", "f 2 3 4"]) is None  # one label says nothing
    assert load_mesh(tmp_path / "a.obj", marks=False).hash == load_mesh(tmp_path / "a.obj").hash


def test_marks_of_a_file_can_be_left_aside(tmp_path):
    obj(tmp_path / "a.obj", ["usemtl red", "f 1 2 3", "usemtl blue", "f 2 3 4 5"])
    heard, deaf = load_mesh(tmp_path / "a.obj"), load_mesh(tmp_path / "a.obj", marks=False)
    assert heard.labels.tolist() == [0, 1, 1] and deaf.labels is None and heard.hash != deaf.hash
    assert np.array_equal(heard.polygons, deaf.polygons)


def test_placed_meshes_and_materials_of_gltf_are_labels(tmp_path):
    gltf = Gltf()
    square, order = gltf.add(CORNERS), gltf.add(np.array([0, 1, 2, 2, 3, 0], np.uint16))
    rest = gltf.add(np.array([0, 1, 2], np.uint16))
    red, blue, again, bare = (
        {**primitive(square, indices), **more}
        for indices, more in ((order, {"material": 0}), (rest, {"material": 1}), (rest, {"material": 0}), (rest, {}))
    )
    header = {"meshes": [{"primitives": [red, blue, again, bare]}], "nodes": [{"mesh": 0}, {"mesh": 0}]}
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    assert load_mesh(tmp_path / "a.gltf").labels.tolist() == [0, 0, 1, 0, 2, 3, 3, 4, 3, 5]


COLOURS = [(255, 0, 0), (0, 0, 255), (255, 0, 0)]


def ply(kind: str, face_colours: bool, colours: list[tuple[int, int, int]]) -> bytes:
    """Two triangles and a quad on six vertices, with colours of the faces or of the vertices."""
    rgb = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    head = f"ply\nformat {kind} 1.0\nelement vertex 6\n" + "".join(f"property float {axis}\n" for axis in "xyz")
    head += ("" if face_colours else rgb) + "element face 3\nproperty list uchar int vertex_indices\n"
    head += (rgb if face_colours else "") + "end_header\n"
    points, polygons = [(k, k * k, 0) for k in range(6)], [(0, 1, 2), (1, 2, 3, 4), (3, 4, 5)]
    body = b""
    for k, point in enumerate(points):
        own = () if face_colours else colours[k]
        row = np.array(point, "<f4").tobytes() + bytes(own)
        body += row if kind != "ascii" else (" ".join(map(str, (*point, *own))) + "\n").encode()
    for k, polygon in enumerate(polygons):
        own = colours[k] if face_colours else ()
        row = bytes([len(polygon)]) + np.array(polygon, "<i4").tobytes() + bytes(own)
        body += row if kind != "ascii" else (" ".join(map(str, (len(polygon), *polygon, *own))) + "\n").encode()
    return head.encode() + body


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_colours_of_faces_and_vertices_of_ply_are_labels(tmp_path, kind):
    (tmp_path / "a.ply").write_bytes(ply(kind, True, COLOURS))
    assert read(tmp_path / "a.ply").labels.tolist() == [0, 1, 0]
    assert load_mesh(tmp_path / "a.ply").labels.tolist() == [0, 1, 1, 0]
    red, blue = COLOURS[:2]
    (tmp_path / "a.ply").write_bytes(ply(kind, False, [red, red, blue, blue, blue, blue]))
    assert read(tmp_path / "a.ply").labels.tolist() == [0, 1, 1]  # what most corners have


def coloured(colours: list[str]) -> str:
    return "".join(f"v {k} {k * k} 0 {colour}\n" for k, colour in enumerate(colours))


def test_colours_of_vertices_of_obj_are_labels(tmp_path):
    path, faces = tmp_path / "a.obj", "f 1 2 3\nf 2 3 4 5\nf 4 5 6\n"
    red, blue = "1 0 0", "0 0 1"
    path.write_text(coloured([red, red, red, blue, blue, blue]) + faces)
    assert read(path).labels.tolist() == [0, 0, 1]  # of as many corners the first colour
    assert load_mesh(path).labels.tolist() == [0, 0, 0, 1]
    path.write_text(coloured([red, red, red, blue, blue, blue]) + "usemtl a\nf 1 2 3\nusemtl b\nf 1 2 3\nf 4 5 6\n")
    assert read(path).labels.tolist() == [0, 1, 2]  # materials and colours together
    for others in ([red, red, red, blue, blue, ""], [red, red, red, blue, blue, "a b c"], [red] * 6):
        path.write_text(coloured(others) + faces)
        assert load_mesh(path).labels is None
    path.write_text("".join(f"v {k} {k * k} 0 {k / 100} 0 0\n" for k in range(66)) + faces)
    assert load_mesh(path).labels is None  # a picture


@pytest.mark.parametrize("kind", ["float32", "uint8", "uint16"])
@pytest.mark.parametrize("width", [3, 4])
def test_colours_of_vertices_of_gltf_are_labels(tmp_path, kind, width):
    gltf = Gltf()
    most = 1.0 if kind == "float32" else np.iinfo(kind).max
    values = (np.array([[1, 0, 0, 1], [1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 1]])[:, :width] * most).astype(kind)
    square, order = gltf.add(CORNERS), gltf.add(np.array([0, 1, 2, 3, 3, 0], np.uint16))
    painted = primitive(square, order)
    painted["attributes"]["COLOR_0"] = gltf.add(values, normalized=kind != "float32")
    header = {"meshes": [{"primitives": [painted]}], "nodes": [{"mesh": 0}]}
    path = tmp_path / "a.gltf"
    path.write_bytes(gltf.text(**header))
    assert load_mesh(path).labels.tolist() == [0, 1]
    header["meshes"][0]["primitives"].append(primitive(square, order))
    path.write_bytes(gltf.text(**header))
    assert load_mesh(path).labels.tolist() == [0, 1, 2, 2]  # what has no colour is white
    header["nodes"].append({"mesh": 0})
    path.write_bytes(gltf.text(**header))
    assert load_mesh(path).labels.tolist() == [0, 1, 2, 2, 3, 4, 5, 5]  # of each placed mesh


def test_colours_of_gltf_that_are_a_picture_say_nothing_and_those_that_lack_are_refused(tmp_path):
    gltf = Gltf()
    points = np.array([[k, k * k, 0] for k in range(70)], np.float32)
    painted = primitive(gltf.add(points), mode=5)
    painted["attributes"]["COLOR_0"] = gltf.add(points / 4900)
    header = {"meshes": [{"primitives": [painted]}], "nodes": [{"mesh": 0}]}
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    assert load_mesh(tmp_path / "a.gltf").labels is None
    painted["attributes"]["COLOR_0"] = gltf.add(points[:4])
    (tmp_path / "a.gltf").write_bytes(gltf.text(**header))
    with pytest.raises(MeshError, match=r"a\.gltf: it has more vertices than colours\."):
        load_mesh(tmp_path / "a.gltf")


def test_a_picture_in_colours_is_no_label(tmp_path):
    count = 70
    rows = "".join(f"{k} {k * k} 0 {k} 0 0\n" for k in range(count))
    faces = "".join(f"3 {k} {k + 1} {k + 2}\n" for k in range(count - 2))
    head = f"ply\nformat ascii 1.0\nelement vertex {count}\n"
    head += "".join(f"property float {name}\n" for name in ("x", "y", "z", "red", "green", "blue"))
    head += f"element face {count - 2}\nproperty list uchar int vertex_indices\nend_header\n"
    (tmp_path / "a.ply").write_text(head + rows + faces)
    assert load_mesh(tmp_path / "a.ply").labels is None
    few = "".join(f"{k} {k * k} 0 {k // 2 * 0.5} 0 0\n" for k in range(count))  # fractions are colours, too
    (tmp_path / "a.ply").write_text(head + few + faces)
    assert len(np.unique(load_mesh(tmp_path / "a.ply").labels)) == 35
