"""The optional CUDA rasteriser, drawn by a stand-in on the processor, and who chooses it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from support import nvdiffrast_fake
from support.shapes import dumbbell, tiny_settings
from support.triangles import FACES, VERTICES, soup, square

import iseg_core as iseg
from iseg_core.errors import SettingsError
from iseg_core.render import backends
from iseg_core.render.backends import make_rasterizer
from iseg_core.render.camera import sphere_cameras
from iseg_core.render.embree import EmbreeRasterizer
from iseg_core.render.raster import Raster, agreement
from iseg_core.training import observe

ROOT = Path(__file__).resolve().parents[3]
FINE = dumbbell(3)
FINE_VERTICES, FINE_FACES = FINE.vertices / 1.7, FINE.faces  # [V, 3] in the unit sphere, [F, 3]


@pytest.fixture(autouse=True)
def small_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "CHECK", (backends.CHECK[0], 32))


@pytest.mark.parametrize("shape", ["dumbbell", "soup"])
def test_it_sees_what_embree_sees(monkeypatch, shape):
    nvdiffrast_fake.install(monkeypatch)
    vertices, faces = (FINE_VERTICES, FINE_FACES) if shape == "dumbbell" else soup(3, 20)
    fast, slow = make_rasterizer(vertices, faces, "nvdiffrast"), make_rasterizer(vertices, faces, "embree")
    assert fast.name == "nvdiffrast"
    for camera, side in zip(sphere_cameras(5), (32, 32, 56, 96, 16), strict=True):
        found, wanted = fast.rasterize(camera, side), slow.rasterize(camera, side)
        assert (wanted.face_id >= 0).mean() > 0.1
        assert agreement(found, wanted).holds
        assert found.face_id.dtype == wanted.face_id.dtype and found.barycentrics.dtype == wanted.barycentrics.dtype
        assert np.array_equal(found.visible, wanted.visible)
        weights = found.barycentrics.reshape(-1, 3)  # [HW, 3]
        assert (weights >= 0).all() and np.allclose(weights[found.covered].sum(axis=1), 1, atol=1e-6)
        assert (weights[found.face_id.ravel() < 0] == 0).all()


def test_any_thread_may_draw(monkeypatch):
    nvdiffrast_fake.install(monkeypatch)
    fast, camera = make_rasterizer(VERTICES, FACES, "nvdiffrast"), sphere_cameras(2)[0]
    here = fast.rasterize(camera, 32)
    with ThreadPoolExecutor(1) as pool:
        there = pool.submit(fast.rasterize, camera, 32).result()
    assert np.array_equal(here.face_id, there.face_id) and np.array_equal(here.barycentrics, there.barycentrics)


@pytest.mark.parametrize("side", [30, 680])
def test_sizes_that_not_every_version_draws_are_left_to_embree(monkeypatch, side):
    nvdiffrast_fake.install(monkeypatch, change=lambda out: pytest.fail("it was asked"))
    camera = sphere_cameras(2)[0]
    found, wanted = (make_rasterizer(VERTICES, FACES, name).rasterize(camera, side) for name in backends.BACKENDS)
    assert np.array_equal(found.face_id, wanted.face_id) and np.array_equal(found.barycentrics, wanted.barycentrics)


# which one is taken


def test_auto_takes_what_has_shown_that_it_sees_the_same(monkeypatch):
    nvdiffrast_fake.install(monkeypatch)
    assert make_rasterizer(VERTICES, FACES).name == "nvdiffrast"
    assert make_rasterizer(VERTICES, FACES, "embree").name == "embree"


def raising(out: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no kernel image is available")


WRONG = {
    "rows from the top": lambda out: out.flip(1),
    "u and v exchanged": lambda out: out[..., [1, 0, 2, 3]],
    "face ids without the offset": lambda out: out - torch.tensor([0, 0, 0, 1]),
    "nothing": torch.zeros_like,
    "an error": raising,
}


@pytest.mark.parametrize("what", WRONG)
def test_auto_takes_embree_where_it_sees_something_else(monkeypatch, caplog, what):
    nvdiffrast_fake.install(monkeypatch, WRONG[what])
    with caplog.at_level("INFO"):
        assert make_rasterizer(VERTICES, FACES).name == "embree"
    assert "Embree draws the views" in caplog.text


def test_auto_takes_embree_where_corners_are_rounded_too_much(monkeypatch):
    """Drawn no finer than asked for, as nvdiffrast is made to be used, it shows other faces on fine meshes."""
    nvdiffrast_fake.install(monkeypatch, finest=32)
    assert make_rasterizer(FINE_VERTICES, FINE_FACES).name == "embree"
    nvdiffrast_fake.install(monkeypatch)
    assert make_rasterizer(FINE_VERTICES, FINE_FACES).name == "nvdiffrast"


def test_auto_takes_embree_without_a_device_and_for_no_faces(monkeypatch):
    nvdiffrast_fake.install(monkeypatch)
    assert make_rasterizer(VERTICES, np.zeros((0, 3), np.int32)).name == "embree"  # it refuses those
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert make_rasterizer(VERTICES, FACES).name == "embree"
    with pytest.raises(SettingsError, match="CUDA device and there is none.*'embree'"):
        make_rasterizer(VERTICES, FACES, "nvdiffrast")


def test_a_training_on_the_processor_leaves_the_gpu_alone(monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(observe, "make_rasterizer", lambda v, f, name: asked.append(name) or EmbreeRasterizer(v, f))
    iseg.train(dumbbell(1), preset=tiny_settings(), device="cpu")
    assert asked == ["embree"]


def test_torch_is_not_loaded_to_find_that_nvdiffrast_is_missing():
    code = "import sys, numpy as np; from iseg_core.render.backends import make_rasterizer; "
    code += "r = make_rasterizer(np.eye(3), np.array([[0, 1, 2]])); print(r.name, 'torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["embree", "False"]


# what the same is


def test_how_far_two_rasters_agree():
    vertices, faces = square(0.0, 0.6)
    one = EmbreeRasterizer(vertices, faces).rasterize(sphere_cameras(3)[0], 40)
    assert agreement(one, one) == (1.0, 0.0) and agreement(one, one).holds
    shown = one.covered  # [P]

    def changed(faces: int = 0, weights: float = 0.0, pixels: int = 0) -> Raster:
        face_id, barycentrics = one.face_id.copy(), one.barycentrics.copy()  # [H, W], [H, W, 3]
        face_id.ravel()[shown[:faces]] = -1
        barycentrics.reshape(-1, 3)[shown[-pixels or len(shown) :]] += weights
        return Raster(face_id, barycentrics, one.visible)

    assert agreement(one, changed(faces=1)) == (1 - 1 / 1600, 0.0) and agreement(one, changed(faces=1)).holds
    assert not agreement(one, changed(faces=2)).holds
    assert agreement(one, changed(weights=9e-4, pixels=len(shown))).holds
    assert agreement(one, changed(weights=2e-3, pixels=len(shown))).weights == pytest.approx(2e-3, rel=1e-3)
    assert not agreement(one, changed(weights=2e-3, pixels=len(shown) // 100)).holds
    nothing = Raster(np.full((4, 4), -1, np.int32), np.zeros((4, 4, 3), np.float32), one.visible)
    assert agreement(nothing, nothing).holds
