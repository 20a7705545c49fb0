"""All checks and figures that need a GPU, in one run of some minutes: prints tables, writes JSON and Markdown.

python benchmarks/gpu.py [--device cuda] [-o out/gpu]             on the GPU; stops with a sentence where there is none
python benchmarks/gpu.py --device cpu --tiny                      the same program, small: proves that it runs

Checks: the device computes what the processor computes (gradients, fields, answers, SAM), running out of memory halves
the batch, nvdiffrast sees what Embree sees (where it is installed). Figures: what the device can do at most, SAM's
encoder and decoder, a whole training with SAM (ViT-H with random weights: the same cost, useless masks) and with the
geometric teacher, queries; each stage apart. A failed check is reported and ends the program with the exit status 1.
"""

import argparse
import json
import platform
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import iseg_core as iseg
from iseg_core.batches import VoteBatches
from iseg_core.device import pick_device
from iseg_core.errors import SettingsError
from iseg_core.fit import FieldLoss, fit_field
from iseg_core.model import Decoder, FeatureField
from iseg_core.observe import Observations, observe
from iseg_core.presets import Settings, get_settings
from iseg_core.raster import Agreement, EmbreeRasterizer, agreement, make_rasterizer
from iseg_core.segmenter import prepare
from iseg_core.store import Model
from iseg_core.teacher import SCALES, Embedding, Prediction, RenderedView
from iseg_core.teacher.sam import SamTeacher
from iseg_core.train import make_teacher, train
from iseg_core.views import sphere_cameras

sys.path.insert(0, str(Path(__file__).resolve().parent))
from speed import jack  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = Console(width=None if sys.stdout.isatty() else 140)
GRADIENT, FIELD, FIELD_LOSS = 1e-3, 5e-2, 0.25  # relative errors
ANSWER = 0.99  # share of the vertices on the same side
GOALS = {
    "training, sam": ("seconds", 60.0),
    "teacher, sam": ("seconds", 25.0),
    "training, geometric": ("seconds", 10.0),
    "query": ("ms", 3.0),
}


class Scale:
    """The sizes of a run: whole, or tiny."""

    def __init__(self, tiny: bool):
        self.tiny = tiny
        self.vertices = 300 if tiny else 3000
        self.architecture = "tiny" if tiny else "vit_h"
        self.matrix = 256 if tiny else 8192
        self.stream = 1 << (20 if tiny else 30)  # bytes
        self.repeats = 2 if tiny else 10
        self.settings = get_settings("standard")
        if tiny:
            self.settings = replace(
                self.settings, views=4, click_range=(24, 24), hidden_targets=4, field_steps=5, decoder_steps=5
            )
        self.sam_settings = self.settings if tiny else replace(self.settings, views=200)


class Clock:
    """Seconds of work on a device."""

    def __init__(self, device: torch.device):
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    def of(self, run: Callable[[], Any], repeats: int) -> float:
        """Median of some runs, after one that is not counted."""
        run()
        times = []
        for _ in range(repeats):
            began = self.now()
            run()
            times.append(self.now() - began)
        return float(np.median(times))


def random_sam(architecture: str) -> Any:
    """A Sam of the official classes with random weights: an official architecture, or a tiny one."""
    from segment_anything import sam_model_registry
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(0)
    if architecture != "tiny":
        return sam_model_registry[architecture]()
    encoder = ImageEncoderViT(
        img_size=128,
        embed_dim=48,
        depth=2,
        num_heads=2,
        out_chans=32,
        use_rel_pos=True,
        window_size=3,
        global_attn_indexes=(1,),
    )
    prompts = PromptEncoder(embed_dim=32, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, num_heads=4, mlp_dim=64)
    return Sam(encoder, prompts, MaskDecoder(transformer_dim=32, transformer=transformer, iou_head_hidden_dim=32))


