"""The simulated user: where it clicks, and what it proposes for a part that is known."""

import numpy as np
import pytest
from support.engine import icosphere

import iseg_core as iseg
from iseg_core.clicks.simulated_user import ENOUGH, MOST, Target, propose, simulate


@pytest.fixture(scope="module")
def mesh() -> iseg.Mesh:
    arrays = icosphere()
    return iseg.Mesh(arrays["vertices"].astype(float), arrays["faces"])


def half(mesh: iseg.Mesh) -> np.ndarray:
    return mesh.vertices[:, 0] > 0.05  # [V]


def exact(target: Target):
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
    target = Target.of_vertices(mesh, half(mesh))
    assert 0 < target.faces.sum() < len(mesh.faces)
    assert target.iou(half(mesh).astype(np.float32)) == 1.0
    assert target.iou(np.zeros(len(mesh.vertices))) == 0.0


def test_one_click_is_enough_where_the_answer_is_right(mesh: iseg.Mesh):
    target = Target.of_vertices(mesh, half(mesh))
    [(vertex, include)], iou = propose(target, exact(target))
    assert include and iou == 1.0
    assert mesh.vertices[vertex, 0] > 0.7  # the deepest vertex: the tip of the half


def test_clicks_that_gain_nothing_are_left_out(mesh: iseg.Mesh):
    target = Target.of_vertices(mesh, half(mesh))
    clicks, iou = propose(target, lambda clicks: np.ones(len(mesh.vertices), np.float32))
    assert len(clicks) == 1 and 0.3 < iou < 0.7


def test_corrections_come_until_it_is_good_enough(mesh: iseg.Mesh):
    target = Target.of_vertices(mesh, half(mesh))
    clicks, iou = propose(target, near(mesh, 0.8))
    assert iou >= ENOUGH and 1 < len(clicks) <= MOST
    assert {include for _, include in clicks} == {True, False}
    scores, made = simulate(target, near(mesh, 0.8), count=len(clicks))
    assert made == clicks and scores[-1] == iou


def test_there_is_an_end(mesh: iseg.Mesh):
    target = Target.of_vertices(mesh, half(mesh))
    clicks, iou = propose(target, near(mesh, 0.25))
    assert len(clicks) == MOST and all(include for _, include in clicks) and 0 < iou < ENOUGH


def test_the_whole_mesh_and_a_part_too_thin_to_own_a_vertex(mesh: iseg.Mesh):
    whole = Target.of_vertices(mesh, np.ones(len(mesh.vertices), bool))
    assert propose(whole, exact(whole)) == ([(0, True)], 1.0)
    thin = Target(mesh, np.arange(len(mesh.faces)) == 7)
    assert not thin.vertices.any()
    [(vertex, _), *_], _ = propose(thin, near(mesh, 0.01))
    assert vertex in mesh.faces[7]


def test_a_part_that_owns_no_vertex_ends_where_its_click_would_be_taken_back(mesh: iseg.Mesh):
    thin = Target(mesh, np.arange(len(mesh.faces)) == 7)
    scores, clicks = simulate(thin, iseg.instant(mesh).segment, count=5)
    assert len(scores) == 5 and len(dict(clicks)) == len(clicks)
