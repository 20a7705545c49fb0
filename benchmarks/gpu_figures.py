"""Figures of gpu.py: each returns rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gpu_setup import Clock, Scale, StandIn, decoding, observed, random_sam
from speed import jack
from torch.utils.flop_counter import FlopCounterMode

import iseg_core as iseg
from iseg_core.network import Decoder
from iseg_core.storage.trained_model import Model
from iseg_core.teachers.sam import SamTeacher
from iseg_core.teachers.teacher import RenderedView
from iseg_core.training.cuda_graph import Replayed
from iseg_core.training.train import train


def limits(device: torch.device, scale: Scale) -> list[dict]:
    """Measure what the device does at most: one large product, one copy of a large array."""
    clock, rows, n = Clock(device), [], scale.matrix
    kinds = [("float32", torch.float32, False)]
    if device.type == "cuda":
        kinds += [("TF32", torch.float32, True), ("bf16", torch.bfloat16, False)]
    before = torch.get_float32_matmul_precision()
    for name, kind, tf32 in kinds:
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        a = torch.randn(n, n, device=device, dtype=kind)  # [n, n]
        seconds = clock.of(lambda a=a: a @ a, scale.repeats)
        rows.append({"limit": f"product, {name}", "value": 2 * n**3 / seconds / 1e12, "unit": "TFLOP/s"})
    torch.set_float32_matmul_precision(before)
    x = torch.empty(scale.stream, dtype=torch.uint8, device=device)
    y = torch.empty_like(x)
    seconds = clock.of(lambda: y.copy_(x), scale.repeats)
    rows.append({"limit": "copy (read and write)", "value": 2 * scale.stream / seconds / 1e9, "unit": "GB/s"})
    return rows


def sam_stages(device: torch.device, scale: Scale) -> list[dict]:
    """Time a view and a prompt at several batch sizes."""
    clock, rows = Clock(device), []
    teacher = SamTeacher(random_sam(scale.architecture), "sam", "random", device)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)  # [224, 224, 3]
    view = RenderedView(None, None, image)  # type: ignore[arg-type]
    flops = _encoder_flops(scale)
    for size in (1, 2) if scale.tiny else (1, 4, 8, 16):
        teacher._views.size = size
        seconds = clock.of(lambda size=size: teacher.look_many([view] * size), scale.repeats) / size
        fits = min(size, teacher.views_at_once)
        name = f"{scale.architecture}: a view, {fits} at once"
        rows.append({"stage": name, "ms": 1e3 * seconds, "TFLOP/s": flops / seconds / 1e12})
    embedding = teacher.look(view)
    for size in (1, 4) if scale.tiny else (1, 16, 64, 128):
        teacher._prompts.size = size
        points = np.full((size, 1, 2), 112.0, dtype=np.float32)  # [Q, 1, 2]
        labels = np.ones((size, 1), dtype=np.int8)  # [Q, 1]
        seconds = clock.of(lambda p=points, k=labels: teacher.predict(embedding, p, k), scale.repeats) / size
        name = f"{scale.architecture}: a prompt, {min(size, teacher._prompts.size)} at once"
        rows.append({"stage": name, "ms": 1e3 * seconds})
    return rows


def _encoder_flops(scale: Scale) -> int:
    """Count the operations of the products in encoding one view, not computed: that and autocast do not agree."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.inference_mode():
        encoder = random_sam(scale.architecture).image_encoder
        encoder(torch.empty(1, 3, encoder.img_size, encoder.img_size))  # [1, 3, S, S]
    return counter.get_total_flops()


def trainings(device: torch.device, scale: Scale) -> list[dict]:
    """Whole runs, each stage apart, and what a query costs afterwards."""
    clock, rows, mesh = Clock(device), [], jack(scale.vertices)
    sam = SamTeacher(random_sam(scale.architecture), "sam", "random", device)
    made: list[StandIn] = []

    def stand_in(model: Model) -> StandIn:
        made.append(StandIn(sam, model, clock))
        return made[-1]

    for name, teacher, settings in (
        ("geometric", "geometric", scale.settings),
        ("sam", stand_in, scale.sam_settings),
    ):
        train(mesh, "geometric", replace(settings, views=2, field_steps=2, decoder_steps=2), device=str(device))  # warm
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        began = clock.now()
        model = train(mesh, teacher, settings, device=str(device))  # type: ignore[arg-type]
        seconds = clock.now() - began
        stages = {f"{stage} s": value for stage, value in model.info["seconds"].items()}
        own = made[-1].seconds["own"] if name == "sam" else 0.0  # no part of a real training
        row = {
            "run": f"training, {name}",
            "views": settings.views,
            "seconds": seconds - own,
            "stand-in s": own,
            **stages,
        }
        if device.type == "cuda":
            row["peak GB"] = torch.cuda.max_memory_allocated(device) / 2**30
        rows.append(row)
        if name == "sam":
            told = made[-1]
            rows.append(
                {
                    "run": "teacher, sam",
                    "views": told.counts["look"],
                    "seconds": told.seconds["look"] + told.seconds["predict"],
                    "look s": told.seconds["look"],
                    "predict s": told.seconds["predict"],
                    "prompts": told.counts["predict"],
                    "of them pairs": told.counts["pairs"],
                }
            )
        else:
            rows += _queries(model, device, scale)
    return rows


