"""Checks of gpu.py: each returns rows, and raises AssertionError where the device computes something else."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from unittest import mock

import numpy as np
import torch
from gpu_setup import Clock, Scale, decoding, observed, random_sam
from speed import jack

import iseg_core as iseg
from iseg_core.errors import SettingsError
from iseg_core.network import Decoder, FeatureField
from iseg_core.render.backends import make_rasterizer
from iseg_core.render.camera import sphere_cameras
from iseg_core.render.embree import EmbreeRasterizer
from iseg_core.render.raster import Agreement, agreement
from iseg_core.storage.prepare import prepare
from iseg_core.teachers.sam import SamTeacher
from iseg_core.teachers.teacher import RenderedView
from iseg_core.training.batches import VoteBatches
from iseg_core.training.fit import FieldLoss, fit_field
from iseg_core.training.observations import Observations
from iseg_core.training.run import Run
from iseg_core.training.train import train

GRADIENT, FIELD, FIELD_LOSS = 1e-3, 5e-2, 0.25  # relative errors
ANSWER = 0.98  # share of the vertices on the same side


def check_gradients(device: torch.device, scale: Scale) -> list[dict]:
    """Gradients of both losses, the field and the logits: device against processor."""
    observations, run = observed(scale)
    vertices = run.proxy.vertices  # [P, 3]
    points = torch.as_tensor(vertices, dtype=torch.float32)  # [P, 3]
    rows = []

    def compare(name: str, run: Callable[[torch.device], torch.Tensor], most: float) -> None:
        ours, theirs = run(torch.device("cpu")), run(device).cpu()
        error = float((ours - theirs).norm() / ours.norm().clamp_min(1e-12))
        rows.append({"check": name, "relative error": error, "at most": most})
        assert error <= most, f"{name}: relative error {error:.2e}, at most {most:.0e}"

    dim = observations.b.shape[1]

    def field_gradient(where: torch.device) -> torch.Tensor:
        f = torch.randn(len(vertices), dim, generator=torch.Generator().manual_seed(0)).to(where).requires_grad_()
        FieldLoss(observations)(f).backward()
        assert f.grad is not None
        return f.grad

    def network_gradient(where: torch.device) -> torch.Tensor:
        field = FeatureField(dim, generator=torch.Generator().manual_seed(0)).to(where)
        FieldLoss(observations).of(field, points.to(where)).backward()
        return torch.cat([p.grad.flatten() for p in field.parameters() if p.grad is not None])

    features = torch.randn(len(vertices), dim, generator=torch.Generator().manual_seed(1))  # [P, d]

    def decoder_gradient(where: torch.device) -> torch.Tensor:
        draws = torch.Generator().manual_seed(2)
        decoder = Decoder(dim, scale.settings.decoder_widths, draws).to(where)
        source = VoteBatches(observations, vertices, scale.settings, draws)
        batch, moved = source.draw(), features.to(where)
        clicked, signs, kind = (t.to(where) for t in batch.clicks)
        prepared = decoder.precompute(moved[batch.vertices.to(where)])
        source.loss(batch, decoder.decode(prepared, moved[clicked], signs, kind)).backward()
        return torch.cat([p.grad.flatten() for p in decoder.parameters() if p.grad is not None])

    compare("gradient of equation 3", field_gradient, GRADIENT)
    compare("gradient of the field", network_gradient, 10 * GRADIENT)
    compare("gradient of the decoder", decoder_gradient, 10 * GRADIENT)

    def one_step(where: torch.device) -> torch.Tensor:
        with mock.patch("iseg_core.training.fit.reduced_precision", nullcontext):  # bf16 has gone its own way by then
            return _field(observations, replace(run, settings=replace(run.settings, field_steps=1), device=where))

    def loss(where: torch.device) -> torch.Tensor:
        """Compare whole fits, each with its device's own precision."""
        features = _field(observations, replace(run, device=where)).cpu()  # [P, d]
        return FieldLoss(observations)(features)[None]  # [1]

    compare("features of the field, one step", one_step, FIELD)  # each further one multiplies what rounding differs
    compare("loss of the field, all steps", loss, FIELD_LOSS)
    return rows


def _field(observations: Observations, run: Run) -> torch.Tensor:
    """Features of a trained field, in the teacher's units. [P, d]"""
    field = fit_field(run, observations, torch.Generator().manual_seed(0))
    points = torch.as_tensor(run.proxy.vertices, dtype=torch.float32, device=run.device)  # [P, 3]
    return (field(points) * field.unit).detach()


def check_replayed(device: torch.device, scale: Scale) -> list[dict]:
    """Gradients of the decoder as one CUDA graph against those computed kernel by kernel, in single precision."""
    seen, found = observed(scale), []
    with mock.patch("iseg_core.training.fit.reduced_precision", nullcontext):
        for replayed in (False, True):
            gradients = decoding(seen, device, scale, replayed)
            found.append([torch.cat([g.flatten() for g in gradients()]).clone() for _ in range(3)])
    error = max(float((a - b).norm() / a.norm().clamp_min(1e-12)) for a, b in zip(*found, strict=True))
    assert error <= 10 * GRADIENT, f"replayed gradients: relative error {error:.2e}"
    return [{"check": "replayed gradients", "relative error": error, "at most": 10 * GRADIENT}]


