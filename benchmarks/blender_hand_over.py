"""How long Blender is held up by the hand-over of a mesh: arrays out, weights in, a click to its overlay's arrays,
and by the edits of a part.

.venv-bpy/bin/python benchmarks/blender_hand_over.py        (any Python with Blender's module; installs the extension
                                                             into a temporary folder)
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
private = tempfile.TemporaryDirectory(prefix="iseg-benchmark-")
os.environ["BLENDER_USER_RESOURCES"] = private.name  # before bpy is imported

import bpy  # noqa: E402  # pyright: ignore[reportMissingImports]

import build  # noqa: E402


def best(work: Callable[[], object], runs: int = 5) -> float:
    """Least time of several runs, in milliseconds."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1e3)
    return min(times)


def grid(side: int) -> bpy.types.Object:
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=side - 1, y_subdivisions=side - 1)
    return bpy.context.object


def click_to_overlay(iseg: Any, clicks: int = 12) -> float:
    """Median time from a click on Suzanne (7,958 vertices) to the overlay's arrays, in milliseconds."""
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 2
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    times = []
    for number, vertex in enumerate(np.linspace(0, len(obj.data.vertices) - 1, clicks + 1, dtype=int).tolist()):
        began = time.perf_counter()
        bpy.ops.iseg.click_add(vertex=vertex, positive=number % 3 != 2)
        part, snapshot = obj.iseg.parts[0], iseg.mesh.cache.snapshot_of(obj, fresh=False)
        task = iseg.engine.running.engine().start(iseg.engine.queries.answering(obj, part, snapshot, "cpu"))
        iseg.engine.running.engine().wait(task)
        inside = iseg.engine.queries.inside_of(obj, part, task.result)  # [P]
        surface = iseg.viewport.overlay.Surface(snapshot.vertices, snapshot.faces, polygons=snapshot.polygons)
        iseg.viewport.overlay.build(surface, inside, iseg.document.parts.clicks_of(part, snapshot.geometry).made)
        times.append((time.perf_counter() - began) * 1e3)
    return float(np.median(times[1:]))  # the first one starts the engine and prepares the mesh


