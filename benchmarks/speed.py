"""Measure speed: prints tables, writes JSON. Nothing here is a test; every figure is measured in this run.

python benchmarks/speed.py [--data ../shared/data/psb_dev] [--only starts,training,...] [--meshes 15 92] [-o out/speed]

Sections: starts (of the command line and of the engine process), training and queries (a made shape of 3000 vertices),
statistics (the field's loss by sums against
rendering every view), objectives (votes against the rendered loss at equal time, noisy teacher). The last one needs
labelled meshes (see `python -m iseg_core bench --help`, which measures quality).
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import iseg_core as iseg
from iseg_core.bench.dataset import LabelledMesh, find_meshes
from iseg_core.bench.experiments.common import iou
from iseg_core.bench.oracle import NoisyOracle, proxy_labels
from iseg_core.engine.client import EngineClient
from iseg_core.geometry.proxy import make_proxy
from iseg_core.storage.prepare import prepare
from iseg_core.training.settings import get_settings

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = Console(width=None if sys.stdout.isatty() else 160)
RENDERED_SETS = 4


def jack(vertex_count: int) -> iseg.Mesh:
    """Make a ball with six arms of different length: a closed surface with clear parts."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=5)
    points = np.array(ball.vertices)  # [V, 3]
    arms = np.concatenate([np.eye(3), -np.eye(3)])  # [6, 3]
    lengths = np.array([0.8, 1.0, 1.2, 1.4, 1.6, 1.8])  # [6]
    points *= 1 + (lengths * np.exp(20 * (points @ arms.T - 1))).sum(axis=1, keepdims=True)
    proxy = make_proxy(iseg.Mesh(points, np.array(ball.faces, dtype=np.int32)), vertex_count)
    return iseg.Mesh(proxy.vertices, proxy.faces)


def table(title: str, rows: list[dict]) -> None:
    """Print rows of equal keys."""
    shown = Table(title=title, title_justify="left")
    for key in rows[0]:
        shown.add_column(key, justify="right" if isinstance(rows[0][key], int | float) else "left")
    for row in rows:
        shown.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()))
    CONSOLE.print(shown)


def peak_gb() -> float:
    """Most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)


def starts(repeats: int = 7) -> list[dict]:
    """Seconds that each costs before the first useful thing happens; files are in the system's cache."""
    engine = [sys.executable, "-m", "iseg_core", "engine"]
    mesh = jack(3000)
    arrays = {"vertices": mesh.vertices.astype(np.float32), "faces": mesh.faces}

    def run(arguments: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return time.perf_counter() - began

    def first_answer() -> tuple[float, float]:
        """Seconds until the engine holds the mesh, and until an answer of instant mode is there."""
        with EngineClient(engine) as client:
            began = time.perf_counter()
            mesh = client.ask("open_mesh", arrays=arrays).fields["mesh"]
            opened = time.perf_counter() - began
            client.ask("query", {"mesh": mesh, "clicks": [[0, True]], "granularity": "part", "model": None})
            return opened, time.perf_counter() - began

    commands = {
        "python -m iseg_core --help": ["-m", "iseg_core", "--help"],
        "import iseg_core": ["-c", "import iseg_core"],
        "import torch": ["-c", "import torch"],
        "import numpy": ["-c", "import numpy"],
    }
    rows = [
        {"start": name, "seconds (median)": float(np.median([run(arguments) for _ in range(repeats)]))}
        for name, arguments in commands.items()
    ]
    opened, answered = np.median([first_answer() for _ in range(repeats)], axis=0)
    rows.append({"start": "engine, until it holds a mesh of 3000 vertices", "seconds (median)": float(opened)})
    rows.append({"start": "engine, until its first answer", "seconds (median)": float(answered)})
    table("Starts", rows)
    return rows


def _train_alone(preset: str, pipe) -> None:
    """Train in a process of its own, so that the peak memory is this run's."""
    from iseg_core.render import raster  # noqa: F401
    from iseg_core.training import fit, observe  # noqa: F401  with torch, which is imported where it is needed first

    mesh = jack(3000)
    began = time.perf_counter()
    model = iseg.train(mesh, preset=preset)
    seconds = time.perf_counter() - began
    pipe.send({"seconds": seconds, "stages": model.info["seconds"], "peak_gb": peak_gb()})


def training() -> list[dict]:
    """Seconds and peak memory of a training, each in a fresh process (imports not counted)."""
    rows = []
    for preset in ("draft", "standard"):
        receive, send = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_train_alone, args=(preset, send))
        process.start()
        figures = receive.recv()
        process.join()
        rows.append(
            {
                "preset": preset,
                "vertices": 3000,
                "seconds": figures["seconds"],
                **{f"{stage} s": value for stage, value in figures["stages"].items()},
                "peak GB": figures["peak_gb"],
            }
        )
    table("Training, geometric teacher", rows)
    return rows


