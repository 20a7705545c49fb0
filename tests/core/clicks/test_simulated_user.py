"""The simulated user: where it clicks, and what it proposes for a part that is known."""

import numpy as np
import pytest
from support.engine import icosphere

import iseg_core as iseg
from iseg_core.clicks import simulated_user
from iseg_core.clicks.click import Click, SurfacePoint
from iseg_core.clicks.simulated_user import (
    ENOUGH,
    MOST,
    FaceTarget,
    VertexTarget,
    deeper_error,
    deepest,
    propose,
    simulate,
)
from iseg_core.geometry.depth import depths


@pytest.fixture(scope="module")
def mesh() -> iseg.Mesh:
    arrays = icosphere()
    return iseg.Mesh(arrays["vertices"].astype(float), arrays["faces"])


def half(mesh: iseg.Mesh) -> np.ndarray:
    return mesh.vertices[:, 0] > 0.05  # [V]


def exact(target: VertexTarget):
    """An answer that is right at once."""
    return lambda clicks: target.vertices.astype(np.float32)


def near(mesh: iseg.Mesh, reach: float):
    """An answer that takes what is near to an including click, and not nearer to an excluding one."""

    def answer(clicks):
        distance = np.linalg.norm(mesh.vertices[:, None] - mesh.vertices[[v for v, _ in clicks]], axis=2)  # [V, K]
        closest = distance.argmin(axis=1)  # [V]
        included = np.array([include for _, include in clicks])[closest]  # [V]
        return (included & (distance.min(axis=1) < reach)).astype(np.float32)  # [V]

    return answer


def test_vertices_become_the_faces_that_their_own_answer_takes(mesh: iseg.Mesh):
    target = VertexTarget.of_vertices(mesh, half(mesh))
    assert 0 < target.faces.sum() < len(mesh.faces)
    assert target.iou(half(mesh).astype(np.float32)) == 1.0
    assert target.iou(np.zeros(len(mesh.vertices))) == 0.0


def test_one_click_is_enough_where_the_answer_is_right(mesh: iseg.Mesh):
    target = VertexTarget.of_vertices(mesh, half(mesh))
    [(vertex, include)], iou = propose(target, exact(target))
    assert include and iou == 1.0
    assert mesh.vertices[vertex, 0] > 0.7  # the deepest vertex: the tip of the half


def test_clicks_that_gain_nothing_are_left_out(mesh: iseg.Mesh):
    target = VertexTarget.of_vertices(mesh, half(mesh))
    clicks, iou = propose(target, lambda clicks: np.ones(len(mesh.vertices), np.float32))
    assert len(clicks) == 1 and 0.3 < iou < 0.7


def test_corrections_come_until_it_is_good_enough(mesh: iseg.Mesh):
    target = VertexTarget.of_vertices(mesh, half(mesh))
    clicks, iou = propose(target, near(mesh, 0.8))
    assert iou >= ENOUGH and 1 < len(clicks) <= MOST
    assert {include for _, include in clicks} == {True, False}
    scores, made = simulate(target, near(mesh, 0.8), count=len(clicks))
    assert made == clicks and scores[-1] == iou


def test_there_is_an_end(mesh: iseg.Mesh):
    target = VertexTarget.of_vertices(mesh, half(mesh))
    clicks, iou = propose(target, near(mesh, 0.25))
    assert len(clicks) == MOST and all(include for _, include in clicks) and 0 < iou < ENOUGH


def test_the_whole_mesh_and_a_part_too_thin_to_own_a_vertex(mesh: iseg.Mesh):
    whole = VertexTarget.of_vertices(mesh, np.ones(len(mesh.vertices), bool))
    assert propose(whole, exact(whole)) == ([(0, True)], 1.0)
    thin = VertexTarget(mesh, np.arange(len(mesh.faces)) == 7)
    assert not thin.vertices.any()
    [(vertex, _), *_], _ = propose(thin, near(mesh, 0.01))
    assert vertex in mesh.faces[7]


def test_a_part_that_owns_no_vertex_ends_where_its_click_would_be_taken_back(mesh: iseg.Mesh):
    thin = VertexTarget(mesh, np.arange(len(mesh.faces)) == 7)
    scores, clicks = simulate(thin, iseg.instant(mesh).segment, count=5)
    assert len(scores) == 5 and len(dict(clicks)) == len(clicks)


# Points of the surface


