"""Measure size: the same shape with more and more vertices, and what the way over the proxy costs. Writes JSON.

python benchmarks/size.py [--data ../shared/data/psb_dev] [--mesh 259] [--vertices 3000 30000 ...] [-o out/size]

sizes: a real mesh, simplified and subdivided again to each number of vertices, trained and asked in a process of its
own. instant: the same shape in instant mode, from its arrival to the first answer, and later clicks. carrying: instant
mode on a proxy against instant mode at full resolution, the same clicks, labelled meshes.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial import KDTree
from speed import ROOT, peak_gb, table

import iseg_core as iseg
from iseg_core.bench.dataset import LabelledFile, find_meshes
from iseg_core.clicks.simulated_user import VertexTarget
from iseg_core.formats.load import as_mesh
from iseg_core.geometry.proxy import make_proxy
from iseg_core.inference.segmenter import Segmenter
from iseg_core.storage.prepare import INSTANT_VERTICES, prepare

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does; before torch is imported
VERTICES = (3_000, 30_000, 300_000, 1_000_000, 3_000_000)
BASE = 5000  # vertices at most before subdivision
ASKED = 40  # clicks timed
LATER = 10  # clicks after the first, timed
SHARED = 0.5  # IoU from which two regions count as the same part, whose borders can be compared


def subdivided(source: iseg.Mesh, vertex_count: int) -> iseg.Mesh:
    """Make a mesh of the same shape with about so many vertices: every subdivision makes four faces of one."""
    import trimesh

    times = max(0, int(np.ceil(np.log(vertex_count / BASE) / np.log(4))))
    proxy = make_proxy(source, vertex_count // 4**times)
    vertices, faces = proxy.vertices, proxy.faces
    for _ in range(times):
        vertices, faces = trimesh.remesh.subdivide(vertices, faces)[:2]
    return iseg.Mesh(np.asarray(vertices), np.asarray(faces, dtype=np.int32))


def _one(mesh: iseg.Mesh, pipe) -> None:
    before = peak_gb()
    began = time.perf_counter()
    model = iseg.train(mesh)
    row = {"vertices": len(mesh.vertices), "seconds": time.perf_counter() - began}
    row |= {f"{stage} s": value for stage, value in model.info["seconds"].items()} | {"peak GB": peak_gb()}
    segmenter, rng = iseg.Segmenter(model), np.random.default_rng(0)
    began = time.perf_counter()
    segmenter.segment(positive=[0])
    row["first query ms"] = 1e3 * (time.perf_counter() - began)
    times = []
    for vertex in rng.choice(len(mesh.vertices), ASKED, replace=False):
        began = time.perf_counter()
        segmenter.segment(positive=[int(vertex)])
        times.append(1e3 * (time.perf_counter() - began))
    pipe.send(row | {"query ms (median)": float(np.median(times)), "mesh GB": before})


def sizes(source: iseg.Mesh, counts: list[int]) -> list[dict]:
    """Training with preset standard, and single clicks answered for every vertex."""
    rows = []
    for count in counts:
        receive, send = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=_one, args=(subdivided(source, count), send))
        process.start()
        rows.append(receive.recv())
        process.join()
        table("Sizes, preset standard, geometric teacher", rows)
    return rows


def instant(source: iseg.Mesh, counts: list[int]) -> list[dict]:
    """Seconds from a mesh's arrival to the first answer of instant mode, and milliseconds of later clicks."""
    rng, rows = np.random.default_rng(0), []
    iseg.instant(subdivided(source, BASE)).segment(positive=[0])  # imports
    for count in counts:
        mesh = subdivided(source, count)
        began, busy = time.perf_counter(), time.process_time()
        segmenter = iseg.instant(mesh)
        ready = time.perf_counter()
        answer = segmenter.segment(positive=[0])
        answered, busy = time.perf_counter(), time.process_time() - busy
        clicks, times = [(0, True)], []
        for vertex in rng.choice(np.arange(1, len(mesh.vertices)), LATER, replace=False):
            clicks.append((int(vertex), bool(answer[vertex] < 0.5)))  # every click changes the answer
            clicked = time.perf_counter()
            answer = segmenter.segment(clicks=clicks)
            times.append(1e3 * (time.perf_counter() - clicked))
        rows.append(
            {
                "vertices": len(mesh.vertices),
                "triangles": len(mesh.faces),
                "set-up s": ready - began,
                "first click ms": 1e3 * (answered - ready),
                "of the processor s": busy,
                "later click ms (median)": float(np.median(times)),
            }
        )
    table("Instant mode, from the mesh's arrival to the first answer", rows)
    return rows


