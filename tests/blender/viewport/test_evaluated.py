"""Large meshes on a thread, and what modifiers make of a mesh."""

import time

import bpy
import numpy as np
import pytest
from support.blender.meshes import MESHES, monkey


@pytest.mark.parametrize("make", MESHES, ids=lambda make: make.__name__)
def test_triangles_are_those_that_blender_draws(empty, make):
    make()
    obj = bpy.context.object
    geometry = empty.mesh.arrays.read(obj)
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh = obj.data
    mesh.calc_loop_triangles()
    expected = [list(triangle.vertices) for triangle in mesh.loop_triangles]
    assert empty.mesh.geometry.triangles(geometry).tolist() == expected
    polygons = empty.mesh.geometry.polygons_of_triangles(geometry)
    own = [triangle.polygon_index for triangle in mesh.loop_triangles]
    assert (own == list(range(len(mesh.polygons)))) if polygons is None else polygons.tolist() == own
    np.testing.assert_array_equal(geometry.vertices, [vertex.co[:] for vertex in mesh.vertices])
    assert geometry.edges.tolist() == [list(edge.vertices) for edge in mesh.edges]


@pytest.mark.parametrize("make", MESHES, ids=lambda make: make.__name__)
def test_values_of_triangles_go_to_polygons_and_vertices(empty, make):
    make()
    snapshot = empty.mesh.cache.snapshot_of(bpy.context.object)
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh = bpy.context.object.data
    values = np.random.default_rng(1).random(len(snapshot.faces), np.float32)  # [F]
    polygons, vertices = np.zeros(len(mesh.polygons), np.float32), np.zeros(len(mesh.vertices), np.float32)
    for triangle, value in zip(_triangles(mesh), values, strict=True):
        polygons[triangle.polygon_index] = max(polygons[triangle.polygon_index], value)
    for polygon in mesh.polygons:
        for vertex in polygon.vertices:
            vertices[vertex] = max(vertices[vertex], polygons[polygon.index])
    np.testing.assert_array_equal(snapshot.to_polygons(values), polygons)
    np.testing.assert_array_equal(snapshot.to_vertices(polygons), vertices)
    np.testing.assert_array_equal(snapshot.geometry.touched(polygons > 0.5), vertices > 0.5)
    np.testing.assert_array_equal(
        snapshot.to_triangles(polygons), [polygons[triangle.polygon_index] for triangle in _triangles(mesh)]
    )


@pytest.mark.parametrize("make", MESHES, ids=lambda make: make.__name__)
def test_a_mesh_that_was_read_before_is_read_as_it_is(empty, make):
    """What was read before is taken only where it still holds: not after a vertex has moved, or a face is another."""
    make()
    obj = bpy.context.object
    bpy.ops.object.mode_set(mode="OBJECT")
    before = empty.mesh.arrays.read(obj)
    again = empty.mesh.arrays.read(obj, before)
    assert again.starts is before.starts and again.triangles is before.triangles and again.equals(before)
    others = [before._replace(corners=before.corners[::-1].copy()), before._replace(starts=before.starts[:-1])]
    others += [before._replace(vertices=before.vertices + np.float32(1))]
    junk = np.zeros_like(before.starts)  # [P]
    for other in others:
        read = empty.mesh.arrays.read(obj, other._replace(starts=junk[: len(other.starts)], triangles=None))
        for field, expected in zip(read, before, strict=True):
            np.testing.assert_array_equal(field, expected)


def test_quads_that_are_not_convex_or_flat(empty):
    generator = np.random.default_rng(0)
    points = generator.uniform(-1, 1, (400, 3))  # [400, 3] as bent and crossed as they come
    mesh = bpy.data.meshes.new("Quads")
    mesh.from_pydata(points.tolist(), [], np.arange(400).reshape(-1, 4).tolist())
    mesh.calc_loop_triangles()
    expected = [list(triangle.vertices) for triangle in mesh.loop_triangles]
    assert empty.mesh.geometry.triangles(empty.mesh.arrays.arrays(mesh)).tolist() == expected


def test_hidden_faces_are_not_visible(empty):
    monkey()
    obj = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    obj.update_from_editmode()
    bpy.ops.object.mode_set(mode="OBJECT")
    hidden = np.arange(len(obj.data.polygons)) % 3 == 0  # [P]
    obj.data.polygons.foreach_set("hide", hidden)
    snapshot = empty.mesh.cache.snapshot_of(obj)
    polygon = np.array([triangle.polygon_index for triangle in _triangles(obj.data)])  # [F]
    np.testing.assert_array_equal(snapshot.hidden(), hidden[polygon])
    obj.data.polygons.foreach_set("hide", np.zeros(len(hidden), bool))
    assert empty.mesh.cache.snapshot_of(obj) is snapshot and snapshot.hidden() is None


def rings(geometry) -> list[list[int]]:
    """Vertices of each polygon."""
    ends = [*geometry.starts[1:].tolist(), len(geometry.corners)]
    return [geometry.corners[start:end].tolist() for start, end in zip(geometry.starts.tolist(), ends, strict=True)]


