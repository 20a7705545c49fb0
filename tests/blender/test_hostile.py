"""A .blend from someone else can hold anything where ours is kept: opening it runs nothing and breaks nothing."""

import random
from types import SimpleNamespace
from unittest.mock import MagicMock

import bpy
import pytest
from conftest import MODULE

OPERATORS = (
    "click_add click_remove click_flip click_clear click_clear_all part_add part_remove to_vertex_group edit train "
    "clicks_from_selection clicks_from_group cancel free_memory"
).split()


def anything(rng: random.Random, depth: int = 0):
    """A value of any kind that a file can hold."""
    numbers = [-(2**31), -7, -1, 0, 1, 506, 507, 2**31 - 1, float("nan"), float("inf"), -1e300, True]
    texts = ["", "../../etc/passwd", "__import__('os').system('touch ran')", "\x00\n\u202e", "f" * 64, "x" * 5000]
    simple = [*numbers, *texts, b"\xff\x00", [0, -1, 7], [1.0, 2.0], []]
    if depth > 2 or rng.random() < 0.7:
        return rng.choice(simple)
    if rng.random() < 0.5:
        return [fields(rng, depth + 1) for _ in range(rng.choice([1, 2]))]
    return fields(rng, depth + 1)


def fields(rng: random.Random, depth: int = 0) -> dict:
    """Some of our properties with values of any kind; the deeper ones mostly as they should be, to get there."""
    known = "parts part_index topology trained trained_topology name clicks click_index granularity automatic threshold"
    names = f"{known} connected mirror vertex positive teacher preset device show live nothing".split()
    found = {name: anything(rng, depth) for name in rng.sample(names, rng.randrange(len(names)))}
    for name in ("parts", "clicks"):
        if depth < 2 and rng.random() < 0.6:
            found[name] = [fields(rng, depth + 1) for _ in range(rng.choice([1, 4]))]
    for name in ("vertex", "click_index", "part_index"):
        if rng.random() < 0.6:
            found[name] = rng.choice([-(2**31), -1, 3, 10, 507, 2**31 - 1])
    return found


def attributes(rng: random.Random, mesh: bpy.types.Mesh) -> None:
    """Attributes under names that mean something to us or to Blender, of any kind."""
    names = [".sculpt_iseg_", ".sculpt_iseg_" + "f" * 40, ".sculpt_iseg_\u202e", ".sculpt_face_set", ".hide_poly"]
    names += [".hide_vert", ".select_poly", "material_index", "iseg source", ".iseg weights", "rest_position"]
    for name in rng.sample(names, 5):
        mesh.attributes.new(name, rng.choice(["FLOAT", "BOOLEAN", "FLOAT_VECTOR"]), rng.choice(["POINT", "FACE"]))


@pytest.mark.parametrize("seed", range(8))
def test_a_file_can_hold_anything(empty, engine, tmp_path, monkeypatch, seed):
    rng = random.Random(seed)
    monkeypatch.chdir(tmp_path)
    bpy.ops.preferences.addon_disable(module=MODULE)
    try:
        bpy.ops.mesh.primitive_monkey_add()
        thing = bpy.context.object
        for owner in (thing, bpy.context.scene, thing.data):
            owner["iseg"] = fields(rng) if rng.random() < 0.9 else anything(rng)
        attributes(rng, thing.data)
        path = str(tmp_path / "hostile.blend")
        bpy.ops.wm.save_as_mainfile(filepath=path)
    finally:
        bpy.ops.preferences.addon_enable(module=MODULE)
    bpy.ops.wm.open_mainfile(filepath=path)
    thing = bpy.context.object
    assert empty.session.engine.state.name == "STOPPED", "opening a file starts nothing"
    shape = [tuple(vertex.co) for vertex in thing.data.vertices]
    look(empty, thing)
    bpy.ops.ed.undo_push(message="opened")
    for mode in ("OBJECT", "EDIT"):
        bpy.ops.object.mode_set(mode=mode)
        for name in rng.sample(OPERATORS, len(OPERATORS)):
            if name == "train":
                continue  # takes long, and reads nothing of the file but the mesh
            try:
                getattr(bpy.ops.iseg, name)()
            except RuntimeError as error:
                assert "Traceback" not in str(error)
            look(empty, bpy.context.object)
        bpy.ops.ed.undo_push(message="step")
        bpy.ops.ed.undo()
        look(empty, bpy.context.object)
    bpy.ops.object.mode_set(mode="OBJECT")
    assert [tuple(vertex.co) for vertex in bpy.context.object.data.vertices] == shape
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hostile.blend"]  # nothing of it was run


def look(iseg, thing: bpy.types.Object) -> None:
    """All that the sidebar and the view ask of an object."""
    context = SimpleNamespace(
        object=thing,
        scene=bpy.context.scene,
        preferences=bpy.context.preferences,
        region=SimpleNamespace(width=300),
    )
    for panel in iseg.panels.CLASSES[:3]:
        panel.draw(SimpleNamespace(layout=MagicMock()), context)
    part, seen = iseg.state.part_of(thing), iseg.meshes.known_look(thing)
    if part is None or seen is None:
        return
    clicks = iseg.state.clicks_of(part, len(seen.vertices)).made
    assert all(0 <= vertex < len(seen.vertices) for vertex, _ in clicks)
    surface = iseg.overlay.Surface(seen.vertices, seen.faces)
    iseg.overlay.build(surface, None, clicks, clicks[0][0] if clicks else None)
    iseg.live._refresh()
    while iseg.session.engine.busy:
        iseg.session.engine.pump()