def check_answers(device: torch.device, scale: Scale) -> list[dict]:
    """Ask one model on both devices; compare the answers of decoders trained on each to training clicks."""
    mesh = jack(scale.vertices)
    model = train(mesh, preset=scale.settings, device=str(device))
    ours, theirs = iseg.Segmenter(model, device="cpu"), iseg.Segmenter(model, device=str(device))
    pairs = np.random.default_rng(0).permutation(len(mesh.vertices))[:20].reshape(10, 2)  # [10, 2]
    clicks = [[(int(v), True), (int(w), False)] for v, w in pairs]
    same, apart = [], 0.0
    for made in clicks:
        for refine in (True, False):
            ours.refine = theirs.refine = refine
            a, b = ours.segment(clicks=made), theirs.segment(clicks=made)  # [V] each
            same.append(float(((a >= 0.5) == (b >= 0.5)).mean()))
            apart = max(apart, float(np.abs(a - b).mean()))
    row = {"check": "answers of one model", "same side": min(same), "at least": ANSWER, "mean distance": apart}
    assert min(same) >= ANSWER, f"answers: only {min(same):.4f} of the vertices are on the same side"
    return [row]


def check_sam(device: torch.device, scale: Scale) -> list[dict]:
    """SAM on the device against SAM on the processor, tiny; and batches that do not fit are halved."""
    rng = np.random.default_rng(0)
    views = []
    for _ in range(5):
        blocks = rng.integers(0, 256, (7, 7, 3), dtype=np.uint8)  # [7, 7, 3]
        image = np.kron(blocks, np.ones((32, 32, 1), dtype=np.uint8))  # [224, 224, 3]
        views.append(RenderedView(None, None, image))  # type: ignore[arg-type]  SAM looks at the picture alone
    one, other = (SamTeacher(random_sam("tiny"), "sam", "random", d) for d in ("cpu", device))
    expected, found = one.look_many(views), other.look_many(views)
    error = max(
        float(np.abs(a.features - b.features).max() / np.abs(a.features).max())
        for a, b in zip(expected, found, strict=True)
    )
    points = rng.uniform(0, 224, (12, 2, 2)).astype(np.float32)  # [Q, N, 2]
    labels = np.ones((12, 2), dtype=np.int8)  # [Q, N]
    masks = one.predict(expected[0], points, labels).masks == other.predict(found[0], points, labels).masks
    rows = [
        {"check": "sam: features", "relative error": error, "at most": 0.05},
        {"check": "sam: pixels of the masks alike", "share": float(masks.mean()), "at least": 0.9},
    ]
    assert error <= 0.05 and masks.mean() >= 0.9, f"sam differs: features {error:.3f}, masks {masks.mean():.3f}"
    rows.append(_check_halving(device, scale, views))
    return rows


def _check_halving(device: torch.device, scale: Scale, views: list[RenderedView]) -> dict:
    """Fill a GPU where there is one; else let an encoder say that it is full."""
    teacher = SamTeacher(random_sam("tiny" if scale.tiny else "vit_b"), "sam", "random", device)
    expected = teacher.look_many(views)
    teacher._views.size = 64
    many = views * 13  # [65 views]
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        teacher.look(views[0])
        single = torch.cuda.max_memory_allocated(device)
        free, total = torch.cuda.mem_get_info(device)
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, 4 * single / total), device)
    else:
        forward = teacher._sam.image_encoder.forward

        def full(x: torch.Tensor) -> torch.Tensor:
            if len(x) > 4:
                raise torch.OutOfMemoryError("out of memory")
            return forward(x)

        teacher._sam.image_encoder.forward = full
    try:
        found = teacher.look_many(many)
    finally:
        if device.type == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0, device)
    size = teacher.views_at_once
    assert size < 64, "64 views went through: nothing was tested"
    alike = max(float(np.abs(f.features - e.features).max()) for f, e in zip(found, expected * 13, strict=True))
    largest = max(float(np.abs(e.features).max()) for e in expected)
    assert alike <= 0.05 * largest, f"after halving, features differ by {alike / largest:.3f}"
    return {"check": "out of memory: views at once, from 64", "views": size, "relative error": alike / largest}


def check_rasters(device: torch.device, scale: Scale) -> list[dict]:
    """nvdiffrast against Embree: the same faces, the same places on them."""
    mesh = prepare(jack(scale.vertices), scale.vertices).proxy
    try:
        fast = make_rasterizer(mesh.vertices, mesh.faces, "nvdiffrast")
    except SettingsError as error:
        return [{"check": "nvdiffrast against embree", "result": f"not run: {error}"}]
    slow, clock = EmbreeRasterizer(mesh.vertices, mesh.faces), Clock(device)
    found = [agreement(slow.rasterize(camera, 224), fast.rasterize(camera, 224)) for camera in sphere_cameras(20)]
    worst = Agreement(min(view.faces for view in found), max(view.weights for view in found))
    camera = sphere_cameras(20)[0]
    row = {
        "check": "nvdiffrast against embree",
        "same face": worst.faces,
        "weights apart (99.9 %)": worst.weights,
        "embree ms": 1e3 * clock.of(lambda: slow.rasterize(camera, 224), scale.repeats),
        "nvdiffrast ms": 1e3 * clock.of(lambda: fast.rasterize(camera, 224), scale.repeats),
    }
    assert worst.holds, f"nvdiffrast sees something else: {row}"
    return [row]