def queries() -> list[dict]:
    """Milliseconds from clicks to probabilities of every vertex."""
    mesh = jack(3000)
    rng = np.random.default_rng(0)
    rows = []
    for name, segmenter in (
        ("instant", iseg.instant(mesh)),
        ("trained", iseg.Segmenter(iseg.train(mesh, preset="draft"))),
    ):
        segmenter.segment(positive=[0])  # the factorisation, once a mesh
        first, later = [], []
        for vertex in rng.choice(len(mesh.vertices), 60, replace=False):
            clicks = [(int(vertex), True)]
            for k in range(10):
                began = time.perf_counter()
                answer = segmenter.segment(clicks=clicks)
                (later if k else first).append(1e3 * (time.perf_counter() - began))
                wrong = int(rng.integers(len(mesh.vertices)))
                if wrong not in dict(clicks):
                    clicks.append((wrong, bool(answer[wrong] < 0.5)))
        rows.append(
            {
                "answers": name,
                "first click ms (median)": float(np.median(first)),
                "p95": float(np.percentile(first, 95)),
                "later click ms (median)": float(np.median(later)),
                "later p95": float(np.percentile(later, 95)),
            }
        )
    table("Queries at 3000 vertices (every later click changes the answer)", rows)
    return rows


def statistics() -> list[dict]:
    """Time one gradient of equation 3 over all views: by A, b, c, and by rendering every view."""
    import torch

    from iseg_core.render.backends import make_rasterizer
    from iseg_core.render.camera import sphere_cameras
    from iseg_core.teachers.make import make_teacher
    from iseg_core.training.fit import FieldLoss
    from iseg_core.training.observe import observe
    from iseg_core.training.run import Run
    from iseg_core.training.view_pass import Scene

    model = prepare(jack(3000), 5000)
    vertices, faces = model.proxy.vertices, model.proxy.faces
    teacher = make_teacher("geometric", model)
    settings = replace(get_settings("standard"), click_range=(1, 1), second_clicks=0, hidden_targets=0)
    scene = Scene(vertices, faces, sphere_cameras(100), make_rasterizer(vertices, faces))
    observations = observe(Run(model.proxy, teacher, settings), scene)
    f = torch.randn(len(vertices), teacher.feature_dim, generator=torch.Generator().manual_seed(0))  # [P, d]

    began = time.perf_counter()
    shown = model.assembly.whole.spectral_features(teacher.feature_dim)  # [P, d]
    views = []
    for camera in scene.cameras:
        raster = scene.rasterizer.rasterize(camera, teacher.resolution)
        corners = torch.as_tensor(faces[raster.face_id.ravel()[raster.covered]], dtype=torch.int64)  # [p, 3]
        weights = torch.as_tensor(raster.barycentrics.reshape(-1, 3)[raster.covered])  # [p, 3]
        matrix = raster.matrix(faces, len(vertices))  # [p, P]
        views.append((corners, weights, torch.as_tensor(matrix @ shown)))
    caching = time.perf_counter() - began
    pixels = sum(len(corners) for corners, _, _ in views)

    def rendered() -> torch.Tensor:
        x = f.clone().requires_grad_()
        for corners, weights, target in views:  # rasters are cached: this is the fastest that rendering can be here
            drawn = (x[corners] * weights[..., None]).sum(dim=1)  # [p, d]
            (((drawn - target) ** 2).sum() / (pixels * f.shape[1])).backward()
        assert x.grad is not None
        return x.grad

    def summed() -> torch.Tensor:
        x = f.clone().requires_grad_()
        FieldLoss(observations)(x).backward()
        assert x.grad is not None
        return x.grad

    seconds, gradients = {}, {}
    for name, gradient in (("rendering 100 views", rendered), ("A, b, c", summed)):
        times = []
        for _ in range(5):
            began = time.perf_counter()
            gradients[name] = gradient()
            times.append(time.perf_counter() - began)
        seconds[name] = float(np.median(times))
    a, b = gradients.values()
    difference = float((a - b).norm() / a.norm())
    slow, fast = seconds.values()
    rows = [
        {"gradient by": "rendering 100 views (rasters cached)", "ms": 1e3 * slow, "times": 1.0},
        {"gradient by": "sufficient statistics", "ms": 1e3 * fast, "times": slow / fast},
    ]
    table(f"Full-batch gradient of the field's loss; relative difference {difference:.1e}", rows)
    return [*rows, {"relative difference": difference, "caching s": caching}]


