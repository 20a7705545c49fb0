"""The geometric teacher sees through the same 2D path as any other."""

import numpy as np
from support.shapes import dumbbell, on_vertices, top

from iseg_core.parts.assembly import AssemblyFinder
from iseg_core.render.backends import make_rasterizer
from iseg_core.render.camera import sphere_cameras
from iseg_core.render.shading import shade
from iseg_core.storage.prepare import prepare
from iseg_core.teachers.geometric import GeometricTeacher
from iseg_core.teachers.teacher import RenderedView

MODEL = prepare(dumbbell(), 5000)
VERTICES, FACES = MODEL.proxy.vertices, MODEL.proxy.faces
TEACHER = GeometricTeacher(AssemblyFinder(MODEL.assembly), FACES, resolution=64)


def looked_at(index: int):
    camera = sphere_cameras(12)[index]
    raster = make_rasterizer(VERTICES, FACES).rasterize(camera, TEACHER.resolution)
    view = RenderedView(camera, raster, shade(raster, camera, VERTICES, FACES))
    return view, TEACHER.look(view)


def test_features_cover_the_view():
    view, embedding = looked_at(3)
    assert embedding.features.shape == (TEACHER.feature_dim, 64, 64)
    assert (embedding.features[:, view.raster.face_id < 0] == 0).all()
    assert (np.abs(embedding.features).sum(axis=0)[view.raster.face_id >= 0] > 0).all()


def test_masks_are_the_regions_drawn_into_the_view():
    view, embedding = looked_at(5)
    vertex = int(np.flatnonzero(view.raster.visible)[10])
    point = view.camera.project(VERTICES[[vertex]], 64).astype(np.float32)[None]
    masks, scores, logits = TEACHER.predict(embedding, point, np.ones((1, 1), dtype=np.int8))
    assert masks.shape == (1, 3, 64, 64) and masks.dtype == bool and logits is None
    assert ((scores > 0) & (scores < 1)).all()
    matrix = view.raster.matrix(FACES, len(VERTICES))
    for mask, region in zip(masks[0], TEACHER.regions(on_vertices((vertex, True))), strict=True):
        assert np.array_equal(mask.ravel()[view.raster.covered], matrix @ region.astype(np.float32) >= 0.5)
        assert not mask[view.raster.face_id < 0].any()


def test_padding_changes_nothing():
    view, embedding = looked_at(5)
    points = view.camera.project(VERTICES[np.flatnonzero(view.raster.visible)[[5, 40]]], 64).astype(np.float32)
    alone = TEACHER.predict(embedding, points[None, :1], np.array([[1]], dtype=np.int8))
    padded = TEACHER.predict(embedding, points[None], np.array([[1, -1]], dtype=np.int8))
    assert np.array_equal(alone.masks, padded.masks) and np.array_equal(alone.scores, padded.scores)


def test_hidden_targets_are_regions_of_the_surface():
    targets = TEACHER.hidden_targets(np.random.default_rng(0), 20)
    assert targets.shape == (20, len(VERTICES)) and targets.dtype == bool
    assert targets.any(axis=1).all()
    assert np.array_equal(targets, TEACHER.hidden_targets(np.random.default_rng(0), 20))


def test_only_exclusions_mean_nothing():
    clicks = on_vertices((top(MODEL.mesh), False))
    assert not TEACHER.regions(clicks).any()
