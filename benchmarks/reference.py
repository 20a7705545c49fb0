"""Compare the released implementation's schedule with ours, on one machine in one run: tables and JSON.

python benchmarks/reference.py [--data ../shared/data/psb_dev] [--mesh 259] [--budget 600] [-o out/reference]

Its schedule, from the paper and what is known of the released code (written anew here, its own code was not used):
1000 views for the field, one a step for 3000 steps; 3 % of the vertices clicked in 100 views each, every view encoded
again for every click, and again for the second clicks of either sign; a decoder of 16 layers that decodes all vertices
of 16 samples a step, rendered into the views, Adam at 1e-4, 5 epochs. A unit of each stage is measured and multiplied.
Ours is run as a whole, but for SAM, whose units are multiplied, too: ViT-B with random weights.

All on one thread, in seconds of the processor: other programs on the machine hardly change them.

Both then learn from one noisy teacher (a person's parts with errors that differ from view to view): one whole run of
ours, and its decoder until it reaches our IoU with the person's parts, on clicks never trained on, --budget seconds at
most.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from iseg_core.bench.dataset import LabelledMesh, find_meshes
from iseg_core.bench.experiments.common import iou
from iseg_core.bench.oracle import NoisyOracle, proxy_labels
from iseg_core.network import Decoder, FeatureField
from iseg_core.render.backends import make_rasterizer
from iseg_core.render.camera import sphere_cameras
from iseg_core.storage.prepare import prepare
from iseg_core.storage.trained_model import Model
from iseg_core.system.device import has_fast_bf16, reduced_precision
from iseg_core.teachers.sam import SamTeacher
from iseg_core.teachers.teacher import Embedding, RenderedView
from iseg_core.training.batches import ViewBatches
from iseg_core.training.fit import fit_decoder, fit_field
from iseg_core.training.observe import observe
from iseg_core.training.run import Run
from iseg_core.training.settings import get_settings

sys.path.insert(0, str(Path(__file__).resolve().parent))
from speed import CONSOLE, table  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DIM = 256  # channels of SAM's features
FIELD_VIEWS, FIELD_STEPS, FIELD_SIDE = 1000, 3000, 64
CLICKED, CLICK_VIEWS, PER_SIGN = 0.03, 100, 5  # share of the vertices, views of each, samples of a sign to one single
BATCH, EPOCHS, RATE = 16, 5, 1e-4
WIDTHS = (512,) + 14 * (256,)
LOOKS = 12  # at its IoU within the budget
REDUCED = ("our field step", "our decoder step", "our view", "our 8 prompts")  # in bfloat16 where that is fast


class Wide:
    """Noisy oracle with features of SAM's width: its own, turned into 256 channels."""

    name, feature_dim = "oracle, wide", DIM

    def __init__(self, oracle: NoisyOracle):
        self.oracle, self.fingerprint, self.resolution = oracle, oracle.fingerprint, oracle.resolution
        square = np.random.default_rng(0).standard_normal((DIM, oracle.feature_dim))  # [D, d]
        self.turn = np.linalg.qr(square)[0].astype(np.float32)  # [D, d] distances stay
        self.prompts = 0

    def look(self, view: RenderedView) -> Embedding:
        seen = self.oracle.look(view)
        return replace(seen, features=np.einsum("Dd,dhw->Dhw", self.turn, seen.features))

    def predict(self, embedding: Embedding, points: np.ndarray, labels: np.ndarray, prior: Any = None):
        self.prompts += len(points)
        return self.oracle.predict(embedding, points, labels, prior)


class Task:
    """Mesh with its noisy teacher, and clicks to be tested with."""

    def __init__(self, item: LabelledMesh):
        self.settings = get_settings("standard")
        self.model: Model = prepare(item.mesh, 3000)
        self.vertices, self.faces = self.model.proxy.vertices, self.model.proxy.faces
        self.labels = proxy_labels(self.model, item.people[item.central])  # [P]
        self.teacher = Wide(NoisyOracle(self.model, self.labels))
        self.run = Run(self.model.proxy, self.teacher, self.settings)
        self.seen = observe(replace(self.run, objective="rendered"))  # which keeps the views
        self.prompts = self.teacher.prompts
        trained = {clicks[0][0] for clicks in self.seen.click_sets}
        others = np.setdiff1d(np.unique(self.faces), list(trained))
        self.clicks = np.random.default_rng(1).permutation(others)[:40]  # [n] never trained on

    @torch.inference_mode()
    def score(self, decoder: Decoder, features: torch.Tensor) -> float:
        one, prepared = torch.ones(1, 1, dtype=torch.int64), decoder.precompute(features)
        found = [decoder.decode(prepared, features[[v]][None], one, one[0])[0].numpy() > 0 for v in self.clicks]
        wanted = np.array([self.labels == self.labels[v] for v in self.clicks])  # [n, P]
        return float(iou(np.array(found), wanted, self.model.assembly.whole.mass).mean())