def _compare(item: LabelledMesh, budget: float) -> dict:
    """Measure one mesh of `objectives`."""
    import torch

    from iseg_core.training.fit import fit_decoder, fit_field
    from iseg_core.training.observe import observe
    from iseg_core.training.run import Run

    model, settings = prepare(item.mesh, 3000), get_settings("standard")
    vertices, mass = model.proxy.vertices, model.assembly.whole.mass  # [P, 3], [P]
    labels = proxy_labels(model, item.people[item.central])  # [P]
    run = Run(model.proxy, NoisyOracle(model, labels), settings)
    seen = observe(replace(run, objective="rendered"))  # which keeps the views
    few = replace(settings, second_clicks=0, click_range=(40, 40))
    asked = observe(replace(run, settings=few, seed=1))  # for the votes, and as the test
    trained = {clicks[0][0] for clicks in seen.click_sets}
    held = [k for k, clicks in enumerate(asked.click_sets) if clicks[0][0] not in trained]
    clicked = [asked.click_sets[k][0][0] for k in held]

    def score(regions: list[np.ndarray]) -> float:
        wanted = np.array([labels == labels[vertex] for vertex in clicked])  # [n, P]
        return float(iou(np.array(regions), wanted, mass).mean())

    votes = [asked.inside[k, 1] > 0.5 * np.maximum(asked.seen[k, 1], 1e-9) for k in held]
    row: dict = {"mesh": f"{item.name} {item.category}", "votes alone": score(votes)}
    field = fit_field(run, seen, torch.Generator().manual_seed(0))
    features = field(torch.as_tensor(vertices, dtype=torch.float32)).detach()  # [P, d]

    def fit(objective: str, steps: int):
        began = time.perf_counter()
        chosen, draws = replace(settings, decoder_steps=steps), torch.Generator().manual_seed(0)
        if objective == "rendered":  # each set decodes every vertex: with few sets a step it makes the most of its time
            chosen = replace(chosen, decoder_sets=RENDERED_SETS)
        decoder = fit_decoder(replace(run, settings=chosen, objective=objective), seen, features, draws)
        return decoder, time.perf_counter() - began

    one = torch.ones(1, 1, dtype=torch.int64)
    for objective in ("rendered", "votes"):
        steps, done, seconds = 60, 0, 0.0
        decoder, _ = fit(objective, steps)  # the first fit of a process pays for imports
        for _ in range(2):  # first to learn the speed, then for the budget
            decoder, seconds = fit(objective, steps)
            steps, done = max(20, int(steps * budget / seconds)), steps
        with torch.inference_mode():
            prepared = decoder.precompute(features)
            regions = [decoder.decode(prepared, features[[v]][None], one, one[0])[0].numpy() > 0 for v in clicked]
        row |= {f"{objective} IoU": score(regions), f"{objective} steps": done, f"{objective} s": seconds}
    return row


def objectives(meshes: list[LabelledMesh], budget: float = 20.0) -> list[dict]:
    """Votes against the rendered loss for `budget` seconds of decoder training each, with a noisy teacher."""
    rows = [_compare(item, budget) for item in meshes]
    table(f"Objectives at {budget:.0f} s of decoder training, noisy teacher, IoU with the truth on new clicks", rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "psb_dev")
    parser.add_argument("--only", default="starts,training,queries,statistics,objectives")
    parser.add_argument("--meshes", nargs="*", default=["186", "259", "36"], help="names, of the section objectives")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "speed")
    options = parser.parse_args()
    from iseg_core.system.device import pick_device

    options.output.mkdir(parents=True, exist_ok=True)
    wanted = options.only.split(",")
    result: dict = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "device": str(pick_device()),
        },
        "engine": iseg.__version__,
    }
    for section in (starts, training, queries, statistics):
        if section.__name__ in wanted:
            result[section.__name__] = section()
    if "objectives" in wanted:
        if not options.data.is_dir():
            sys.exit(f"{options.data} is not there: give --data, or --only training,queries,statistics.")
        result["objectives"] = objectives([f.load() for f in find_meshes(options.data) if f.name in options.meshes])
    path = options.output / "speed.json"
    path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    CONSOLE.print(f"Written: {path}")


if __name__ == "__main__":
    main()