def _triangles(mesh):
    mesh.calc_loop_triangles()
    return mesh.loop_triangles


def test_a_large_mesh_is_read_on_a_thread(empty, monkeypatch):
    monkey()
    monkeypatch.setattr(empty.mesh.cache, "SMALL", 10)
    obj, engine = bpy.context.object, empty.engine.running.engine()
    task = engine.start(empty.mesh.cache.taking(obj))
    assert not task.ended and engine.busy and empty.mesh.cache.known_snapshot(obj) is None
    engine.wait(task, 30)
    assert task.result is empty.mesh.cache.known_snapshot(obj) and not engine.busy
    assert engine.start(empty.mesh.cache.taking(obj)).ended  # it is known, and has not changed
    cancelled = engine.start(empty.mesh.cache.taking(obj, fresh=True))
    assert cancelled.ended and cancelled.result is task.result
    for vertex in obj.data.vertices:
        vertex.co.x += 1
    cancelled = engine.start(empty.mesh.cache.taking(obj, fresh=True))
    engine.cancel(cancelled)
    assert cancelled.ended and type(cancelled.error).__name__ == "Cancelled" and not engine.busy


def test_work_that_fails_is_an_error_with_a_remedy(empty):
    def failing():
        yield empty.tasks.ThreadWork(lambda: 1 / 0)

    engine = empty.engine.running.engine()
    task = engine.start(failing())
    engine.wait(task, 30)
    assert "ZeroDivisionError" in str(task.error) and "report it" in str(task.error)


def ids() -> list[list[str]]:
    return [[item.name for item in kind] for kind in (bpy.data.objects, bpy.data.meshes, bpy.data.scenes)]


@pytest.mark.parametrize("kinds", [["SUBSURF"], ["MIRROR"], ["ARRAY"], ["SOLIDIFY"], ["MIRROR", "SUBSURF"], ["REMESH"]])
def test_where_the_points_of_a_surface_come_from(empty, kinds):
    """Each point belongs to the vertex nearest to where it was made, in every copy; and nothing is left behind."""
    monkey()
    obj = bpy.context.object
    for kind in kinds:
        obj.modifiers.new(kind, kind)
    bpy.context.view_layer.update()
    snapshot, before = empty.mesh.cache.snapshot_of(obj), ids()
    evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    geometry = empty.mesh.arrays.arrays(evaluated.data)
    rest = empty.viewport.evaluated.rest_places(obj)  # [S, 3]
    task = empty.engine.running.engine().start(empty.viewport.evaluated.tracing(snapshot, geometry, rest))
    empty.engine.running.engine().wait(task, 60)
    origin, points = task.result, geometry.vertices  # [S, 3]
    assert ids() == before and not obj.add_rest_position_attribute
    assert len(origin.source) == len(points) and len(origin.shown) == len(snapshot.vertices)
    assert (rest is None) == (kinds[-1] == "REMESH")  # which carries nothing along
    rest = points if rest is None else rest  # [S, 3]
    away = np.linalg.norm(rest - snapshot.vertices[origin.source], axis=1)  # [S]
    distance = np.linalg.norm(rest[:, None] - snapshot.vertices, axis=2)  # [S, V]
    np.testing.assert_allclose(away, distance.min(axis=1), atol=1e-6)
    for vertex, point in enumerate(origin.shown.tolist()):
        own = np.flatnonzero(origin.source == vertex)  # [P] the points that belong to it
        assert len(own) == 0 or point == own[away[own].argmin()]
        assert len(own) or distance[point, vertex] == pytest.approx(distance[:, vertex].min())
    middles = [rest[list(face)].mean(axis=0) for face in rings(geometry)]  # [P, 3]
    bases = [snapshot.vertices[list(face)] for face in rings(snapshot.geometry)]
    for middle, polygon in zip(middles, origin.polygons.tolist(), strict=True):
        low, high = bases[polygon].min(axis=0), bases[polygon].max(axis=0)
        assert kinds == ["REMESH"] or (low - 0.02 < middle).all() and (middle < high + 0.02).all()
    if kinds == ["MIRROR"]:  # in X: both halves belong to the same vertices
        mirrored = np.isclose(np.abs(points[:, 0]), np.abs(snapshot.vertices[origin.source, 0]), atol=1e-5)  # [S]
        assert mirrored.all() and (points[:, 0] * snapshot.vertices[origin.source, 0] < -1e-6).any()
    if kinds == ["ARRAY"]:
        np.testing.assert_array_equal(snapshot.vertices[origin.source], np.tile(snapshot.vertices, (2, 1)))


def settle(engine) -> None:
    """What was begun has ended."""
    deadline = time.monotonic() + 60
    while engine.busy and time.monotonic() < deadline:
        engine.pump()
        time.sleep(0.002)


