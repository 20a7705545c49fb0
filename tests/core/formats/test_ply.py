"""PLY as exporters write it: rows of text, strips, headers, and what is refused in a sentence."""

import struct

import numpy as np
import pytest

from iseg_core.errors import MeshError
from iseg_core.formats.load import load_mesh

KINDS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
VERTICES = [[0, 0, 0], [2, 0, 0], [0, 1, 0], [2, 1, 0], [0, 0, 1]]
STRIPS = [[0, 1, 2, 3, -1, 2, 3, 4], [0, 2, 4, 1]]
STRIP_FACES = [[0, 1, 2], [1, 3, 2], [2, 3, 4], [0, 2, 4], [2, 1, 4]]
ROWS = "".join(f"{x} {y} {z}\n" for x, y, z in VERTICES)
FACES = "3 0 1 2\n4 1 3 2 4\n"
HEADER = """ply
format ascii 1.0
element vertex 5
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
"""
TEXT = HEADER + ROWS + FACES


def binary(kind: str, element: str, lists: list[list[int]], end: str = "\n", first: float = 0.0) -> bytes:
    endian = KINDS[kind]
    head = HEADER.replace("ascii", kind).replace("face 2", f"{element} {len(lists)}").replace("uchar", "uint")
    data = b"".join(struct.pack(endian + "3f", *vertex) for vertex in [[first, 0, 0], *VERTICES[1:]])
    data += b"".join(struct.pack(f"{endian}I{len(each)}i", len(each), *each) for each in lists)
    return head.replace("\n", end).encode() + data


def assert_read(path):
    mesh = load_mesh(path)
    np.testing.assert_array_equal(mesh.vertices, VERTICES)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [1, 3, 2], [1, 2, 4]])


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_read_in_any_encoding_with_any_line_ends(tmp_path, encoding, end):
    (tmp_path / "a.ply").write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert_read(tmp_path / "a.ply")


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROWS.replace("\n", " 255 0 0\n") + FACES,  # colours that the header does not name
        HEADER + ROWS + FACES.replace("\n", " 255 0 0 -nan(ind) red\n"),
        HEADER + ROWS.replace("\n", "\n\n") + "\n \n" + FACES + "\n\0\0",
        TEXT.replace("vertex_indices", "vertex_index"),
        TEXT.replace("element vertex", "comment end_header is not here\nobj_info x\nelement vertex"),
        HEADER.replace("element face", "property float nx\nelement face") + ROWS.replace("\n", " -1.#IND\n") + FACES,
        TEXT.replace("element face", "element extra 0\nproperty float a\nelement face").replace(
            "_header\n", "_header \n"
        ),
        TEXT.replace("end_header\n", "element nothing 7\nend_header\n"),
    ],
)
def test_a_line_of_text_is_one_element(tmp_path, text):
    (tmp_path / "a.ply").write_text(text)
    assert_read(tmp_path / "a.ply")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEADER + (ROWS + FACES).replace("\n", " "), "has not one line for each of its 5 elements 'vertex'"),
        (HEADER + ROWS + FACES.replace("3 0 1 2\n", "3\n0 1 2\n"), r"a line ends before.*'face' \('3'\)"),
        (HEADER + ROWS + FACES.replace("3 0 1 2\n", "3 0 1\n"), r"a line ends before.*'face' \('3 0 1'\)"),
        (HEADER + ROWS.replace("2 1 0\n", "2 1\n") + FACES, r"a line ends before.*'vertex' \('2 1'\)"),
        (HEADER + ROWS + FACES + "3 1 2 3\n", r"1 lines are left over \('3 1 2 3'\).*one line for each element"),
        (HEADER + ROWS + FACES[:8], "truncated, or has not one line for each of its 2 elements 'face'"),
        (HEADER + ROWS + FACES.replace("3 0", "-3 0"), "a line ends before"),
        (HEADER + ROWS + FACES.replace("3 0 1 2", "3 0 1 2.5"), "2.5 stands where a whole number should"),
        (HEADER + ROWS + FACES.replace("3 0 1 2", "3 0 1 nan"), "whole number"),
        (HEADER + ROWS + FACES.replace("3 0 1 2", "3 0 1 two"), "'two' stands where a number should"),
        (HEADER + ROWS.replace("2 0 0", "2,5 0 0") + FACES, "'2,5' stands where a number.*not commas"),
        (HEADER + ROWS.replace("2 0 0", "2 0 1e") + FACES, "'1e' stands where a number"),
        (HEADER + ROWS + FACES.replace("3 0 1 2", "3 0 1 5"), "names vertex 5"),
        (TEXT.replace("vertex_indices", "corners"), "its face element has no list vertex_indices, but 'corners'"),
        (TEXT.replace("list uchar int", "list uchar quad"), "a line that PLY does not know .'property list uchar quad"),
        (TEXT.replace("list uchar int", "list float int"), "a line that PLY does not know"),
        (TEXT.replace("float x", "half x"), "a line that PLY does not know .'property half x'"),
        (TEXT.replace("vertex 5", "vertex five"), "a line that PLY does not know"),
        (TEXT.replace("format ascii 1.0", "format middle_endian 1.0"), "a line that PLY does not know"),
        (TEXT.replace("format ascii 1.0\n", ""), "names no format"),
        (TEXT.replace("float y", "float x"), "names a property of 'vertex' twice"),
        (TEXT.replace("float y", "float q"), "no x, y and z"),
        (
            TEXT.replace("float x", "list uchar float x").replace("\n0 0 0", "\n1 0 0 0"),
            "line ends before|no x, y and z",
        ),
        (TEXT.replace("element face", "element range_grid"), "range grid.*Export it as polygons"),
        (TEXT.replace("end_header", "the end"), "not PLY, or its header is truncated"),
    ],
)
def test_text_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, text, words):
    assert text != TEXT
    (tmp_path / "a.ply").write_text(text)
    with pytest.raises(MeshError, match=r"^a\.ply: .*(" + words + ")"):
        load_mesh(tmp_path / "a.ply")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lists", [STRIPS, STRIPS[:1], STRIPS[1:]])
