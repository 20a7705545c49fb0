"""OBJ, OFF and STL as exporters write them: encodings, line ends, free forms, and what is refused in a sentence."""

import codecs
import struct

import numpy as np
import pytest

from iseg_core.errors import MeshError
from iseg_core.formats.load import load_mesh

VERTICES = [[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0], [1, 0.5, 1.5]]
FACES = [[0, 3, 2, 1], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]]
ROWS = [" ".join(map(str, vertex)) for vertex in VERTICES]
OBJ = "\n".join([*("v " + row for row in ROWS), *("f " + " ".join(str(k + 1) for k in face) for face in FACES)]) + "\n"
COLUMNS = [f"{len(face)} " + " ".join(map(str, face)) for face in FACES]
OFF = "\n".join(["OFF", "5 5 0", *ROWS, *COLUMNS]) + "\n"


def stl_text(name: str = "pyramid") -> str:
    facets = ""
    for face in FACES[1:]:
        corners = "".join(f"  vertex {ROWS[k]}\n" for k in face)
        facets += f"facet normal 0 0 0\n outer loop\n{corners} endloop\nendfacet\n"
    return f"solid {name}\n{facets}endsolid {name}\n"


def stl_binary(count: int = 4, title: bytes = b"", payload: bytes = b"") -> bytes:
    data = title.ljust(80) + struct.pack("<I", count)
    for face in FACES[1:]:
        corners = [x for k in face for x in VERTICES[k]]
        data += struct.pack("<12fH", 0, 0, 0, *corners, len(payload)) + payload
    return data


STL = stl_text()
TEXTS = {"a.obj": OBJ, "a.off": OFF, "a.stl": STL}


def assert_pyramid(path):
    mesh = load_mesh(path)
    if path.suffix == ".stl":
        np.testing.assert_array_equal(mesh.vertices, [VERTICES[k] for face in FACES[1:] for k in face])
        np.testing.assert_array_equal(mesh.faces, np.arange(12).reshape(4, 3))
    else:
        np.testing.assert_array_equal(mesh.vertices, VERTICES)
        np.testing.assert_array_equal(mesh.faces[2:], FACES[1:])
        assert len(mesh.faces) == 6


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_read_in_any_encoding_with_any_line_ends(tmp_path, name, encoding, mark, end):
    text = ("\ufeff" if mark and encoding.startswith("utf-") else "") + TEXTS[name].replace("\n", end)
    (tmp_path / name).write_bytes(text.encode(encoding))
    assert_pyramid(tmp_path / name)


@pytest.mark.parametrize("name", TEXTS)
def test_white_space_is_of_any_kind_and_zeros_may_fill_the_end(tmp_path, name):
    (tmp_path / name).write_text("\n" + TEXTS[name].replace(" ", " \t ").replace("\n", " \n\n") + "\0" * 300)
    assert_pyramid(tmp_path / name)


# ---- OBJ ----


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v 0 0 0\n", "v 0 \\\n 0 0\n"),  # a line goes on after a backslash...
        ("f 1 2 5\n", "f 1 \\ \n 2 \\\t\r\n\\\n 5\n"),  # ...and what is white behind it
        ("f 1 2 5\n", "f \\\n\n1 2 5\n"),
        ("f 1 2 5\n", "f 1 2 5 \\\n\n"),
        ("f 1 2 5\n", "f \\\ng front\nf 1 2 5 \\\n"),
        ("v 0 0 0\n", "# made in C:\\models\\\nv 0 0 0\n"),  # names and comments end as they like
        ("f 1 2 5\n", "usemtl C:\\paints\\\nf 1 2 5\n"),
        ("v 2 0 0\n", codecs.BOM_UTF8.decode() + "v 2 0 0\n"),  # two files, one behind the other
        ("f 1 2 5\n", "f 1//7 2//7 5//7\n"),
        ("f 1 2 5\n", "f 1/ 2/3 5/1/\n"),
        ("f 1 2 5\n", "f -5 -4 -1\nf 1 2\n"),
        ("f 1 2 5\n", "fo 1 2 5\n"),
        ("f 1 2 5\n", "f 1 2 5 # the front\n"),
        ("v 2 0 0\n", "v 2 0 0 1\n"),
        ("v 2 0 0\n", "v 2 0 0 0.5 0.5 -nan(ind)\n"),  # a colour that Microsoft's C could not compute
        ("v 2 0 0\n", "v 2e0 0.0E+00 -0\n"),
    ],
)
def test_obj_is_read_as_exporters_write_it(tmp_path, old, new):
    assert old in OBJ
    (tmp_path / "a.obj").write_text(OBJ.replace(old, new), newline="", encoding="utf-8")
    assert_pyramid(tmp_path / "a.obj")