@pytest.fixture(scope="module")
def cube() -> iseg.Mesh:
    """Cube from -1 to 1, of 12 triangles."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)  # [8, 3]
    sides = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    return iseg.Mesh(corners, np.array([[a, *two] for a, b, c, d in sides for two in ((b, c), (c, d))], dtype=np.int32))


def side(cube: iseg.Mesh, axis: int) -> np.ndarray:
    """The two faces where a coordinate is 1. [F] bool"""
    return (cube.vertices[cube.faces, axis] == 1).all(axis=1)


def place(mesh: iseg.Mesh, click: Click) -> np.ndarray:
    assert isinstance(click.prompt, SurfacePoint)
    return np.array(click.prompt.barycentric) @ mesh.vertices[mesh.faces[click.prompt.face]]  # [3]


def test_a_big_face_has_a_middle(cube: iseg.Mesh):
    target = FaceTarget(cube, side(cube, 2))
    click = target.first_click()
    assert click.include and isinstance(click.prompt, SurfacePoint) and target.faces[click.prompt.face]
    assert np.abs(place(cube, click) - [0, 0, 1]).max() < 0.15
    assert FaceTarget(cube, side(cube, 2)).first_click() == click  # always the same points


def test_the_middle_of_the_deeper_error_is_clicked(cube: iseg.Mesh):
    target = FaceTarget(cube, side(cube, 2) | side(cube, 0))
    clicks, iou = propose(target, lambda clicks: (side(cube, 2) | (len(clicks) > 1) & side(cube, 0)).astype(float))
    assert iou == 1.0 and [include for _, include in clicks] == [True, True]
    assert np.abs(place(cube, clicks[1]) - [1, 0, 0]).max() < 0.15  # what was missing
    too_much = FaceTarget(cube, side(cube, 2)).next_click((side(cube, 2) | side(cube, 1)).astype(float))
    assert too_much is not None and not too_much.include
    assert np.abs(place(cube, too_much) - [0, 1, 0]).max() < 0.15
    assert FaceTarget(cube, side(cube, 2)).next_click(side(cube, 2).astype(float)) is None


def test_faces_count_by_their_area():
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [-1, 0, 0]], dtype=float)  # [4, 3]
    mesh = iseg.Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32))
    first = np.array([True, False])
    assert FaceTarget(mesh, first).iou(np.array([0.5, 0.49])) == 1.0
    assert FaceTarget(mesh, first).iou(np.ones(2)) == pytest.approx(0.75)
    assert FaceTarget(mesh, first).iou(np.zeros(2)) == 0.0


def test_every_face_has_a_point_however_small(mesh: iseg.Mesh):
    vertices = np.vstack([mesh.vertices, [[0, 0, 9], [1e-4, 0, 9], [0, 1e-4, 9]]])  # [V + 3, 3]
    crumb = np.vstack([mesh.faces, np.arange(3) + len(mesh.vertices)]).astype(np.int32)  # [F + 1, 3]
    target = FaceTarget(iseg.Mesh(vertices, crumb), np.arange(len(crumb)) == len(mesh.faces))
    (point, include) = target.first_click()
    assert include and point == SurfacePoint(len(mesh.faces), (1 / 3, 1 / 3, 1 / 3))


def test_answers_of_a_segmenter_for_faces_and_points(cube: iseg.Mesh):
    target = FaceTarget(cube, side(cube, 1))
    segmenter = iseg.instant(cube)
    clicks, iou = propose(target, lambda clicks: segmenter.segment(clicks=clicks, domain="face"))
    assert iou == 1.0 and all(isinstance(prompt, SurfacePoint) for prompt, _ in clicks)


def test_an_error_without_depth_is_an_error():
    points = np.zeros((2, 3))  # [P, 3] one place
    assert deeper_error(points, np.array([False, False]), np.array([True, False])) == (0, False)
    assert deeper_error(points, np.array([True, False]), np.array([False, True])) == (0, True)
    assert deeper_error(points, np.zeros(2, bool), np.zeros(2, bool)) is None


@pytest.mark.parametrize("seed", range(6))
def test_of_many_points_the_same_one_is_the_deepest(seed: int, monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(4000, 3)) * [1, 0.5, 0.02] if seed % 2 else rng.integers(0, 12, (4000, 3)).astype(float)
    inside = points[:, 0] + 0.3 * rng.normal(size=4000) > 0.5  # [P]
    wanted = deepest(points, inside)
    measured: list[int] = []
    monkeypatch.setattr(simulated_user, "depths", lambda p, i, at: measured.append(len(at)) or depths(p, i, at))
    monkeypatch.setattr(simulated_user, "MANY", 100)
    monkeypatch.setattr(simulated_user, "CELLS", 8)  # with many points in each
    assert deepest(points, inside) == wanted
    assert sum(measured) < inside.sum() / 2  # that is what it is for
