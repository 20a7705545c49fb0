"""Marks of a mesh: what is refused, and how they come to the vertices of a proxy."""

# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportArgumentType=false
# pyright: reportCallIssue=false

import numpy as np
import pytest
from support.shapes import box, join, moved, sphere

from iseg_core.errors import MeshError
from iseg_core.formats.load import as_mesh
from iseg_core.geometry.labels import join_marks, vertex_labels
from iseg_core.geometry.mesh import Mesh, check, with_marks
from iseg_core.geometry.proxy import DENSE, make_proxy

BALL = sphere(4)
UPPER = (BALL.vertices[BALL.faces][:, :, 2].mean(axis=1) > 0.3).astype(np.int32)  # [F]


def border_of(mesh: Mesh, labels: np.ndarray) -> np.ndarray:
    """Edges between faces of different labels. [N, 2]"""
    sides = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    order = np.lexsort(sides.T)
    label = np.repeat(labels, 3)[order].reshape(-1, 2)  # of a closed surface: two faces an edge
    return sides[order][::2][label[:, 0] != label[:, 1]]


def test_labels_are_numbered_and_of_polygons():
    quads = [[0, 1, 2, 3], [4, 5, 6], [0, 1, 5, 4]]
    mesh = check(np.random.default_rng(0).normal(size=(8, 3)), quads, labels=[7, 9, 7])
    assert mesh.labels.dtype == np.int32 and mesh.labels.tolist() == [7, 7, 9, 7, 7]
    assert join_marks(mesh.faces, mesh.labels, None).tolist() == [0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("labels", "edges", "words"),
    [
        ([1, 2], None, "labels.*one for each face"),
        (np.zeros((1280 * 4, 1), int), None, "labels.*one for each face"),
        (np.zeros(1280 * 4), None, "labels are float64"),
        (np.full(1280 * 4, 2**40), None, "beyond those of 32 bits"),
        (None, [[0, 1, 2]], "marked edges.*two vertices"),
        (None, [[0.0, 1.0]], "marked edges are float64"),
        (None, [[0, 2562]], "names a vertex that is none of 0 to 2561"),
        (None, [[-1, 2]], "names a vertex"),
    ],
)
def test_marks_that_do_not_fit_are_refused(labels, edges, words):
    with pytest.raises(MeshError, match=words):
        check(BALL.vertices, BALL.faces, labels=labels, marked_edges=edges)


def test_marks_that_say_nothing_are_none_and_leave_the_hash():
    for labels, edges in ((np.full(len(BALL.faces), 5), []), (None, None), (None, np.zeros((0, 2), int))):
        mesh = check(BALL.vertices, BALL.faces, labels, edges)
        assert mesh.labels is None and mesh.marked_edges is None and mesh.hash == BALL.hash
        assert make_proxy(mesh, 500).labels is None


def test_marks_are_part_of_the_hash():
    marked = [with_marks(BALL, UPPER), with_marks(BALL, 1 - UPPER), with_marks(BALL, marked_edges=[[0, 1]])]
    assert len({mesh.hash for mesh in [BALL, *marked, with_marks(marked[0], marked_edges=[[0, 1]])]}) == 5
    assert {mesh.topology_hash for mesh in marked} == {BALL.topology_hash}
    assert as_mesh((BALL.vertices, BALL.faces)).hash == BALL.hash


def test_edges_that_enclose_faces_part_them_and_others_do_not():
    edges = border_of(BALL, UPPER)
    joined = join_marks(BALL.faces, None, edges)
    assert np.array_equal(joined, joined[UPPER.argmax()] * UPPER + joined[UPPER.argmin()] * (1 - UPPER))
    assert len(np.unique(join_marks(BALL.faces, None, edges[1:]))) == 1  # a gap of one edge
    octants = (BALL.vertices[BALL.faces][:, :, 0].mean(axis=1) > 0).astype(np.int32)
    assert len(np.unique(join_marks(BALL.faces, octants, edges))) == 4


