"""A .blend from someone else can hold anything where ours is kept: opening it runs nothing and breaks nothing.

A file is decided by its seed alone. benchmarks/blender_reliability.py opens as many as one likes.
"""

import contextlib
import io
import random
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import bpy

MODULE = "bl_ext.user_default.iseg"
TINY = Path(__file__).resolve().parents[1] / "engine_tiny.py"
NAME, BAD = b"BADNAME", b"\xff\xc3(\x80\xfe\xa0\xed"  # in the file, the one is replaced by the other: no UTF-8

OPERATORS = (
    "click_add click_remove click_flip click_clear click_clear_all part_add part_remove to_vertex_group edit train "
    "clicks_from_selection clicks_from_group cancel free_memory"
).split()


def anything(rng: random.Random, depth: int = 0):
    """A value of any kind that a file can hold."""
    numbers = [-(2**31), -7, -1, 0, 1, 506, 507, 2**31 - 1, float("nan"), float("inf"), -1e300, True]
    texts = ["", "../../etc/passwd", "__import__('os').system('touch ran')", "\x00\n\u202e", "f" * 64, "x" * 5000]
    texts += [NAME.decode()]
    simple = [*numbers, *texts, b"\xff\x00", [0, -1, 7], [1.0, 2.0], []]
    if depth > 2 or rng.random() < 0.7:
        return rng.choice(simple)
    if rng.random() < 0.5:
        return [fields(rng, depth + 1) for _ in range(rng.choice([1, 2]))]
    return fields(rng, depth + 1)


def fields(rng: random.Random, depth: int = 0) -> dict:
    """Some of our properties with values of any kind; the deeper ones mostly as they should be, to get there."""
    known = "parts part_index topology trained trained_topology name clicks click_index granularity automatic threshold"
    others = "size plain connected mirror vertex face weights positive teacher preset device show live nothing"
    names = f"{known} {others}".split()
    found = {name: anything(rng, depth) for name in rng.sample(names, rng.randrange(len(names)))}
    for name in ("parts", "clicks"):
        if depth < 2 and rng.random() < 0.6:
            found[name] = [fields(rng, depth + 1) for _ in range(rng.choice([1, 4]))]
    for name in ("vertex", "click_index", "part_index"):
        if rng.random() < 0.6:
            found[name] = rng.choice([-(2**31), -1, 3, 10, 507, 2**31 - 1])
    if rng.random() < 0.6:
        corners = [0.0, 1.0, 0.25, -1.0, float("nan"), float("inf")]
        found |= {"face": rng.choice([-2, 0, 3, 967, 968, 2**31 - 1]), "weights": rng.choices(corners, k=3)}
    return found


def attributes(rng: random.Random, mesh: bpy.types.Mesh) -> None:
    """Attributes under names that mean something to us or to Blender, of any kind."""
    names = [".sculpt_iseg_", ".sculpt_iseg_" + "f" * 40, ".sculpt_iseg_\u202e", ".sculpt_face_set", ".hide_poly"]
    names += [
        NAME.decode(),
        ".sculpt_iseg_" + NAME.decode(),
        ".hide_vert",
        ".select_poly",
        "material_index",
        "iseg source",
        ".iseg weights",
        "rest_position",
    ]
    for name in rng.sample(names, 5):
        mesh.attributes.new(name, rng.choice(["FLOAT", "BOOLEAN", "FLOAT_VECTOR"]), rng.choice(["POINT", "FACE"]))


def names_that_are_none(rng: random.Random, obj: bpy.types.Object) -> None:
    """Names of the user's things, some of which will not be UTF-8."""
    bpy.ops.object.material_slot_add()
    obj.active_material = bpy.data.materials.new("Skin")
    for _ in range(2):
        obj.vertex_groups.new(name="Group")
    obj.shape_key_add(name="Key")
    named = [bpy.context.scene, obj, obj.data, obj.active_material, *obj.vertex_groups]
    for owner in [*named, obj.data.shape_keys.key_blocks[0], obj.modifiers.new("Modifier", "SUBSURF")]:
        if rng.random() < 0.5:
            owner.name = NAME.decode()