def border(mesh: iseg.Mesh, region: np.ndarray) -> np.ndarray:
    """Middles of the edges that a region [V] bool cuts. [n, 3]"""
    ends = np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])  # [3F, 2]
    ends = ends[region[ends[:, 0]] != region[ends[:, 1]]]  # [n, 2]
    return mesh.vertices[ends].mean(axis=1)  # [n, 3]


def carrying(files: list[LabelledFile]) -> list[dict]:
    """Answer the first click of each part, on meshes of more vertices than the proxy."""
    rows = []
    for file in files:
        item = file.load()
        mesh = item.mesh
        if len(mesh.vertices) <= INSTANT_VERTICES:
            continue
        full, carried = (Segmenter(prepare(mesh, most)) for most in (len(mesh.vertices), INSTANT_VERTICES))
        root = float(np.sqrt(VertexTarget(mesh, item.parts[0]).area.sum()))
        scores, shared, apart = [], [], []
        for part in item.parts:
            target = VertexTarget(mesh, part)
            click = [target.first_click()]
            a, b = (segmenter.segment(clicks=click) for segmenter in (full, carried))  # [V] each
            scores.append((target.iou(a), target.iou(b)))
            x, y = a >= 0.5, b >= 0.5  # [V] each
            shared.append((x & y).sum() / max((x | y).sum(), 1))
            one, other = border(mesh, x), border(mesh, y)  # [n, 3], [m, 3]
            if shared[-1] >= SHARED and len(one) and len(other):
                ways = (KDTree(one).query(other)[0].mean(), KDTree(other).query(one)[0].mean())
                apart.append(float(np.mean(ways)) / root)
        edges = mesh.vertices[mesh.faces] - mesh.vertices[np.roll(mesh.faces, 1, axis=1)]  # [F, 3, 3]
        at_full, at_proxy = np.mean(scores, axis=0)
        rows.append(
            {
                "mesh": f"{item.name} {item.category}",
                "vertices": len(mesh.vertices),
                "IoU, full": float(at_full),
                "IoU, carried": float(at_proxy),
                "IoU of the two": float(np.mean(shared)),
                "borders apart (% of R)": 100 * float(np.mean(apart)) if apart else float("nan"),
                "an edge (% of R)": 100 * float(np.linalg.norm(edges, axis=2).mean()) / root,
            }
        )
    numbers = [key for key in rows[0] if key != "mesh"]
    rows.append({"mesh": "mean"} | {key: float(np.nanmean([row[key] for row in rows])) for key in numbers})
    table(f"Carried from {INSTANT_VERTICES} vertices against full resolution; R: root of the area", rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "psb_dev")
    parser.add_argument("--mesh", default="259", help="name of the mesh that is subdivided, or a file")
    parser.add_argument("--vertices", type=int, nargs="*", default=list(VERTICES))
    parser.add_argument("--only", default="sizes,instant,carrying")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "size")
    options = parser.parse_args()
    files = find_meshes(options.data) if options.data.is_dir() else []
    named = {file.name: file for file in files}
    result: dict = {"engine": iseg.__version__, "cores": os.cpu_count()}
    if "sizes" in options.only or "instant" in options.only:
        if options.mesh not in named and not Path(options.mesh).is_file():
            sys.exit(f"{options.mesh} is neither in {options.data} nor a file: give --data, or --mesh FILE.")
        source = named[options.mesh].load().mesh if options.mesh in named else as_mesh(options.mesh)
        if "sizes" in options.only:
            result["sizes"] = sizes(source, options.vertices)
        if "instant" in options.only:
            result["instant"] = instant(source, options.vertices)
    if "carrying" in options.only:
        if not files:
            sys.exit(f"{options.data} is not there: give --data, or --only sizes.")
        result["carrying"] = carrying(files)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "size.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"Written: {options.output / 'size.json'}")


if __name__ == "__main__":
    main()