def test_obj_indices_below_zero_count_back_from_where_they_stand(tmp_path):
    triangle = "v {} 0 0\nv 0 1 0\nv 0 0 1\nf -3 -2 -1\n"
    (tmp_path / "a.obj").write_text(triangle.format(1) + triangle.format(2))
    np.testing.assert_array_equal(load_mesh(tmp_path / "a.obj").faces, [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("v 2 0 0\n", "v 2,5 0,0 0,0\n", r"'2,5' stands where a number should.*decimal points, not commas"),
        ("v 2 0 0\n", "v 1e 0 0\n", r"'1e' stands where a number should\. Export the mesh again"),
        ("v 2 0 0\n", "v 0x10 0 0\n", r"'0x10' stands"),
        ("v 2 0 0\n", "v 1.#QNAN 0 0\n", r"'1\.#QNAN' stands"),
        ("v 2 0 0\n", "v 1_0 0 0\n", r"'1_0' stands where a number should"),  # Python's own spelling
        ("v 2 0 0\n", "v2 0 0\n", r"'v2' stands where a line's keyword should"),
        ("f 1 2 5\n", "f1 2 5\n", r"'f1' stands where a line's keyword should"),
        ("v 2 0 0\n", "v \xff 0 0\n", r"stands where a number should"),
        ("v 2 0 0\n", "v inf 0 0\n", r"NaN or infinite"),
        ("v 2 0 0\n", "v 1e999 0 0\n", r"NaN or infinite"),
        ("v 2 0 0\n", "v 2 0\n0\n", r"fewer than three numbers"),
        ("f 1 2 5\n", "f 1 2\n5\n", None),
        ("f 1 2 5\n", "f 1 2 3\n4 5\n", r"a line begins with a number \('4 5'\)"),
        ("f 1 2 5\n", "f 1 2 2.5\n", r"2\.5 stands where a whole number should"),
        ("f 1 2 5\n", "f 1 2 five\n", r"'five' stands"),
        ("f 1 2 5\n", "f 1 2 /5\n", r"'' stands"),
        ("f 1 2 5\n", f"f 1 2 {10**30}\n", r"whole number"),
        ("f 1 2 5\n", "f 1 2 nan\n", r"whole number"),
    ],
)
def test_obj_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, old, new, words):
    (tmp_path / "a.obj").write_text(OBJ.replace(old, new), encoding="latin-1")
    if words is None:  # a line of two corners draws nothing, and a number alone says nothing
        assert len(load_mesh(tmp_path / "a.obj").faces) == 5
        return
    with pytest.raises(MeshError, match=r"^a\.obj: .*" + words):
        load_mesh(tmp_path / "a.obj")


# ---- OFF ----

BODY = "\n".join([*ROWS, *COLUMNS])


@pytest.mark.parametrize(
    "text",
    [
        OFF.replace("\n", " "),
        OFF.replace(" ", "\n"),
        "OFF 5\n5\n0\n" + BODY,
        "OFF\n5 5 0 " + BODY,
        "5 5 0\n" + BODY,
        "5 5 0 " + BODY.replace("\n", " "),
        "# made by hand\nOFF # 1\n# 5 6 0\n5 5 # 9\n" + BODY.replace("\n", " # a comment\n\n# another\n"),
        "OFF\n5 5\n" + BODY,
        "OFF5 5 0\n" + BODY,
        "NCSTOFF\n5 5 0\n" + BODY,
        "OFF\n5 5 0\n" + "\n".join([*(row + " 255 0 0 255" for row in ROWS), *(row + " 1 0 0" for row in COLUMNS)]),
        "COFF 5 5 0 " + " ".join([*(row + " 1 0 0 1" for row in ROWS), *COLUMNS]),
        "NOFF 5 5 0 " + " ".join([*(row + " 0 0 1" for row in ROWS), *COLUMNS]),
        "STCNOFF 5 5 0 " + " ".join([*(row + " 0 0 1 1 0 0 1 9 9" for row in ROWS), *COLUMNS]),
        "OFF\n5 5 0\n" + "\n".join([*ROWS, *(column + " red" for column in COLUMNS)]),
    ],
)
def test_off_is_read_line_by_line_and_free_of_lines(tmp_path, text):
    (tmp_path / "a.off").write_text(text)
    assert_pyramid(tmp_path / "a.off")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OFF BINARY\n" + BODY, r"binary \(OFF BINARY\).*plain OFF"),
        ("4OFF\n5 5 0\n" + BODY, r"three coordinates \('4OFF'\).*plain OFF"),
        ("nOFF\n4\n5 5 0\n" + BODY, r"three coordinates \('nOFF'\)"),
        ("OFFSET\n5 5 0\n" + BODY, "not a text OFF"),
        ("OFF\n", "does not say how many"),
        ("OFF\n5 5_0 0\n" + BODY, "'5_0' stands"),
        ("OFF\n5 five 0\n" + BODY, "'five' stands"),
        ("OFF\n-5 5 0\n" + BODY, "does not say how many"),
        ("OFF\n5 4 0\n" + BODY, "counts 5 vertices and 4 faces, its rows do not fit"),
        ("OFF\n5 6 0\n" + BODY, "truncated.*counts 5 vertices and 6 faces"),
        ("OFF\n4 6 0\n" + BODY, "stands where a whole number should|do not fit"),
        ("OFF\n5 5 0\n" + BODY.replace("3 1 2 4", "3 1 2"), "do not fit"),
        ("OFF\n5 5 0\n" + BODY.replace("3 1 2 4", "-3 1 2 4"), "do not fit"),
        ("OFF\n5 5 0\n" + BODY.replace("3 1 2 4", "3 1 2 0.5"), "whole number"),
        ("OFF\n5 5 0\n" + BODY.replace("2 1 0\n", "2 1\n"), "do not fit"),
        ("OFF\n5 5 0\n" + BODY.replace("2 1 0\n", "2 1,5 0\n"), "'1,5' stands.*not commas"),
        ("OFF\n5 5 0\n" + BODY.replace("3 1 2 4", "3 1 2 5"), "names vertex 5"),
    ],
)
def test_off_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, text, words):
    (tmp_path / "a.off").write_text(text)
    with pytest.raises(MeshError, match=r"^a\.off: .*(" + words + ")"):
        load_mesh(tmp_path / "a.off")