def part_of(iseg: Any, side: int, mode: str) -> bpy.types.Object:
    """A grid with a part, an eighth of it, whose answer is at hand."""
    obj = grid(side)
    bpy.ops.object.mode_set(mode=mode)
    for vertex, positive in ((side * side // 2, True), (0, False)):
        bpy.ops.iseg.click_add(vertex=vertex, positive=positive)
    part, snapshot = obj.iseg.parts[0], iseg.mesh.cache.snapshot_of(obj)
    iseg.engine.models.ModelLists.current().reports[snapshot.hash] = []
    inside = (np.abs(snapshot.vertices[snapshot.faces, :2]) < 0.35).all(axis=(1, 2))  # [F]
    answer = iseg.engine.queries.Answer(np.where(inside, 0.9, 0.1).astype(np.float32), 0.5, 1.0)
    iseg.engine.queries.AnswerCache.current().answers.put(iseg.engine.queries.query_of(obj, part, snapshot), answer)
    return obj


def edits(iseg: Any, side: int, runs: int = 2) -> dict[str, list[float]]:
    """What each edit, as a button begins it, takes of the processor on Blender's main thread, and what reads a
    selection and a group; the rest is waiting for other programs.

    By the step: in object mode, in edit mode, milliseconds, the least of some runs; NaN where there is no such step.
    """
    common = iseg.operators.base.MeshOperator
    rows: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)

    def timed(label: str, column: int, work: Callable[[bpy.types.Object], object]) -> None:
        rows.setdefault(label, [float("nan")] * 2)
        for _ in range(runs):
            obj = part_of(iseg, side, ("OBJECT", "EDIT")[column])
            if "Group" in label:
                iseg.mesh.vertex_groups.write_group(obj, "Part", rng.random(side * side).astype(np.float32))
            common.fresh = False  # as in a window
            began = time.thread_time()
            work(obj)
            rows[label][column] = float(np.nanmin([rows[label][column], (time.thread_time() - began) * 1e3]))
            common.fresh = True
            while iseg.engine.running.engine().busy:
                iseg.engine.running.engine().pump()

    settle = iseg.live.follow.settle
    iseg.live.follow.settle = lambda task: None  # in a window the names of the new mesh are worked out by a thread
    try:
        for column in (0, 1):
            for action, label, *_ in iseg.operators.edit.ACTIONS:
                timed(label, column, lambda obj, action=action: bpy.ops.iseg.edit(action=action))
            timed("From Group", column, lambda obj: iseg.mesh.vertex_groups.read_group(obj, 0))
        timed("From Selection", 1, iseg.mesh.arrays.selected)
    finally:
        iseg.live.follow.settle = settle
    return rows


def under_cursor(iseg: Any, solid: Any, matrix: np.ndarray) -> None:
    cursor = (700.0, 500.0)
    near = iseg.mesh.picking.near(solid, matrix, 1920, 1080, cursor)
    assert iseg.mesh.picking.meant(near.screen, near.faces, cursor) is not None


def main() -> None:
    archive = build.extension(Path(private.name))
    bpy.ops.extensions.package_install_files(filepath=str(archive), repo="user_default", enable_on_install=True)
    iseg = sys.modules["bl_ext.user_default.iseg"]
    generator = np.random.default_rng(0)
    matrix = np.diag([0.9, 0.9, 0.1, 1.0])  # [4, 4] the grid fills the screen
    print(f"Blender {bpy.app.version_string}, {os.cpu_count()} cores; milliseconds, best of 5; *: on a thread")
    for side in (90, 1000):
        obj = grid(side)
        count = len(obj.data.vertices)
        weights = generator.random(count, np.float32)  # [V]
        geometry = iseg.mesh.arrays.read(obj)
        snapshot = iseg.mesh.snapshot.MeshSnapshot(geometry)
        values = generator.random(len(snapshot.faces), np.float32)  # [F]
        inside = snapshot.to_polygons(values > 0.5)  # [P]
        surface = iseg.viewport.overlay.Surface(snapshot.vertices, snapshot.faces, polygons=snapshot.polygons)
        rows = {
            "mesh to arrays": best(lambda obj=obj: iseg.mesh.arrays.read(obj)),
            "compared with those before": best(lambda g=geometry: g.equals(g._replace(vertices=g.vertices.copy()))),
            "triangles and names *": best(lambda g=geometry: iseg.mesh.snapshot.MeshSnapshot(g)),
            "weights back, object mode": best(
                lambda t=obj, w=weights: iseg.mesh.vertex_groups.write_group(t, "Part", w)
            ),
            "what is under the cursor": best(lambda s=snapshot.solid: under_cursor(iseg, s, matrix)),
            "faces' values to vertices": best(lambda s=snapshot, v=values: s.to_vertices(s.to_polygons(v))),
            "overlay's arrays *": best(lambda s=surface, i=inside: iseg.viewport.overlay.build(s, i, ())),
        }
        bpy.ops.object.mode_set(mode="EDIT")
        rows["weights back, edit mode"] = best(
            lambda t=obj, w=weights: iseg.mesh.vertex_groups.write_group(t, "Part", w), 2
        )
        rows["mesh to arrays, edit mode"] = best(lambda t=obj: iseg.mesh.arrays.read(t), 2)
        rows["  of it Blender's own hand-over"] = best(lambda t=obj: t.update_from_editmode(), 2)
        bpy.ops.object.mode_set(mode="OBJECT")
        print(f"{count:,} vertices")
        for label, milliseconds in rows.items():
            print(f"  {label:<32} {milliseconds:8.1f}")
    print("1,000,000 vertices, edits of an eighth, in object and in edit mode; milliseconds of the processor")
    os.environ.setdefault("ISEG_ENGINE", "none")  # the answer is at hand, and no engine is asked
    for label, (plain, editing) in edits(iseg, 1000).items():
        print(f"  {label:<32} {plain:8.1f} {editing:10.1f}")
    if os.environ["ISEG_ENGINE"] != "none":
        print(f"7,958 vertices\n  {'click to overlay':<32} {click_to_overlay(iseg):8.1f}")
        iseg.session.SESSION.restart()
    sys.stdout.flush()
    os._exit(0)  # before Blender's own clean-up


if __name__ == "__main__":
    main()