def _queries(model: Model, device: torch.device, scale: Scale) -> list[dict]:
    """Time the trained student alone, as the paper counts, and the refined answer, mostly the processor's work."""
    clock, rows = Clock(device), []
    vertices = np.random.default_rng(0).permutation(len(model.mesh.vertices))  # [V]
    for name, refine in (("query", False), ("query, refined", True)):
        segmenter, times = iseg.Segmenter(model, device=str(device), refine=refine), []
        for k in range(5 + 10 * scale.repeats):
            began = clock.now()
            segmenter.segment(positive=[int(vertices[k])])
            times.append(clock.now() - began)
        rows.append({"run": name, "ms": 1e3 * float(np.median(times[5:]))})
    return rows


def graphs(device: torch.device, scale: Scale) -> list[dict]:
    """Measure what CUDA graphs and torch.compile would save: decoder step, student's answer, view of SAM.

    The decoder's steps are replayed in every training on CUDA; the others are not, unless this says that it pays.
    """
    clock, rows = Clock(device), []

    def compare(name: str, run: Callable[[], Any], other: Callable[[], Any], how: str) -> None:
        seconds, others = clock.of(run, scale.repeats), clock.of(other, scale.repeats)
        rows.append(
            {"what": name, "how": how, "ms": 1e3 * seconds, f"{how} ms": 1e3 * others, "ratio": seconds / others}
        )

    seen = observed(scale)
    plain, replayed = (decoding(seen, device, scale, way) for way in (False, True))
    compare("gradients of the decoder", plain, replayed, "replayed")

    dim = seen[0].b.shape[1]
    decoder = Decoder(dim, scale.settings.decoder_widths).to(device).eval()
    signs = torch.ones(1, 3, dtype=torch.int64, device=device)  # [1, 3]
    part = torch.ones(1, dtype=torch.int64, device=device)  # [1]
    features = torch.randn(scale.vertices, dim, generator=torch.Generator().manual_seed(1)).to(device)  # [P, d]
    prepared, clicked = decoder.precompute(features), features[None, :3]  # clicked [1, 3, d]
    with torch.inference_mode():
        answer = Replayed(lambda c: (decoder.decode(prepared, c, signs, part),), device)
        compare("answer", lambda: decoder.decode(prepared, clicked, signs, part), lambda: answer(clicked), "replayed")
    if device.type == "cuda":
        rows.append(_compiled(device, scale, clock))
    return rows


def _compiled(device: torch.device, scale: Scale, clock: Clock) -> dict:
    """SAM's encoder, 8 views at once, as it is and compiled."""
    teacher = SamTeacher(random_sam(scale.architecture), "sam", "random", device)
    size = teacher._sam.image_encoder.img_size
    images = torch.randn(2 if scale.tiny else 8, 3, size, size, device=device)  # [B, 3, S, S]
    encoder = teacher._sam.image_encoder
    row: dict[str, Any] = {"what": f"{scale.architecture}: a view", "how": "compiled"}
    with torch.inference_mode(), teacher._autocast():
        row["ms"] = 1e3 * clock.of(lambda: encoder(images), scale.repeats) / len(images)
        try:
            compiled, began = torch.compile(encoder), clock.now()
            compiled(images)
            row["once s"] = clock.now() - began
            row["compiled ms"] = 1e3 * clock.of(lambda: compiled(images), scale.repeats) / len(images)
            row["ratio"] = row["ms"] / row["compiled ms"]
        except Exception as error:  # of the compiler, which needs Triton and a C compiler
            row["compiled ms"] = f"not run: {type(error).__name__}"
    return row
