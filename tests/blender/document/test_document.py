"""What is kept in the file: clicks, parts and what was trained; with undo, and whatever a file may hold."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import bpy
import numpy as np
import pytest
from support.blender.extension import weights
from support.blender.meshes import made, monkey


def test_clicks_are_a_list(empty):
    obj = monkey()
    for vertex in (10, 20, 30):
        bpy.ops.iseg.click_add(vertex=vertex)
    bpy.ops.iseg.click_add(vertex=20, positive=False)  # the newest click on a vertex counts
    assert made(obj) == [(10, True), (30, True), (20, False)]
    bpy.ops.iseg.click_flip(index=0)
    bpy.ops.iseg.click_remove(index=1)
    assert made(obj) == [(10, False), (20, False)]
    bpy.ops.iseg.click_remove()
    assert made(obj) == [(10, False)]
    with pytest.raises(RuntimeError, match="There is no click 7"):
        bpy.ops.iseg.click_remove(index=7)
    bpy.ops.iseg.click_clear()
    assert made(obj) == [] and len(obj.iseg.parts) == 1


def test_parts_have_names_of_their_own(empty):
    obj = monkey()
    for _ in range(3):
        bpy.ops.iseg.part_add(name="Ear")
    assert [part.name for part in obj.iseg.parts] == ["Ear", "Ear 2", "Ear 3"]
    bpy.ops.iseg.click_add(vertex=1)
    obj.iseg.part_index = 1
    bpy.ops.iseg.part_remove()
    assert [(part.name, len(part.clicks)) for part in obj.iseg.parts] == [("Ear", 0), ("Ear 3", 1)]


def test_a_name_belongs_to_one_part(empty):
    obj = monkey()
    for name in ("Ear", "Eye", "Nose"):
        bpy.ops.iseg.part_add(name=name)
    ear, eye, nose = obj.iseg.parts
    eye.name = "Ear"
    nose.name = "Ear"
    assert [part.name for part in obj.iseg.parts] == ["Ear", "Ear.001", "Ear.002"]
    eye.name = "Ear.001"  # its own
    ear.name = ""
    nose.name = ""
    assert [part.name for part in obj.iseg.parts] == ["Part", "Ear.001", "Part.001"]
    ear.name = eye.name = "ö" * 31  # as long as a name can be
    assert ear.name == "ö" * 31 and eye.name == "ö" * 29 + ".001"
    before = empty.document.parts_snapshot.saved(obj)
    ear.name, nose.name = "Nose", "Ear"
    after = empty.document.parts_snapshot.saved(obj)
    ear.name, nose.name = "x", "Nose"
    ear.name = "Ear"
    for wanted in (after, before):
        empty.document.parts_snapshot.restore(obj, wanted)
        assert empty.document.parts_snapshot.saved(obj) == wanted


def test_every_part_has_its_group(empty, engine):
    obj = monkey()
    for name, vertex in (("Eye", 0), ("Ear", 300)):
        bpy.ops.iseg.part_add(name=name)
        bpy.ops.iseg.click_add(vertex=vertex)
        bpy.ops.iseg.to_vertex_group()
    assert weights(obj, "Eye")[0] > 0.5 and weights(obj, "Ear")[300] > 0.5
    assert not np.array_equal(np.nan_to_num(weights(obj, "Eye")), np.nan_to_num(weights(obj, "Ear")))


def test_undo_and_redo(empty, engine):
    monkey()
    bpy.ops.ed.undo_push(message="begin")
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.ed.undo_push(message="first")
    bpy.ops.iseg.click_add(vertex=20)
    bpy.ops.iseg.to_vertex_group()
    bpy.ops.ed.undo_push(message="group")
    bpy.ops.ed.undo()
    assert made(bpy.context.object) == [(10, True)] and len(bpy.context.object.vertex_groups) == 0
    bpy.ops.ed.redo()
    assert made(bpy.context.object) == [(10, True), (20, True)]
    again = weights(bpy.context.object, "Part")
    bpy.ops.iseg.to_vertex_group(name="Again")
    np.testing.assert_array_equal(weights(bpy.context.object, "Again"), again)


def test_save_and_load(empty, engine, tmp_path):
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.click_add(vertex=20, positive=False)
    part = obj.iseg.parts[0]
    part.name, part.granularity, part.mirror, part.threshold = "Ear", "fine", (True, False, True), 0.25
    bpy.ops.iseg.to_vertex_group()
    before = weights(obj, "Ear")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "ear.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "ear.blend"))
    obj = bpy.context.object
    part = obj.iseg.parts[0]
    assert made(obj) == [(10, True), (20, False)]
    assert (part.name, part.granularity, tuple(part.mirror)) == ("Ear", "fine", (True, False, True))
    assert part.threshold == pytest.approx(0.25)
    bpy.ops.iseg.to_vertex_group(name="Again")
    np.testing.assert_array_equal(weights(obj, "Again"), before)


def test_points_are_kept_in_the_file_and_by_undo(empty, engine, tmp_path):
    monkey()
    bpy.ops.iseg.click_add(face=400, weights=(0.2, 0.3, 0.5))
    bpy.ops.iseg.click_add(vertex=20, positive=False)
    bpy.ops.iseg.to_vertex_group()
    before = weights(bpy.context.object, "Part")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "point.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "point.blend"))
    obj = bpy.context.object
    geometry, part = empty.mesh.cache.snapshot_of(obj).geometry, obj.iseg.parts[0]
    (point, _), vertex = empty.document.parts.clicks_of(part, geometry).made
    assert vertex == (20, False) and point.face == 400
    assert point.barycentric == pytest.approx((0.2, 0.3, 0.5))
    assert part.clicks[0].vertex == empty.mesh.cache.snapshot_of(obj).faces[400][2]
    bpy.ops.iseg.to_vertex_group(name="Again")
    np.testing.assert_array_equal(weights(obj, "Again"), before)
    saved = empty.document.parts_snapshot.saved(obj)
    bpy.ops.iseg.click_clear()
    empty.document.parts_snapshot.restore(obj, saved)
    assert empty.document.parts.clicks_of(obj.iseg.parts[0], geometry).made == ((point, True), (20, False))


def test_clicks_of_files_from_before_points_are_vertices(empty):
    """They hold a vertex and a sign, and nothing else."""
    obj = monkey()
    part = empty.document.parts.add_part(obj)
    for vertex, positive in ((7, True), (9, False)):
        click = part.clicks.add()
        click.vertex, click.positive = vertex, positive
        assert not click.is_property_set("face") and not click.is_property_set("weights")
    geometry = empty.mesh.cache.snapshot_of(obj).geometry
    assert empty.document.parts.clicks_of(part, geometry).made == ((7, True), (9, False))


@pytest.mark.parametrize(
    "face, weights, sentence",
    [
        (968, (0.2, 0.3, 0.5), "There is no triangle 968: Suzanne has 0 to 967"),
        (3, (0.2, 0.3, 0.9), "must sum to 1"),
        (3, (-1, 1, 1), "lies outside of its face"),
        (3, (float("nan"), 0, 1), "are no barycentric coordinates"),
    ],
)
def test_points_that_cannot_be_are_vertices(empty, face, weights, sentence):
    """In a file; an operator refuses them."""
    obj = monkey()
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.iseg.click_add(face=face, weights=weights)
    bpy.ops.iseg.click_add(vertex=10)
    click = obj.iseg.parts[0].clicks[0]
    click.face, click.weights = face, weights
    geometry = empty.mesh.cache.snapshot_of(obj).geometry
    assert empty.document.parts.clicks_of(obj.iseg.parts[0], geometry).made == ((10, True),)
    empty.document.parts.mend()  # as when a file is opened
    assert (obj.iseg.parts[0].clicks[0].face == -1) == (weights[0] != weights[0])
    assert empty.document.parts_snapshot.saved(obj) == empty.document.parts_snapshot.saved(obj)


def test_a_file_can_hold_anything(empty, engine):
    """Clicks on vertices that are not there, contradictions, thousands of them, names that are none."""
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=10)
    part = obj.iseg.parts[0]
    for vertex, positive in ((2**31 - 1, True), (10, False), (507, True), *((20, True) for _ in range(3000))):
        click = part.clicks.add()
        click.vertex, click.positive = vertex, positive
    usable = empty.document.parts.clicks_of(part, empty.mesh.cache.snapshot_of(obj).geometry)
    assert usable.made == ((10, True), (20, True)) and usable.dropped == 3002
    obj.iseg.part_index = 99
    obj.iseg.trained, obj.iseg.trained_topology = "../../etc/passwd", obj.iseg.topology
    assert empty.document.parts.trained_hash(obj) == ""
    part.name = ""
    assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"}
    assert [group.name for group in obj.vertex_groups] == ["Part"]


def test_clicks_of_another_topology_are_refused(empty, engine):
    """Vertex numbers mean nothing after faces were made or removed."""
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    with pytest.raises(RuntimeError, match="faces have changed since these clicks were made: clear them, or undo"):
        bpy.ops.iseg.to_vertex_group()
    with pytest.raises(RuntimeError, match="faces have changed since the clicks were made"):
        bpy.ops.iseg.click_add(vertex=11)
    bpy.ops.iseg.click_clear()
    bpy.ops.iseg.click_add(vertex=11)
    assert made(obj) == [(11, True)]


def test_moved_vertices_keep_the_clicks(empty, engine):
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=10)
    for vertex in obj.data.vertices:
        vertex.co.z *= 2
    assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"}


def test_what_cannot_be_used_says_why(empty):
    with pytest.raises(RuntimeError, match="There is no active object"):
        bpy.ops.iseg.click_add(vertex=1)
    bpy.ops.object.camera_add()
    with pytest.raises(RuntimeError, match="Camera is not a mesh: select one\\.$"):
        bpy.ops.iseg.train()
    bpy.ops.object.text_add()
    with pytest.raises(RuntimeError, match="or convert it"):
        bpy.ops.iseg.train()
    bpy.ops.object.empty_add()
    bpy.context.object.instance_type = "COLLECTION"
    with pytest.raises(RuntimeError, match="Make Instances Real"):
        bpy.ops.iseg.train()
    monkey()
    bpy.ops.object.mode_set(mode="WEIGHT_PAINT")
    with pytest.raises(RuntimeError, match="Object Mode and in Edit Mode"):
        bpy.ops.iseg.click_add(vertex=1)
    bpy.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match="No mesh is being trained"):
        bpy.ops.iseg.cancel()


@pytest.mark.parametrize("what", ["nothing", "camera", "sculpted", "clicked"])
def test_the_sidebar_shows_its_buttons_whatever_is_active(empty, what):
    """Where they cannot work, Blender shows them disabled, with the reason that the operator gives."""
    if what == "camera":
        bpy.ops.object.camera_add()
    elif what != "nothing":
        monkey()
        bpy.ops.iseg.click_add(vertex=10)
        bpy.ops.object.mode_set(mode="SCULPT" if what == "sculpted" else "OBJECT")
    context = SimpleNamespace(
        object=bpy.context.object,
        scene=bpy.context.scene,
        preferences=bpy.context.preferences,
        region=SimpleNamespace(width=300),
    )
    for panel in empty.ui.sidebar.CLASSES[:3]:
        layout = MagicMock()
        panel.draw(SimpleNamespace(layout=layout), context)
        assert any(name.rpartition(".")[2] == "operator" for name, _, _ in layout.mock_calls)


def test_linked_meshes_are_refused(empty, tmp_path):
    monkey()
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (source, target):
        target.objects = source.objects
    obj = bpy.data.objects["Suzanne"]
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    with pytest.raises(RuntimeError, match="is linked from another file: make it local"):
        bpy.ops.iseg.click_add(vertex=1)


@pytest.mark.parametrize("kinds", ["object", "object and mesh"])
def test_library_overrides_are_refused(empty, tmp_path, kinds):
    monkey()
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (source, target):
        target.objects = source.objects
    linked = bpy.data.objects["Suzanne"]
    bpy.context.scene.collection.objects.link(linked)
    obj = linked.override_create(remap_local_usages=True)
    bpy.context.view_layer.objects.active = obj
    obj.select_set(True)
    if "mesh" in kinds:
        obj.data.override_create(remap_local_usages=True)
        with pytest.raises(RuntimeError, match="is a library override: make it local first"):
            bpy.ops.iseg.click_add(vertex=1)
    else:
        with pytest.raises(RuntimeError, match="make it local first"):
            bpy.ops.iseg.click_add(vertex=1)
    bpy.ops.object.make_local(type="SELECT_OBDATA")
    assert bpy.ops.iseg.click_add(vertex=1) == {"FINISHED"}


def test_two_objects_with_one_mesh_share_the_group(empty, engine):
    obj = monkey()
    other = obj.copy()
    bpy.context.scene.collection.objects.link(other)
    bpy.ops.iseg.click_add(vertex=10)
    bpy.ops.iseg.to_vertex_group(name="Part")
    assert [group.name for group in other.vertex_groups] == ["Part"] and len(other.iseg.parts) == 0


def test_a_mesh_without_faces_is_refused(empty, engine):
    mesh = bpy.data.meshes.new("Points")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0)], [(0, 1)], [])
    obj = bpy.data.objects.new("Points", mesh)
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.iseg.click_add(vertex=1)
    for operator in (bpy.ops.iseg.to_vertex_group, bpy.ops.iseg.train, bpy.ops.iseg.click):
        with pytest.raises(RuntimeError, match="Points has no faces: make some"):
            operator()
    assert len(obj.vertex_groups) == 0 and empty.engine.status.of(obj).kind.name == "REFUSED"
    bpy.ops.iseg.click_clear()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.primitive_cube_add()
    assert empty.mesh.usable.face_refusal(obj) == ""


def test_no_more_parts_than_a_file_may_hold(empty, monkeypatch):
    monkeypatch.setattr(empty.document.choices, "PARTS_LIMIT", 1)
    monkey()
    bpy.ops.iseg.part_add()
    with pytest.raises(RuntimeError, match="can have 1 parts: remove some"):
        bpy.ops.iseg.part_add()


def test_an_edit_of_a_shared_mesh_takes_the_clicks_of_all_along(empty, engine):
    obj = monkey()
    other = obj.copy()
    bpy.context.scene.collection.objects.link(other)
    assert "2 objects share this mesh" in empty.engine.status.sharing(obj)
    bpy.context.view_layer.objects.active = other
    bpy.ops.iseg.click_add(vertex=506)
    bpy.ops.iseg.click_add(vertex=0)
    place = tuple(other.data.vertices[506].co)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.iseg.click_add(vertex=0)  # an eye, which is a shell of its own
    bpy.ops.iseg.edit(action="DELETE")
    ((vertex, positive),) = made(other)
    assert tuple(other.data.vertices[vertex].co) == place and positive and made(obj) == []
    bpy.context.view_layer.objects.active = other
    assert bpy.ops.iseg.to_vertex_group() == {"FINISHED"}
    assert empty.engine.status.sharing(monkey()) == ""


def test_the_clicks_of_all_parts_are_cleared_at_once(empty):
    obj = monkey()
    with pytest.raises(RuntimeError, match="No part has clicks"):
        bpy.ops.iseg.click_clear_all()
    for vertex in (10, 20):
        bpy.ops.iseg.part_add(name="Ear")
        bpy.ops.iseg.click_add(vertex=vertex)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    empty.mesh.cache.snapshot_of(obj)
    assert empty.engine.status.clicks_problem(obj, obj.iseg.parts[0]) == empty.engine.status.OTHER_FACES
    bpy.ops.iseg.click_clear_all()
    assert made(obj) == [] and [part.name for part in obj.iseg.parts] == ["Ear", "Ear 2"]
    bpy.ops.iseg.click_add(vertex=11)
    assert made(obj) == [(11, True)]


def test_a_size_has_three_names(empty):
    part, meant = empty.document.parts.add_part(monkey()), empty.document.properties.size_meant
    assert (part.granularity, meant(part)) == ("part", 0.5)
    for name, size in (("fine", 0.25), ("whole", 0.75), ("part", 0.5)):
        part.granularity = name
        assert meant(part) == size
    for size, name in ((0.0, "fine"), (0.3, "fine"), (0.45, "part"), (0.9, "whole")):
        part.size = size
        assert part.granularity == name and meant(part) == pytest.approx(size)


def test_a_file_that_knew_granularities_only_means_their_sizes(empty):
    part = empty.document.parts.add_part(monkey())
    part.granularity = "whole"
    part.property_unset("size")
    assert part.size == 0.5 and empty.document.properties.size_meant(part) == 0.75


def test_a_file_that_knew_granularities_only_shows_their_sizes(empty, tmp_path):
    obj = monkey()
    for name in ("fine", "part", "whole"):
        part = empty.document.parts.add_part(obj)
        part.granularity = name
        part.property_unset("size")
    file = str(tmp_path / "old.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.open_mainfile(filepath=file)
    parts = bpy.context.object.iseg.parts
    assert [(part.granularity, part.size) for part in parts] == [("fine", 0.25), ("part", 0.5), ("whole", 0.75)]
    bpy.ops.wm.read_homefile(use_empty=True)
    with bpy.data.libraries.load(file, link=True) as (there, here):
        here.objects = there.objects
    empty.document.parts.mend()  # as when the file that links it is opened
    assert [part.size for part in here.objects[0].iseg.parts] == [0.25, 0.5, 0.75]


def test_a_size_outlives_its_file(empty, tmp_path):
    part = empty.document.parts.add_part(monkey())
    part.size = 0.3
    file = str(tmp_path / "new.blend")
    bpy.ops.wm.save_as_mainfile(filepath=file)
    bpy.ops.wm.open_mainfile(filepath=file)
    part = bpy.context.object.iseg.parts[0]
    assert part.size == pytest.approx(0.3) and part.granularity == "fine"


def test_a_file_can_hold_a_size_that_is_none(empty):
    part = empty.document.parts.add_part(monkey())
    part.size = float("nan")
    empty.document.parts.mend()
    assert (part.size, part.granularity) == (0.5, "part")


def test_a_snapshot_keeps_the_size(empty):
    obj, snapshot = monkey(), empty.document.parts_snapshot
    part = empty.document.parts.add_part(obj)
    part.size = 0.3
    kept = snapshot.saved(obj)
    part.size = 0.9
    snapshot.restore(obj, kept)
    part = obj.iseg.parts[0]
    assert part.size == pytest.approx(0.3) and part.granularity == "fine"
    assert snapshot.saved(obj) == kept


def test_the_wheel_steps_through_the_sizes(empty, engine):
    obj = monkey()
    bpy.ops.iseg.click_add(vertex=10)
    part, pointer, queries = obj.iseg.parts[0], empty.operators.pointer, empty.engine.queries
    bpy.ops.iseg.to_vertex_group(name="Part")
    sizes = queries.answer_of(obj, part).sizes
    assert 0.5 in sizes and len(sizes) > 1
    hover = empty.viewport.preview.Hover.current()
    hover.over = (10, True)
    larger = sizes[-1] > 0.5
    assert pointer.resize(bpy.context, larger)
    assert hover.over is None  # the preview of the same place is asked for anew
    bpy.ops.iseg.to_vertex_group(name="Other")
    assert pointer.resize(bpy.context, not larger) and part.size == 0.5
    bpy.ops.iseg.to_vertex_group(name="Part")
    while pointer.resize(bpy.context, larger=False):
        bpy.ops.iseg.to_vertex_group(name="Smaller")
    assert part.size == pytest.approx(sizes[0])
    while pointer.resize(bpy.context, larger=True):
        bpy.ops.iseg.to_vertex_group(name="Larger")
    assert part.size == pytest.approx(sizes[-1])
    smaller, same, larger = (weights(obj, name) >= 0.5 for name in ("Smaller", "Part", "Larger"))
    assert smaller.sum() <= same.sum() <= larger.sum() and smaller.sum() < larger.sum()