class StandIn:
    """SAM at its full cost, with answers that make sense: parts of three sizes, so that second clicks are asked, too.

    SAM computes everything, and its masks are thrown away. `seconds` is what it took: the teacher's time.
    """

    name = fingerprint = "sam with random weights"

    def __init__(self, sam: SamTeacher, model: Model, clock: Clock):
        self.sam, self.clock = sam, clock
        self.feature_dim, self.resolution = sam.feature_dim, sam.resolution
        points, self.faces = model.proxy.vertices, model.proxy.faces  # [P, 3], [G, 3]
        arm = np.abs(points).argmax(axis=1)  # [P]
        part = 2 * arm + (points[np.arange(len(points)), arm] > 0)  # [P] 0..5: one of the jack's arms
        slices = 8 * part + np.digitize(np.linalg.norm(points, axis=1), [0.4, 0.6, 0.8])  # [P]
        self.labels = np.stack([slices, part, arm])  # [3, P]
        self.seconds = {"look": 0.0, "predict": 0.0, "own": 0.0}  # own: of the answers that make sense
        self.counts = {"look": 0, "predict": 0, "pairs": 0}

    @property
    def views_at_once(self) -> int:
        return self.sam.views_at_once

    def look(self, view: RenderedView) -> Embedding:
        return self.look_many([view])[0]

    def look_many(self, views: list[RenderedView]) -> list[Embedding]:
        began = self.clock.now()
        found = self.sam.look_many(views)
        self.seconds["look"] += self.clock.now() - began
        self.counts["look"] += len(views)
        return [replace(e, data=(e.data, self._shown(view))) for e, view in zip(found, views, strict=True)]

    def _shown(self, view: RenderedView) -> np.ndarray:
        """Label of each pixel at each scale, -1 where nothing is. [3, H, W]"""
        raster = view.raster
        corner = np.take_along_axis(self.faces[raster.face_id], raster.barycentrics.argmax(axis=2)[..., None], axis=2)[
            ..., 0
        ]  # [H, W]
        return np.where(raster.face_id >= 0, self.labels[:, corner], -1)

    def predict(self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: Any = None) -> Prediction:
        encoded, shown = embedding.data
        began = self.clock.now()
        answer = self.sam.predict(replace(embedding, data=encoded), points, labels, prior)
        self.seconds["predict"] += self.clock.now() - began
        self.counts["predict"] += len(points)
        self.counts["pairs"] += len(points) if points.shape[1] > 1 else 0
        began = self.clock.now()
        masks = self._masks(shown, points, labels)  # [3, Q, H, W]
        self.seconds["own"] += self.clock.now() - began
        scores = np.full((len(points), len(SCALES)), 0.9, dtype=np.float32)  # [Q, 3]
        return Prediction(np.ascontiguousarray(masks.transpose(1, 0, 2, 3)), scores, answer.logits)

    @staticmethod
    def _masks(shown: np.ndarray, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The part of the first click, with or without the slice of each further one. [3, Q, H, W]"""
        column, row = points.astype(np.int64).transpose(2, 0, 1)  # [Q, N] each
        clicked = shown[:, row, column]  # [3, Q, N]
        masks = shown[:, None] == clicked[:, :, 0, None, None]  # [3, Q, H, W]
        for n in range(1, points.shape[1]):
            own = shown[0][None] == clicked[0, :, n, None, None]  # [Q, H, W]
            add = (labels[:, n] == 1)[None, :, None, None]
            masks = np.where(add, masks | own, masks & ~own)  # [3, Q, H, W]
        return masks


# checks: each returns rows and raises AssertionError where it fails


def check_gradients(device: torch.device, scale: Scale) -> list[dict]:
    """Gradients of both losses, the field and the logits: device against processor."""
    observations, vertices = _observed(scale)
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

    def few_steps(where: torch.device) -> torch.Tensor:
        with mock.patch("iseg_core.fit.reduced_precision", nullcontext):  # bf16 has gone its own way by then
            return _field(observations, vertices, replace(scale.settings, field_steps=5), where)

    def loss(where: torch.device) -> torch.Tensor:
        """Of a whole fit, with each one's own precision."""
        features = _field(observations, vertices, scale.settings, where).cpu()  # [P, d]
        return FieldLoss(observations)(features)[None]  # [1]

    compare("features of the field, few steps", few_steps, FIELD)
    compare("loss of the field, all steps", loss, FIELD_LOSS)
    return rows


def _observed(scale: Scale) -> tuple[Observations, np.ndarray]:
    model = prepare(jack(scale.vertices), scale.settings.proxy_vertices)
    vertices, faces = model.proxy.vertices, model.proxy.faces
    settings = replace(scale.settings, views=min(scale.settings.views, 20))
    teacher, rng = make_teacher("geometric", model), np.random.default_rng(0)
    cameras = sphere_cameras(settings.views)
    return observe(teacher, make_rasterizer(vertices, faces), cameras, vertices, faces, settings, rng), vertices


def _field(observations: Observations, vertices: np.ndarray, settings: Settings, device: torch.device) -> torch.Tensor:
    """Features of a trained field, in the teacher's units. [P, d]"""
    field = fit_field(observations, vertices, settings, torch.Generator().manual_seed(0), device=device)
    points = torch.as_tensor(vertices, dtype=torch.float32, device=device)  # [P, 3]
    return (field(points) * field.unit).detach()


def check_answers(device: torch.device, scale: Scale) -> list[dict]:
    """One model asked on both; and decoders that were trained on both answer training clicks alike."""
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
    """A GPU that is really full where there is one; else an encoder that says so."""
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
    assert alike <= 0.02 * largest, f"after halving, features differ by {alike / largest:.3f}"
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


# figures


def limits(device: torch.device, scale: Scale) -> list[dict]:
    """What the device does at most: one large product, one copy of a large array."""
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
    """A view and a prompt, at several batch sizes."""
    clock, rows = Clock(device), []
    teacher = SamTeacher(random_sam(scale.architecture), "sam", "random", device)
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)  # [224, 224, 3]
    view = RenderedView(None, None, image)  # type: ignore[arg-type]
    for size in (1, 2) if scale.tiny else (1, 4, 8, 16):
        teacher._views.size = size
        seconds = clock.of(lambda size=size: teacher.look_many([view] * size), scale.repeats) / size
        rows.append({"stage": f"{scale.architecture}: a view, {size} at once", "ms": 1e3 * seconds})
    embedding = teacher.look(view)
    for size in (1, 4) if scale.tiny else (1, 16, 64, 128):
        teacher._prompts.size = size
        points = np.full((size, 1, 2), 112.0, dtype=np.float32)  # [Q, 1, 2]
        labels = np.ones((size, 1), dtype=np.int8)  # [Q, 1]
        seconds = clock.of(lambda p=points, k=labels: teacher.predict(embedding, p, k), scale.repeats) / size
        rows.append({"stage": f"{scale.architecture}: a prompt, {size} at once", "ms": 1e3 * seconds})
    return rows


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
            rows.append({"run": "query", **_query(model, device, scale)})
    return rows