def write(seed: int, path: Path, names: bool) -> None:
    """A file that no iSeg has written."""
    rng = random.Random(seed)
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.preferences.addon_disable(module=MODULE)
    try:
        bpy.ops.mesh.primitive_monkey_add()
        obj = bpy.context.object
        for owner in (obj, bpy.context.scene, obj.data):
            owner["iseg"] = fields(rng) if rng.random() < 0.9 else anything(rng)
        attributes(rng, obj.data)
        if names:
            obj.data.attributes.new(NAME.decode(), "FLOAT", "POINT")
            obj.data.attributes.new(".sculpt_iseg_" + NAME.decode(), "INT", "POINT")
            names_that_are_none(rng, obj)
        bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=False)
    finally:
        bpy.ops.preferences.addon_enable(module=MODULE)
    path.write_bytes(path.read_bytes().replace(NAME, BAD))


def quick(command: str) -> str:
    """The engine's command that trains in a moment and fetches nothing, given the one that starts the real engine."""
    return shlex.join([shlex.split(command)[0], str(TINY), "quick", "http://127.0.0.1:9"])


def run(seed: int, folder: Path, names: bool = True) -> int:
    """Open a file in a folder and use it; how many operators did their work. names: also those of the user's own
    things are no UTF-8. Raises AssertionError with all that went wrong.
    """
    iseg: Any = sys.modules[MODULE]
    path, rng, wrong = folder / "hostile.blend", random.Random(seed), list[str]()
    iseg.session.SESSION.restart()
    write(seed, path, names)

    def attempt(what: str, call: Callable[[], Any]) -> Any:
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                return call()
        except Exception as error:
            if not isinstance(error, RuntimeError) or "Traceback" in str(error):  # not an operator that refuses
                wrong.append(f"{what}: {traceback.format_exc()}")
        finally:
            if "Traceback" in printed.getvalue():
                wrong.append(f"{what}: {printed.getvalue()}")

    with contextlib.chdir(folder):
        attempt("open", lambda: bpy.ops.wm.open_mainfile(filepath=str(path)))
        obj = bpy.context.object
        if iseg.engine.running.engine().state.name != "STOPPED":
            wrong.append("opening a file has started something")
        shape = [tuple(vertex.co) for vertex in obj.data.vertices]
        attempt("look", lambda: snapshot(iseg, obj))
        bpy.ops.ed.undo_push(message="opened")
        done = 0
        for mode in ("OBJECT", "EDIT"):
            bpy.ops.object.mode_set(mode=mode)
            for name in rng.sample(OPERATORS, len(OPERATORS)):
                done += attempt(name, getattr(bpy.ops.iseg, name)) == {"FINISHED"}
                attempt(f"look after {name}", lambda: snapshot(iseg, bpy.context.object))
            bpy.ops.ed.undo_push(message="step")
            bpy.ops.ed.undo()
            attempt("look after undo", lambda: snapshot(iseg, bpy.context.object))
        bpy.ops.object.mode_set(mode="OBJECT")
        if [tuple(vertex.co) for vertex in bpy.context.object.data.vertices] != shape:
            wrong.append("the mesh has changed")
    if [file.name for file in folder.iterdir()] != ["hostile.blend"]:
        wrong.append("something of it was run")
    path.unlink()
    assert not wrong, "\n".join([f"seed {seed}", *wrong])
    return done


def snapshot(iseg, obj: bpy.types.Object) -> None:
    """All that the sidebar and the view ask of an object."""
    context = SimpleNamespace(
        object=obj,
        scene=bpy.context.scene,
        preferences=bpy.context.preferences,
        region=SimpleNamespace(width=300),
    )
    for panel in iseg.ui.sidebar.CLASSES[:3]:
        panel.draw(SimpleNamespace(layout=MagicMock()), context)
    part, seen = iseg.document.parts.part_of(obj), iseg.mesh.cache.known_snapshot(obj)
    if part is None or seen is None:
        return
    clicks = iseg.document.parts.clicks_of(part, seen.geometry).made
    assert all(0 <= vertex < len(seen.vertices) for prompt, _ in clicks for vertex in seen.corners(prompt))
    surface = iseg.viewport.overlay.Surface(seen.vertices, seen.faces)
    iseg.viewport.overlay.build(surface, None, clicks, clicks[0][0] if clicks else None)
    iseg.live.answers.refresh()
    while iseg.engine.running.engine().busy:
        iseg.engine.running.engine().pump()
