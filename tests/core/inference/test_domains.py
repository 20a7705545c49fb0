"""Answers for faces and for vertices agree; what is clicked is on its side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.shapes import box, dumbbell, join, moved, sphere

import iseg_core as iseg
from iseg_core.geometry.mesh import Mesh, check

CUBE = box((2, 2, 2))
SEGMENTER = iseg.instant(CUBE)
MIXED = join(box((3, 3, 3)), moved(dumbbell(2), (0, 0, 3.2)))
ON_MIXED = iseg.instant(MIXED)
points = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(lambda uv: uv if sum(uv) <= 1 else (1 - uv[0], 1 - uv[1]))


def point(face: int, uv: tuple[float, float]) -> iseg.SurfacePoint:
    return iseg.SurfacePoint(face, (1 - uv[0] - uv[1], *uv))


@pytest.mark.parametrize("granularity", ["fine", "part", "whole"])
@pytest.mark.parametrize("vertex", range(8))
def test_every_click_on_a_cube_takes_a_whole_side(vertex, granularity):
    faces = SEGMENTER.segment([(vertex, True)], granularity=granularity, domain="face") >= 0.5
    vertices = SEGMENTER.segment([(vertex, True)], granularity=granularity) >= 0.5
    sides = faces.reshape(6, 2)
    assert (sides[:, 0] == sides[:, 1]).all() and sides.any()
    assert (CUBE.faces[faces] == vertex).any()  # a side at that corner
    assert vertices[CUBE.faces].all(axis=1).any()  # so that Blender has a face to show
    assert granularity != "whole" or faces.all()


@pytest.mark.parametrize("granularity", ["fine", "part", "whole"])
def test_faces_without_area_change_nothing(granularity):
    assert CUBE.polygons is not None
    corners = [*CUBE.faces.tolist(), [0, 0, 1], [3, 3, 3], [2, 5, 5]]
    dented = iseg.instant(Mesh(CUBE.vertices, np.array(corners, np.int32), np.append(CUBE.polygons, [6, 7, 8])))
    for vertex in range(8):
        for domain in ("face", "vertex"):
            asked = {"granularity": granularity, "domain": domain}
            assert np.array_equal(
                dented.segment([(vertex, True)], **asked)[: 12 if domain == "face" else 8] >= 0.5,
                SEGMENTER.segment([(vertex, True)], **asked) >= 0.5,
            )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, len(MIXED.faces) - 1), points, st.booleans(), st.sampled_from(["fine", "part", "whole"]))
def test_a_clicked_face_is_on_its_side(face, uv, include, granularity):
    first = (iseg.SurfacePoint(0 if face > 3 else 7, (0.4, 0.3, 0.3)), True)
    clicks = [first, (point(face, uv), include)]
    answer = ON_MIXED.segment(clicks, granularity=granularity, domain="face")
    assert answer.shape == (len(MIXED.faces),) and answer.dtype == np.float32
    assert ((answer >= 0) & (answer <= 1)).all()
    assert (answer[face] >= 0.5) == include


def test_vertices_of_big_faces_are_those_of_the_faces_of_the_part():
    for face in range(0, 12, 3):
        for granularity in ("fine", "part", "whole"):
            click = [(iseg.SurfacePoint(face, (0.3, 0.3, 0.4)), True)]
            faces = ON_MIXED.segment(click, granularity=granularity, domain="face") >= 0.5
            vertices = ON_MIXED.segment(click, granularity=granularity)
            wanted = np.zeros(8, dtype=bool)
            wanted[MIXED.faces[:12][faces[:12]]] = True
            assert np.array_equal(vertices[:8] >= 0.5, wanted)


def test_on_a_dense_mesh_a_face_is_the_mean_of_its_corners():
    mesh = sphere(4)
    segmenter = iseg.instant(mesh)
    vertices, faces = (segmenter.segment([(7, True)], domain=domain) for domain in ("vertex", "face"))
    far = ~(mesh.faces == 7).any(axis=1)
    assert np.allclose(faces[far], vertices[mesh.faces].mean(axis=1)[far], atol=1e-6)


def test_the_triangles_of_a_polygon_are_answered_alike_however_it_is_cut():
    angle = np.arange(32) * np.pi / 16
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = np.concatenate([np.c_[ring, np.full(32, z)] for z in np.linspace(0, 3, 9)])
    sides = [
        [32 * r + k, 32 * r + (k + 1) % 32, 32 * r + 32 + (k + 1) % 32, 32 * r + 32 + k]
        for r in range(8)
        for k in range(32)
    ]
    sizes = []
    for turn in (0, 5, 16):  # the corner at which the caps' fans begin
        caps = [list(np.roll(np.arange(32)[::-1], turn)), list(np.roll(256 + np.arange(32), turn))]
        mesh = check(vertices, sides + caps)
        segmenter = iseg.instant(mesh)
        for click in (iseg.SurfacePoint(0, (0.4, 0.3, 0.3)), iseg.SurfacePoint(len(mesh.faces) - 3, (0.2, 0.4, 0.4))):
            answer = segmenter.segment([(click, True)], domain="face")
            of_polygon = [np.ptp(answer[mesh.polygons == p]) for p in range(256 + 2)]
            assert max(of_polygon) == 0
        sizes.append([(segmenter.segment([(256 + k, True)]) >= 0.5).sum() for k in range(0, 32, 4)])
    sizes = np.array(sizes)
    assert (np.abs(sizes - 287) > 0).all() and sizes.min() >= 10  # never all but one vertex, never next to nothing


def test_unknown_domain():
    with pytest.raises(iseg.SettingsError, match="vertex, face"):
        SEGMENTER.segment([(0, True)], domain="edge")


def test_nothing_included_is_nothing_in_either_domain():
    assert SEGMENTER.segment([(0, False)], domain="face").tolist() == [0] * 12
    assert SEGMENTER.segment([(0, False)]).tolist() == [0] * 8


def test_one_point_cannot_be_both():
    with pytest.raises(iseg.ClickError, match="point on face 3 is both"):
        SEGMENTER.segment([(point(3, (0.2, 0.2)), True), (point(3, (0.2, 0.2)), False)])


def test_a_mesh_of_triangles_has_no_polygons_and_its_hash_is_unchanged():
    assert sphere(1).polygons is None and check(CUBE.vertices, CUBE.faces).polygons is None
    assert CUBE.polygons is not None and CUBE.polygons.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert CUBE.hash == Mesh(CUBE.vertices, CUBE.faces).hash


def test_every_click_on_a_cube_of_quads_takes_the_clicked_side_and_whole_is_the_cube():
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    cube = iseg.instant(check(corners, quads))
    for face in range(12):
        for granularity in ("fine", "part", "whole"):
            answer = cube.segment([(point(face, (0.3, 0.4)), True)], granularity=granularity, domain="face") >= 0.5
            assert answer[[face - face % 2, face - face % 2 + 1]].all()
            assert granularity != "whole" or answer.all()


def test_the_rim_of_a_cylinder_with_polygons_for_caps_is_answered_alike_all_around():
    around, rings = 32, 9
    turn, height = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.linspace(-1, 1, rings))  # [rings, around]
    vertices = np.stack([np.cos(turn), np.sin(turn), height], axis=2).reshape(-1, 3)
    number = np.arange(around * rings).reshape(rings, around)
    low, high = number[:-1], number[1:]
    sides = np.stack([low, np.roll(low, -1, axis=1), np.roll(high, -1, axis=1), high], axis=2).reshape(-1, 4)
    cylinder = iseg.instant(check(vertices, [*sides.tolist(), number[0, ::-1].tolist(), number[-1].tolist()]))
    sizes = np.array([(cylinder.segment([(vertex, True)]) >= 0.5).sum() for vertex in number[-1].tolist()])
    assert sizes.max() < len(vertices) / 4 and sizes.min() > sizes.max() / 4  # no corner of a fan takes all but one
