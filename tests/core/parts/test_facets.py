"""Facets: flat pieces between creases, one of which a click on a mesh of few faces may mean."""

import numpy as np
import pytest
from support.shapes import box, join, moved, sphere

import iseg_core as iseg
from iseg_core.geometry.proxy import make_proxy
from iseg_core.parts.assembly import Assembly
from iseg_core.parts.facets import find_facets
from iseg_core.parts.measure import measure

CUBE = box()
MIDDLE, CORNERWARDS = (0.34, 0.33, 0.33), (0.8, 0.1, 0.1)


def facets_of(mesh):
    proxy = make_proxy(mesh, 5000)
    return find_facets(proxy.vertices, proxy.faces), proxy


def test_a_cube_has_six_and_a_ball_none():
    facets, proxy = facets_of(CUBE)
    names, counts = np.unique(facets, return_counts=True)
    assert len(names) == 7 and names[0] == -1 and counts[1:].min() == counts[1:].max()
    for name in names[1:]:
        assert np.isclose(np.ptp(proxy.vertices[facets == name], axis=0).min(), 0, atol=1e-9)
    assert (facets_of(sphere())[0] == -1).all()


def test_faces_turned_over_and_small_ones():
    """One winding more or less changes nothing; a flat piece of a few faces is no facet."""
    facets, proxy = facets_of(CUBE)
    turned = proxy.faces.copy()
    turned[::3] = turned[::3, ::-1]
    assert np.array_equal(find_facets(proxy.vertices, turned) >= 0, facets >= 0)
    assert (find_facets(CUBE.vertices, CUBE.faces) == -1).all()
    assert len(find_facets(np.zeros((3, 3)), np.zeros((0, 3), np.int32))) == 3


@pytest.mark.parametrize("point", [MIDDLE, CORNERWARDS])
def test_fine_is_the_side_of_a_cube(point):
    segmenter = iseg.instant(CUBE)
    for face in range(12):
        clicks, side = [(iseg.SurfacePoint(face, point), True)], face // 2 * 2
        fine = segmenter.segment(clicks, granularity="fine", domain="face") >= 0.5
        assert np.flatnonzero(fine).tolist() == [side, side + 1]


def test_what_a_model_stores_has_them():
    """Of two clusters, in the vertices' order; a file without them is read."""
    proxy = make_proxy(join(moved(CUBE, (9, 0, 0)), sphere(2), moved(CUBE, (0, 9, 0))), 5000)
    assembly = measure(proxy.vertices, proxy.faces)
    arrays = assembly.arrays()
    assert np.array_equal(arrays["facets"], find_facets(proxy.vertices, proxy.faces))
    for surface, again in zip(assembly.surfaces, Assembly.from_arrays(proxy.vertices, arrays).surfaces, strict=True):
        assert np.array_equal(surface.facets, again.facets) and len(again.facets) == surface.vertex_count
    del arrays["facets"]
    assert all(len(surface.facets) == 0 for surface in Assembly.from_arrays(proxy.vertices, arrays).surfaces)