def median(run: Callable[[], Any], repeats: int) -> float:
    """Seconds of a run, after one that is not counted; of a single one where nothing is to be repeated."""
    if repeats > 1:
        run()
    times = []
    for _ in range(repeats):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return float(np.median(times))


def flops(run: Callable[[], Any]) -> float:
    """Floating-point operations of the products in a run."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def limits() -> dict[str, float]:
    """Measure what the machine does at most with the threads that it is given."""
    a = torch.randn(2048, 2048)  # [n, n]
    half = a.bfloat16()  # [n, n]
    x = torch.zeros(1 << 28, dtype=torch.uint8)
    y = torch.zeros_like(x)
    return {
        "threads": torch.get_num_threads(),
        "float32": 2 * 2048**3 / median(lambda: a @ a, 5) / 1e9,
        "bfloat16": 2 * 2048**3 / median(lambda: half @ half, 5) / 1e9,
        "GB/s": 2 * len(x) / median(lambda: y.copy_(x), 5) / 1e9,
    }


class Units:
    """Seconds and operations of one unit of each stage."""

    def __init__(self, task: Task):
        self.task = task
        self.generator = torch.Generator().manual_seed(0)
        self.points = torch.as_tensor(task.vertices, dtype=torch.float32)  # [P, 3]
        self.features = torch.randn(len(self.points), DIM, generator=self.generator)  # [P, D]

    def measure(self) -> dict[str, dict[str, float]]:
        found = {}
        for name, (run, counted, repeats) in {
            "its field step": (step := self.its_field_step(), step, 5),
            "our field step": (step := self.our_field_step(), step, 20),
            "its decoder step": (step := self.its_decoder_step(), step, 2),
            "our decoder step": (step := self.our_decoder_step(), step, 20),
            "its query": (step := self.its_query(), step, 5),
            "our query": (step := self.our_query(), step, 20),
            **self.sam(),
        }.items():
            found[name] = {"seconds": median(run, repeats), "GFLOP": flops(counted) / 1e9 if counted else 0.0}
        view, prompt = found["its view"], found["its prompt"]  # ours do the same work
        found["our view"]["GFLOP"], found["our 8 prompts"]["GFLOP"] = view["GFLOP"], 8 * prompt["GFLOP"]
        return found

    def its_field_step(self) -> Callable[[], Any]:
        field = FeatureField(DIM, generator=self.generator)
        optimizer = torch.optim.Adam(field.parameters(), lr=1e-3)
        raster = make_rasterizer(self.task.vertices, self.task.faces).rasterize(sphere_cameras(100)[7], FIELD_SIDE)
        corners = torch.as_tensor(self.task.faces[raster.face_id.ravel()[raster.covered]], dtype=torch.int64)  # [p, 3]
        weights = torch.as_tensor(raster.barycentrics.reshape(-1, 3)[raster.covered])  # [p, 3]
        target = torch.randn(len(corners), DIM, generator=self.generator)  # [p, D]

        def step() -> None:
            drawn = (field(self.points)[corners] * weights[..., None]).sum(dim=1)  # [p, D]
            optimizer.zero_grad()
            (drawn - target).square().mean().backward()
            optimizer.step()

        return step

    def our_field_step(self) -> Callable[[], Any]:
        field = FeatureField(DIM, generator=self.generator)
        optimizer, size = torch.optim.AdamW(field.parameters()), self.task.settings.field_batch
        target = torch.randn(size, DIM, generator=self.generator)  # [B, D]

        def step() -> None:
            optimizer.zero_grad()
            with reduced_precision("cpu"):
                features = field(self.points[:size])  # [B, D]
            (features.float() - target).square().mean().backward()
            optimizer.step()

        return step

    def its_decoder_step(self) -> Callable[[], Any]:
        return ItsDecoder(self.task, self.features).step

    def our_decoder_step(self) -> Callable[[], Any]:
        settings = self.task.settings
        decoder = Decoder(DIM, settings.decoder_widths, self.generator)
        optimizer = torch.optim.AdamW(decoder.parameters())
        sets, count = settings.decoder_sets, settings.decoder_vertices
        vertices = torch.randn(sets, count, DIM, generator=self.generator)  # [K, N, D]
        clicks, signs = vertices[:, :4].clone(), torch.ones(sets, 4, dtype=torch.int64)  # [K, n, D], [K, n]
        scale, target = torch.ones(sets, dtype=torch.int64), torch.rand(sets, count)  # [K], [K, N]

        def step() -> None:
            with reduced_precision("cpu"):
                logits = decoder.decode(decoder.precompute(vertices), clicks, signs, scale)  # [K, N]
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), target).backward()
            optimizer.step()

        return step

    def its_query(self) -> Callable[[], Any]:
        decoder, one = Decoder(DIM, WIDTHS, self.generator), torch.ones(1, 1, dtype=torch.int64)
        return torch.inference_mode()(lambda: decoder(self.features, self.features[[5]][None], one, one[0]))

    def our_query(self) -> Callable[[], Any]:
        decoder, one = Decoder(DIM, self.task.settings.decoder_widths), torch.ones(1, 1, dtype=torch.int64)
        prepared = decoder.precompute(self.features)
        return torch.inference_mode()(lambda: decoder.decode(prepared, self.features[[5]][None], one, one[0]))

    def sam(self) -> dict[str, tuple[Callable[[], Any], Callable[[], Any] | None, int]]:
        """Time a view and a prompt, by the official code and by ours; operations are counted on the official one."""
        import copy

        from segment_anything import SamPredictor, sam_model_registry

        torch.manual_seed(0)
        official = sam_model_registry["vit_b"]().eval().requires_grad_(False)
        image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)  # [224, 224, 3]
        predictor = SamPredictor(official)
        teacher = SamTeacher(copy.deepcopy(official), "sam", "random", "cpu")
        view = RenderedView(None, None, image)  # type: ignore[arg-type]  SAM looks at the picture alone
        embedding = teacher.look(view)
        point, label = np.full((1, 2), 112.0), np.ones(1)  # [1, 2], [1]
        points, labels = np.full((8, 1, 2), 112.0, np.float32), np.ones((8, 1), np.int8)  # [8, 1, 2], [8, 1]
        look = torch.inference_mode()(lambda: predictor.set_image(image))
        ask = torch.inference_mode()(lambda: predictor.predict(point, label))
        return {
            "its view": (look, look, 1),
            "our view": (lambda: teacher.look(view), None, 1),
            "its prompt": (ask, ask, 3),
            "our 8 prompts": (lambda: teacher.predict(embedding, points, labels), None, 3),
        }


class ItsDecoder:
    """Its training of the decoder: all vertices decoded as the equations say it, and rendered."""

    def __init__(self, task: Task, features: torch.Tensor):
        generator = torch.Generator().manual_seed(0)
        self.features = features  # [P, D]
        self.decoder = Decoder(DIM, WIDTHS, generator)
        self.optimizer = torch.optim.Adam(self.decoder.parameters(), lr=RATE)
        self.source = ViewBatches(task.seen, replace(task.settings, decoder_sets=BATCH), generator)

    def step(self) -> None:
        batch = self.source.draw()
        clicked, signs, scale = batch.clicks
        logits = self.decoder(self.features, self.features[clicked], signs, scale)  # [K, P]
        self.optimizer.zero_grad()
        self.source.loss(batch, logits).backward()
        self.optimizer.step()


def race(task: Task, budget: float) -> list[dict]:
    """IoU on new clicks: ours after its whole fit, its decoder at times up to `budget` seconds, on the same field."""
    draws = torch.Generator().manual_seed(0)
    fit_field(replace(task.run, settings=replace(task.settings, field_steps=2)), task.seen, draws)  # imports
    began = time.process_time()
    draws = torch.Generator().manual_seed(0)
    field = fit_field(task.run, task.seen, draws)
    features = field(torch.as_tensor(task.vertices, dtype=torch.float32)).detach()  # [P, D]
    field_seconds, began = time.process_time() - began, time.process_time()
    decoder = fit_decoder(task.run, task.seen, features, draws)
    seconds = time.process_time() - began
    rows = [
        {
            "decoder": "ours, whole",
            "steps": task.settings.decoder_steps,
            "seconds": seconds,
            "IoU": task.score(decoder, features),
            "field s": field_seconds,
        }
    ]
    its, spent, steps, mark, reached = ItsDecoder(task, features), 0.0, 0, budget / LOOKS, False
    while spent < budget and not reached:
        began = time.process_time()
        its.step()
        spent, steps = spent + time.process_time() - began, steps + 1
        if spent >= mark:
            mark += budget / LOOKS
            rows.append({"decoder": "its", "steps": steps, "seconds": spent, "IoU": task.score(its.decoder, features)})
            reached = rows[-1]["IoU"] >= rows[0]["IoU"]
    ratio = f"{spent / seconds:.0f} times as long as ours" + ("" if reached else ", and it is not there yet")
    CONSOLE.print(f"To our IoU its decoder takes {ratio}.")
    table(f"The same teacher, field and clicks: IoU with the person's parts, {len(task.clicks)} new clicks", rows)
    return rows


def schedule(task: Task, units: dict[str, dict[str, float]], race_rows: list[dict]) -> list[dict]:
    """Each stage of both: how many units, seconds (a product, unless it says measured)."""
    singles = round(CLICKED * len(task.vertices)) * CLICK_VIEWS
    samples = {"least": singles, "most": singles * (1 + 2 * PER_SIGN)}
    rows = []

    def add(who: str, stage: str, count: float, unit: str, per: int = 1) -> None:
        seconds = count * units[unit]["seconds"] / per
        rows.append({"who": who, "stage": stage, "units": int(count), "seconds": seconds, "how": "product"})

    for kind, encodes in (("least", FIELD_VIEWS + singles), ("most", FIELD_VIEWS + 3 * singles)):
        who = f"its, at {kind}"
        add(who, "encoder", encodes, "its view")
        add(who, "prompts", samples[kind], "its prompt")
        add(who, "field", FIELD_STEPS, "its field step")
        add(who, "decoder", samples[kind] * EPOCHS / BATCH, "its decoder step")
    add("ours", "encoder", task.settings.views, "our view")
    add("ours", "prompts", task.prompts, "our 8 prompts", 8)
    whole = race_rows[0]
    for stage, seconds, steps in (
        ("field", whole["field s"], task.settings.field_steps),
        ("decoder", whole["seconds"], whole["steps"]),
    ):
        rows.append({"who": "ours", "stage": stage, "units": steps, "seconds": seconds, "how": "measured"})
    total = {who: sum(row["seconds"] for row in rows if row["who"] == who) for who in {row["who"] for row in rows}}
    for row in rows:
        row["share"] = f"{100 * row['seconds'] / total[row['who']]:.1f} %"
    for who, seconds in total.items():
        rows.append({"who": who, "stage": "all", "units": 0, "seconds": seconds, "how": "", "share": ""})
    rows.sort(key=lambda row: row["who"])
    table("Where the time goes", rows)
    return rows


def distances(units: dict[str, dict[str, float]], most: dict[str, float]) -> list[dict]:
    """Rows that say how far each unit is from what the machine does at most."""
    rows = []
    for name, unit in units.items():
        kind = "bfloat16" if name in REDUCED and has_fast_bf16("cpu") else "float32"
        speed = unit["GFLOP"] / unit["seconds"]
        row = {"unit": name, "ms": 1e3 * unit["seconds"], "GFLOP": unit["GFLOP"], "GFLOP/s": speed, "in": kind}
        rows.append(row | {"of its peak": f"{100 * speed / most[kind]:.0f} %"})
    table("Distance to what the machine does at most, one thread", rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "psb_dev")
    parser.add_argument("--mesh", default="259", help="name of a labelled mesh in --data")
    parser.add_argument("--budget", type=float, default=600.0, metavar="SECONDS", help="of its decoder's training")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "reference")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"{options.data} is not there: give --data, a folder of labelled meshes.")
    torch.set_num_threads(1)
    task = Task(next(file for file in find_meshes(options.data) if file.name == options.mesh).load())
    most = limits()
    CONSOLE.print({key: round(value, 1) for key, value in most.items()})
    units = Units(task).measure()
    result: dict[str, Any] = {"cores": os.cpu_count(), "limits": most, "prompts": task.prompts, "units": units}
    result["distances"] = distances(units, most)
    result["race"] = race(task, options.budget)
    result["schedule"] = schedule(task, units, result["race"])
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "reference.json"
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    CONSOLE.print(f"Written: {path}")


if __name__ == "__main__":
    main()