def test_triangle_strips_are_read_with_their_turns(tmp_path, kind, lists):
    """Every other triangle is turned round; -1 begins a strip, and so does each list."""
    if kind == "ascii":
        head = HEADER.replace("face 2", f"tristrips {len(lists)}")
        rows = "".join(f"{len(each)} {' '.join(map(str, each))}\n" for each in lists)
        (tmp_path / "a.ply").write_text(head + ROWS + rows)
    else:
        (tmp_path / "a.ply").write_bytes(binary(kind, "tristrips", lists))
    expected = {2: STRIP_FACES, 8: STRIP_FACES[:3], 4: STRIP_FACES[3:]}[len(lists) if len(lists) > 1 else len(lists[0])]
    np.testing.assert_array_equal(load_mesh(tmp_path / "a.ply").faces, expected)


def test_faces_and_strips_of_one_file_come_in_its_order(tmp_path):
    head = HEADER.replace("end_header", "element tristrips 1\nproperty list int int vertex_indices\nend_header")
    (tmp_path / "a.ply").write_text(head + ROWS + FACES + "8 0 1 2 3 -1 2 3 -1\n")
    faces = load_mesh(tmp_path / "a.ply").faces
    np.testing.assert_array_equal(faces[:3], [[0, 1, 2], [1, 3, 2], [1, 2, 4]])
    np.testing.assert_array_equal(faces[3:], STRIP_FACES[:2])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ascii"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_binary_values_begin_right_behind_the_header(tmp_path, kind, end, mark):
    """Also where the first of them looks like the second half of a line end."""
    [first] = struct.unpack(KINDS[kind] + "f", b"\x0a\x00\x20\x0a")
    (tmp_path / "a.ply").write_bytes(mark + binary(kind, "face", [[0, 1, 2], [1, 3, 2, 4]], end, first))
    mesh = load_mesh(tmp_path / "a.ply")
    np.testing.assert_array_equal(mesh.vertices, [[first, 0, 0], *VERTICES[1:]])
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2], [1, 3, 2], [1, 2, 4]])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ascii"])
@pytest.mark.parametrize("lists", [[[0, 1, 2], [1, 3, 2]], [[0, 1, 2], [1, 3, 2, 4]]])
def test_binary_values_that_are_more_or_fewer_than_the_header_says_are_refused(tmp_path, kind, lists):
    data = binary(kind, "face", lists)
    (tmp_path / "a.ply").write_bytes(data + b"\r\n")
    assert len(load_mesh(tmp_path / "a.ply").faces) == sum(len(each) - 2 for each in lists)
    for more in (b"\0", b"\0" * 12, data[-16:]):
        (tmp_path / "a.ply").write_bytes(data + more)
        with pytest.raises(MeshError, match=f"{len(more)} bytes are left over: the header is wrong"):
            load_mesh(tmp_path / "a.ply")
    for length in (1, 4, 15, 16, 40):
        (tmp_path / "a.ply").write_bytes(data[:-length])
        with pytest.raises(MeshError, match=r"truncated or damaged"):
            load_mesh(tmp_path / "a.ply")


@pytest.mark.parametrize("length", [-1, 2**31 - 1])
@pytest.mark.parametrize("at", [0, 1])
def test_binary_lists_of_no_length_are_refused(tmp_path, length, at):
    data = binary("binary_little_endian", "face", [[0, 1, 2], [1, 3, 2, 4]]).replace(b"list uint", b"list int")
    place = data.index(b"end_header\n") + 11 + 60 + 16 * at
    (tmp_path / "a.ply").write_bytes(data[:place] + struct.pack("<i", length) + data[place + 4 :])
    with pytest.raises(MeshError, match="truncated or damaged"):
        load_mesh(tmp_path / "a.ply")
