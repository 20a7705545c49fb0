"""Borders that differ by rounding are one; what is meant apart is not."""

import numpy as np
import pytest
from support.shapes import join, moved, sphere

import iseg_core as iseg
from iseg_core.geometry.mesh import Mesh
from iseg_core.geometry.seams import border_vertices, close_seams


def tube(rings: int = 12, around: int = 16, length: float = 4.0) -> Mesh:
    """An open tube along z."""
    angle = np.arange(around) * 2 * np.pi / around
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    vertices = np.concatenate([np.c_[circle, np.full(around, z)] for z in np.linspace(0, length, rings)])
    at = np.arange((rings - 1) * around).reshape(rings - 1, around)
    a, b, c, d = (x.ravel() for x in (at, np.roll(at, -1, 1), np.roll(at, -1, 1) + around, at + around))
    return Mesh(vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32))


def halves(gap: float) -> Mesh:
    """Two tubes, end to end but for a gap."""
    return join(tube(), moved(tube(), (0, 0, 4 + gap)))


def test_border_vertices_are_the_rims():
    mesh = tube()
    assert border_vertices(mesh.faces, len(mesh.vertices)).tolist() == [*range(16), *range(176, 192)]
    turned = mesh.faces.copy()
    turned[::3] = turned[::3, ::-1]
    assert border_vertices(turned, len(mesh.vertices)).tolist() == [*range(16), *range(176, 192)]
    assert len(border_vertices(sphere(2).faces, 162)) == 0


@pytest.mark.parametrize(("gap", "joined"), [(1e-7, 16), (1e-5, 16), (1e-3, 0), (0.05, 0)])
def test_what_differs_by_rounding_is_joined(gap, joined):
    mesh = halves(gap)
    ids = close_seams(mesh.vertices, mesh.faces)
    assert len(mesh.vertices) - len(np.unique(ids)) == joined
    assert ids[0] == 0 and (np.diff(np.unique(ids, return_index=True)[1]) > 0).all()  # as they first appear


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_tolerance_is_the_meshs_own(scale):
    mesh = halves(1e-6)
    assert len(np.unique(close_seams(mesh.vertices * scale, mesh.faces))) == len(mesh.vertices) - 16


def test_closed_shells_and_short_edges_are_left_alone():
    ball = sphere(3)
    near = join(ball, moved(ball, (1e-7, 0, 0)))
    assert len(np.unique(close_seams(near.vertices, near.faces))) == len(near.vertices)
    # A strip as narrow as the tolerance is no seam: its own edges are as short.
    strip = Mesh(
        np.array([[x, y, 0.0] for x in np.arange(40) for y in (0, 1e-5)]),
        np.array(
            [[2 * k, 2 * k + 2, 2 * k + 1] for k in range(39)] + [[2 * k + 1, 2 * k + 2, 2 * k + 3] for k in range(39)],
            dtype=np.int32,
        ),
    )
    assert len(np.unique(close_seams(strip.vertices, strip.faces))) == 80


def test_a_seam_in_the_last_bit_does_not_change_an_answer():
    whole, cut = join(tube(12), moved(tube(12), (0, 0, 4))), halves(np.spacing(np.float32(4)))
    for vertex in (5, 100, 250):
        answers = [iseg.instant(mesh).segment(positive=[vertex]) >= 0.5 for mesh in (whole, cut)]
        assert np.array_equal(answers[0], answers[1])
        assert answers[0].sum() > 3