def _query(model: Model, device: torch.device, scale: Scale) -> dict:
    """The trained student alone, as the paper counts, and the refined answer."""
    clock, row = Clock(device), {}
    vertices = np.random.default_rng(0).permutation(len(model.mesh.vertices))  # [V]
    for name, refine in (("ms", False), ("refined ms", True)):
        segmenter, times = iseg.Segmenter(model, device=str(device), refine=refine), []
        for k in range(5 + 10 * scale.repeats):
            began = clock.now()
            segmenter.segment(positive=[int(vertices[k])])
            times.append(clock.now() - began)
        row[name] = 1e3 * float(np.median(times[5:]))
    return row


# the report


def table(title: str, rows: list[dict]) -> str:
    """Print rows; returns them as Markdown."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(key, "")) for key in keys] for row in rows]
    shown = Table(title=title, title_justify="left")
    for key in keys:
        shown.add_column(key, overflow="fold")
    for line in cells:
        shown.add_row(*line)
    CONSOLE.print(shown)
    lines = ["| " + " | ".join(line) + " |" for line in (keys, ["---"] * len(keys), *cells)]
    return "\n".join([f"## {title}", "", *lines, ""])


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"


def goals(figures: list[dict]) -> list[dict]:
    """The goals for one H200 beside what was measured."""
    by_run = {row["run"]: row for row in figures}
    return [
        {
            "goal": run,
            "unit": unit,
            "goal value": most,
            "measured": by_run[run][unit],
            "met": str(by_run[run][unit] <= most),
        }
        for run, (unit, most) in GOALS.items()
        if run in by_run
    ]


def about(device: torch.device) -> dict:
    name = platform.processor() or platform.machine()
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    return {
        "device": str(device),
        "name": name,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "engine": iseg.__version__,
    }


SECTIONS = {
    "limits": limits,
    "gradients": check_gradients,
    "answers": check_answers,
    "sam": check_sam,
    "rasters": check_rasters,
    "sam stages": sam_stages,
    "trainings": trainings,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:1, mps, cpu")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: proves that the program runs")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "gpu")
    options = parser.parse_args(arguments)
    try:
        device = pick_device(options.device)
    except SettingsError as error:
        print(f"Nothing was measured: {error} `--device cpu --tiny` only tries the program.", file=sys.stderr)
        return 2
    options.output.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"machine": about(device), "tiny": options.tiny, "failed": {}}
    text = [f"# {' '.join(str(value) for value in about(device).values())}", ""]
    scale, began = Scale(options.tiny), time.perf_counter()
    for name, section in SECTIONS.items():
        at = time.perf_counter()
        try:
            result[name] = section(device, scale)
            text.append(table(name, result[name]))
        except Exception as error:  # the other sections still tell something
            result["failed"][name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        CONSOLE.print(f"{name}: {time.perf_counter() - at:.1f} s", highlight=False)
        (options.output / "gpu.json").write_text(json.dumps(result, indent=1), encoding="utf-8")  # what there is so far
    if "trainings" in result and not options.tiny:
        result["goals"] = goals(result["trainings"])
        text.append(table("goals", result["goals"]))
    result["seconds"] = time.perf_counter() - began
    (options.output / "gpu.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    (options.output / "gpu.md").write_text("\n".join(text), encoding="utf-8")
    for name, reason in result["failed"].items():
        CONSOLE.print(f"FAILED: {name}: {reason}", highlight=False, markup=False)
    CONSOLE.print(f"{result['seconds']:.0f} s. Written: {options.output / 'gpu.json'} and gpu.md.")
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