# ---- STL ----


@pytest.mark.parametrize(
    "name",
    [
        "",
        "red vertex part",
        "facet normal",
        "facet normal 0 0 1 of vertex 1 2 3",
        "endsolid solid",
        "loop endloop",
        "é",
    ],
)
def test_text_stl_has_any_name(tmp_path, name):
    (tmp_path / "a.stl").write_text(stl_text(name), encoding="latin-1")
    assert_pyramid(tmp_path / "a.stl")


def test_text_stl_may_be_one_line_of_several_solids_in_capitals(tmp_path):
    parts = STL.split("endfacet\n")
    two = "endfacet\n".join(parts[:2]) + "endfacet\nendsolid a\nsolid b\n" + "endfacet\n".join(parts[2:])
    for text in (STL.replace("\n", " "), STL.upper(), two, STL.replace("normal 0 0 0", "normal -nan(ind) 0 0")):
        (tmp_path / "a.stl").write_text(text)
        assert_pyramid(tmp_path / "a.stl")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("endsolid pyramid", "", "last solid has no end"),
        ("  vertex 0 0 0\n", "", "three times 'vertex x y z'"),
        ("  vertex 0 0 0\n", "  vertex 0 0 0\n  vertex 0 0 0\n", "three times 'vertex x y z'"),
        ("  vertex 0 0 0\n", "  vertex 0 0\n", "three times 'vertex x y z'"),
        ("  vertex 0 0 0\n", "  vertex 0 0 0 0\n", "three times 'vertex x y z'"),
        ("  vertex 0 0 0\n", "  vertex 0 0 1,5\n", "'1,5' stands.*not commas"),
        ("  vertex 0 0 0\n", "  vertex 0 0 1_0\n", "'1_0' stands"),
        ("  vertex 0 0 0\n", "  vertex 0 0 nan\n", "NaN"),
        ("solid pyramid\n", "pyramid\n", "not STL"),
    ],
)
def test_text_stl_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, old, new, words):
    assert old in STL
    (tmp_path / "a.stl").write_text(STL.replace(old, new))
    with pytest.raises(MeshError, match=r"^a\.stl: .*" + words):
        load_mesh(tmp_path / "a.stl")


@pytest.mark.parametrize(
    "data",
    [
        stl_binary(),
        stl_binary(title=b"solid pyramid, endsolid facet normal"),
        stl_binary(title=b"solid") + b"\n",
        stl_binary() + b"made by hand",
        stl_binary() + bytes(512),  # what fills a block of the disk
        stl_binary(payload=b"colour"),  # as many bytes behind each triangle as its attribute says
        stl_binary(title=b"solid", payload=b"colour"),
    ],
)
def test_binary_stl_is_read_with_what_stands_between_and_behind(tmp_path, data):
    (tmp_path / "a.stl").write_bytes(data)
    assert_pyramid(tmp_path / "a.stl")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (stl_binary(0), "counts 0 triangles, and 4 would fit"),
        (stl_binary(3), "counts 3 triangles, and 4 would fit"),
        (stl_binary(5), "counts 5 triangles, and 4 would fit"),
        (stl_binary(2**32 - 1), "counts 4,294,967,295 triangles, and 4 would fit"),
        (stl_binary(0, b"solid")[:84], "counts 0 triangles"),
        (stl_binary()[:83], "truncated"),
        (stl_binary(payload=b"colour")[:-1], "bytes are left over"),
    ],
)
def test_binary_stl_whose_count_lies_is_refused(tmp_path, data, words):
    (tmp_path / "a.stl").write_bytes(data)
    with pytest.raises(MeshError, match=r"^a\.stl: .*" + words):
        load_mesh(tmp_path / "a.stl")