def test_sharp_edges_around_nearly_every_face_are_no_marks():
    sides = BALL.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(join_marks(BALL.faces, None, sides))) == 1
    balls = join(*(moved(sphere(1), (3.0 * k, 0, 0)) for k in range(70)))
    sides = balls.faces[::80][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)  # those of one face of each ball
    for enclosed, pieces in ((1, 71), (64, 134), (65, 70)):
        assert len(np.unique(join_marks(balls.faces, None, sides[: 3 * enclosed]))) == pieces


def test_edges_of_a_mesh_whose_vertices_are_not_joined_are_heard():
    soup = check(BALL.vertices[BALL.faces].reshape(-1, 3), np.arange(BALL.faces.size).reshape(-1, 3))
    first = np.full(len(BALL.vertices), -1)  # [V] a vertex of the soup in the same place
    first[BALL.faces.ravel()] = np.arange(BALL.faces.size)
    marked = with_marks(soup, marked_edges=first[border_of(BALL, UPPER)])
    assert len(np.unique(make_proxy(marked, 3000).labels)) == 2


@pytest.mark.parametrize("count", [200, 5000, 20000])  # decimated, as it is, refined
@pytest.mark.parametrize("by_edges", [False, True])
def test_vertices_of_a_proxy_have_the_label_of_the_faces_they_stand_for(count, by_edges):
    marks = {"marked_edges": border_of(BALL, UPPER)} if by_edges else {"labels": UPPER}
    mesh = with_marks(BALL, **marks)
    proxy = make_proxy(mesh, count)
    height = proxy.vertices[:, 2] / np.linalg.norm(proxy.vertices, axis=1).max()
    assert proxy.labels.dtype == np.int32 and proxy.labels.shape == (len(proxy.vertices),)
    reach = 2 / np.sqrt(min(count, len(BALL.vertices)))
    upper, lower = proxy.labels[height > 0.3 + reach], proxy.labels[height < 0.3 - reach]
    assert len(np.unique(upper)) == len(np.unique(lower)) == 1 and upper[0] != lower[0]


def test_labels_of_a_dense_mesh_outlive_its_thinning():
    dense = sphere(7)
    mesh = with_marks(dense, (dense.vertices[dense.faces][:, :, 2].mean(axis=1) > 0.3).astype(int))
    proxy = make_proxy(mesh, 1000)
    assert len(mesh.vertices) > DENSE
    clear = np.abs(proxy.vertices[:, 2] - 0.3) > 0.05
    upper = proxy.vertices[clear, 2] > 0.3
    assert np.array_equal(proxy.labels[clear] == proxy.labels[proxy.vertices[:, 2].argmax()], upper)


def test_sides_of_a_box_have_their_label_in_every_sample():
    cube = box()
    mesh = with_marks(cube, np.repeat(np.arange(6), 2))
    proxy = make_proxy(mesh, 500)
    size = np.abs(proxy.vertices).max()
    inside = (np.abs(proxy.vertices) > size * 0.999).sum(axis=1) == 1  # of a side, not of an edge
    side = np.abs(proxy.vertices).argmax(axis=1) * 2 + (proxy.vertices.max(axis=1) >= size * 0.999)
    pairs = np.unique(np.stack([side[inside], proxy.labels[inside]]), axis=1)
    assert pairs.shape == (2, 6) and len(np.unique(pairs[1])) == 6


def test_the_smaller_label_has_the_border():
    """A strip of unit squares, the last one of another label: both corners between them are its, whoever has more."""
    points = np.array([[x, y, 0.0] for x in range(4) for y in range(2)])
    faces = np.array([[0, 2, 1], [1, 2, 3], [2, 4, 3], [3, 4, 5], [4, 6, 5], [5, 6, 7]])
    for labels in ([0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 0, 0]):
        got = vertex_labels(points, faces, np.array(labels), np.arange(8), 9)
        assert got.tolist() == [labels[0]] * 4 + [labels[-1]] * 4 + [-1]


def test_a_sliver_does_not_have_the_border():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, -0.05, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 4, 1]])
    assert vertex_labels(points, faces, np.array([0, 0, 1]), np.arange(5), 5).tolist() == [0, 0, 0, 0, 1]