def test_the_surface_follows_its_modifiers(empty, monkeypatch):
    """The mesh below until it is known where the points come from; then the surface, in every pose."""
    monkeypatch.setattr(empty.viewport.evaluated, "QUICK", 1e9)
    monkeypatch.setattr(empty.timers.Timers, "begin", lambda self, timer, **_: timer())
    monkey()
    obj, engine = bpy.context.object, empty.engine.running.engine()
    snapshot = empty.mesh.cache.snapshot_of(obj)
    assert empty.viewport.evaluated.surface_of(obj, snapshot).points is snapshot.vertices
    modifier = obj.modifiers.new("Mirror", "MIRROR")
    bpy.context.view_layer.update()
    empty.viewport.evaluated.surface_of(obj, snapshot)  # begins to find out
    settle(engine)
    assert empty.viewport.evaluated.surface_of(obj, snapshot).source is not None
    surface = empty.viewport.evaluated.surface_of(obj, snapshot)
    assert (
        len(surface.points) > len(snapshot.vertices) and empty.viewport.evaluated.surface_of(obj, snapshot) is surface
    )
    offset = obj.modifiers.new("Displace", "DISPLACE")
    offset.strength = 0.5
    bpy.context.view_layer.update()
    empty.viewport.evaluated.surface_of(obj, snapshot)  # begins to find out
    settle(engine)
    assert empty.viewport.evaluated.surface_of(obj, snapshot).source is not None
    assert not np.allclose(empty.viewport.evaluated.surface_of(obj, snapshot).points, surface.points)
    modifier.show_viewport = False
    bpy.context.view_layer.update()
    moved = empty.viewport.evaluated.surface_of(obj, snapshot)  # now the modifiers only move vertices
    assert moved.source is None and len(moved.points) == len(snapshot.vertices)
    assert not np.allclose(moved.points, snapshot.vertices)


@pytest.mark.parametrize("kinds", [["SUBSURF"], ["MIRROR"], ["ARRAY"], ["DISPLACE"], ["MIRROR", "SUBSURF"]])
def test_points_go_to_the_base_mesh_and_back(empty, monkeypatch, kinds):
    """A point of what is seen becomes one of the base mesh, on the polygon that made it, and is shown where it was."""
    monkeypatch.setattr(empty.viewport.evaluated, "QUICK", 1e9)
    monkeypatch.setattr(empty.timers.Timers, "begin", lambda self, timer, **_: timer())
    bpy.ops.mesh.primitive_cube_add()
    obj = bpy.context.object
    obj.location = (3.0, 0.0, 0.0)
    for kind in kinds:
        modifier = obj.modifiers.new(kind, kind)
        if kind == "SUBSURF":
            modifier.levels = 2
        if kind == "MIRROR":
            modifier.use_axis = (True, False, False)
            modifier.mirror_object = bpy.data.objects.new("Middle", None)
            bpy.context.scene.collection.objects.link(modifier.mirror_object)
    bpy.context.view_layer.update()
    snapshot = empty.mesh.cache.snapshot_of(obj)
    empty.viewport.evaluated.surface_of(obj, snapshot)  # begins to find out
    settle(empty.engine.running.engine())
    surface, points = empty.viewport.evaluated.surface_of(obj, snapshot), empty.mesh.points
    rng = np.random.default_rng(0)
    assert (surface.base is None) == (kinds == ["DISPLACE"])
    first = len(surface.triangles) // (1 if kinds[0] in ("SUBSURF", "DISPLACE") else 2)  # without the copies
    for face in rng.integers(0, first, 30).tolist():
        seen = points.surface_point(face, rng.dirichlet((1, 1, 1)))
        base = surface.base_point(seen)
        assert snapshot.polygons[base.face] == surface.polygons[face]
        place = points.place_of(seen, surface.points, surface.triangles)
        np.testing.assert_allclose(surface.place(base), place, atol=0.02)


def test_dots_stay_on_their_vertices_when_those_move(empty, monkeypatch):
    monkeypatch.setattr(empty.viewport.evaluated, "QUICK", 1e9)
    monkeypatch.setattr(empty.timers.Timers, "begin", lambda self, timer, **_: timer())
    monkey()
    obj, mesh = bpy.context.object, bpy.context.object.data
    obj.modifiers.new("Subdivision", "SUBSURF").levels = 1  # has the mesh's own vertices first
    for _ in range(2):
        bpy.context.view_layer.update()
        snapshot = empty.mesh.cache.snapshot_of(obj)
        empty.viewport.evaluated.surface_of(obj, snapshot)  # begins to find out
        settle(empty.engine.running.engine())
        surface = empty.viewport.evaluated.surface_of(obj, snapshot)
        shown = [surface.point_of(vertex) for vertex in range(len(mesh.vertices))]
        np.testing.assert_array_equal(snapshot.vertices[shown], snapshot.vertices)  # two of them lie at one place
        evaluated = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
        np.testing.assert_allclose(surface.place(100), evaluated.vertices[100].co, atol=1e-6)
        for vertex in mesh.vertices:  # what was left is right now, and far away
            vertex.co.x = 5 - vertex.co.x
        mesh.update()
        empty.mesh.cache.MeshCache.current().versions[mesh.session_uid] += 1  # as Blender says
