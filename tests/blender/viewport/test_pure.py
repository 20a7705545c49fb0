"""Picking, overlay and regions: arrays in, arrays out."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.blender.views import CUBE, FACES, HEIGHT, WIDTH, moved, perspective


@pytest.fixture
def view() -> np.ndarray:
    """A camera at z = 5 before the cube."""
    return perspective() @ moved(0, 0, -5)


def test_picks_the_nearest_corner_that_is_seen(iseg, view):
    screen = iseg.mesh.picking.project(CUBE, view, WIDTH, HEIGHT)
    for vertex in (1, 3, 5, 7):  # those with z = 1 hide the others
        x, y = screen.points[vertex]
        towards = np.array([WIDTH / 2, HEIGHT / 2]) - (x, y)
        assert iseg.mesh.picking.pick(screen, FACES, tuple((x, y) + 0.3 * towards)) == vertex
        assert iseg.mesh.picking.pick(screen, FACES, (x, y)) == vertex  # exactly on it: nothing slips between the faces
        assert (
            iseg.mesh.picking.pick(screen, FACES, tuple((x, y) - 0.02 * towards)) == vertex
        )  # beside the mesh, in reach
    assert iseg.mesh.picking.pick(screen, FACES, (5, 5)) is None


def test_xray_picks_what_is_hidden(iseg, view):
    screen = iseg.mesh.picking.project(CUBE, view, WIDTH, HEIGHT)
    behind = tuple(screen.points[6])
    assert iseg.mesh.picking.pick(screen, FACES, behind) == 7
    assert iseg.mesh.picking.pick(screen, FACES, behind, through=True) == 6


@pytest.mark.parametrize("scale", [(-1, 1, 1), (1, -2, 1), (0.5, 0.5, -1)])
def test_mirrored_and_scaled_objects_need_no_case(iseg, view, scale):
    """The vertex that is picked is the one of the same mesh with its scale applied."""
    world = np.diag([*scale, 1.0])
    applied = (CUBE * scale).astype(np.float32)
    through_matrix = iseg.mesh.picking.project(CUBE, view @ world, WIDTH, HEIGHT)
    directly = iseg.mesh.picking.project(applied, view, WIDTH, HEIGHT)
    for cursor in np.random.default_rng(0).uniform((250, 150), (550, 450), (50, 2)):
        assert iseg.mesh.picking.pick(through_matrix, FACES, cursor) == iseg.mesh.picking.pick(directly, FACES, cursor)


def test_what_is_behind_the_camera_is_not_picked(iseg):
    screen = iseg.mesh.picking.project(CUBE, perspective() @ moved(0, 0, 5), WIDTH, HEIGHT)
    assert not screen.seen.any()
    assert iseg.mesh.picking.pick(screen, FACES, (WIDTH / 2, HEIGHT / 2)) is None


def test_faces_under_the_cursor_come_front_to_back(iseg, view):
    """Against rays through random points, solved exactly."""
    generator = np.random.default_rng(1)
    points = generator.normal(size=(60, 3))  # [60, 3]
    faces = generator.integers(0, 60, (80, 3)).astype(np.int32)  # [80, 3]
    screen = iseg.mesh.picking.project(points, view, WIDTH, HEIGHT)
    checked = 0
    for cursor in generator.uniform((250, 150), (550, 450), (40, 2)):
        x, y = cursor / (WIDTH, HEIGHT) * 2 - 1
        direction = np.array([x / (1.5 * HEIGHT / WIDTH), y / 1.5, -1.0])  # [3] from (0, 0, 5)
        expected = []
        for index, (a, b, c) in enumerate(points[faces]):
            if abs(np.linalg.det([b - a, c - a, -direction])) > 1e-9:
                s, t, r = np.linalg.solve(np.stack([b - a, c - a, -direction], axis=1), np.array([0, 0, 5]) - a)
                if s >= 0 and t >= 0 and s + t <= 1 and r > 0.1:
                    expected.append((r, index))
        found, depths = iseg.mesh.picking.under_cursor(screen, faces, cursor)
        assert found.tolist() == [index for _, index in sorted(expected)]
        assert (np.diff(depths) >= 0).all()
        checked += len(expected)
    assert checked > 50


WINDOW = np.diag([0.3, 0.4, -0.02, 1.0])  # orthographic, [4, 4]


@pytest.mark.parametrize("camera", [perspective() @ moved(0, 0, -5), perspective() @ moved(0.2, 0.1, -0.5), WINDOW])
@pytest.mark.parametrize("scale", [(1, 1, 1), (-1, 2, 0.5)])
def test_what_is_near_the_cursor_is_all_that_counts(iseg, monkeypatch, camera, scale):
    """From outside, from within and without perspective: the same as with the whole mesh."""
    generator = np.random.default_rng(2)
    t = np.linspace(-0.99, 0.99, 6000)  # along a spiral: neighbours in the list lie together, as mostly
    points = np.stack([*(np.sqrt(1 - t * t) * (np.cos(9 * t), np.sin(9 * t))), t], axis=1)  # [6000, 3]
    points = (points + generator.normal(0, 0.02, points.shape)).astype(np.float32)
    first = np.sort(generator.integers(0, 5990, 9000))  # [9000]
    faces = (first[:, None] + generator.permuted(np.tile(np.arange(10), (9000, 1)), axis=1)[:, :3]).astype(np.int32)
    hidden = generator.random(9000) < 0.3  # [9000]
    matrix, solid = camera @ np.diag([*scale, 1.0]), iseg.mesh.picking.solid(points, faces)
    less = []
    for cursor in generator.uniform((-20, -20), (WIDTH + 20, HEIGHT + 20), (60, 2)):
        for left_out in (None, hidden):
            near = iseg.mesh.picking.near(solid, matrix, WIDTH, HEIGHT, cursor, left_out)
            with monkeypatch.context() as patch:
                patch.setattr(iseg.mesh.picking, "BLOCK", 10_000)  # one box around it all
                everything = iseg.mesh.picking.solid(points, faces)
                all_of_it = iseg.mesh.picking.near(everything, matrix, WIDTH, HEIGHT, cursor, left_out)
            less.append(len(near.points) / len(points))
            for through in (False, True):
                found = iseg.mesh.picking.meant(near.screen, near.faces, cursor, through)
                whole = iseg.mesh.picking.meant(all_of_it.screen, all_of_it.faces, cursor, through)
                assert (found is None) == (whole is None)
                if found is not None:
                    assert near.points[found.point] == all_of_it.points[whole.point] and found.depth == pytest.approx(
                        whole.depth
                    )
    assert np.mean(less) < 0.5


@pytest.mark.parametrize("turn", [0, 1, 2])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_wall_that_goes_on_behind_the_camera(iseg, turn, flipped):
    """One sees, clicks and is kept from seeing beyond it, whichever of its corners are behind one."""
    floor = np.array([[-4, -1, -9], [4, -1, -9], [4, -1, 9], [-4, -1, 9]], np.float32)  # [4, 3] the camera is at 0
    below = np.array([[-4, -2, -9], [4, -2, -9], [0, -2, -1.1]], np.float32)  # [3, 3] and wholly before it
    faces = np.roll([[0, 1, 2], [0, 2, 3], [4, 5, 6]], turn, axis=1).astype(np.int32)  # [3, 3]
    solid = iseg.mesh.picking.solid(np.concatenate([floor, below]), faces[:, ::-1] if flipped else faces)
    for x, z, nearest in ((-1, -8, 0), (1.5, -8, 1), (0.3, -1.5, None)):
        place = iseg.mesh.picking.project(np.array([[x, -1, z]]), perspective(), WIDTH, HEIGHT)
        cursor = tuple(place.points[0])
        near = iseg.mesh.picking.near(solid, perspective(), WIDTH, HEIGHT, cursor)
        assert near.screen.seen[near.faces].all()
        found = iseg.mesh.picking.meant(near.screen, near.faces, cursor)
        assert found.depth == pytest.approx(place.depth[0])
        assert near.points[found.point] in ((0, 1) if nearest is None else (nearest,))  # never one behind the camera


@pytest.mark.parametrize("count", [0, 3])
def test_near_the_cursor_is_nothing_where_there_are_no_faces(iseg, count):
    solid = iseg.mesh.picking.solid(np.zeros((count, 3), np.float32), np.zeros((0, 3), np.int32))
    near = iseg.mesh.picking.near(solid, perspective() @ moved(0, 0, -5), WIDTH, HEIGHT, (WIDTH / 2, HEIGHT / 2))
    assert len(near.points) == count and len(near.faces) == 0  # points alone can be clicked


def test_overlay_shows_the_part_and_its_clicks(iseg):
    inside = (CUBE[:, 2] > 0)[FACES].all(axis=1)  # [12]
    surface = iseg.viewport.overlay.Surface(CUBE, FACES)
    shown = iseg.viewport.overlay.build(surface, inside, ((1, True), (0, False), (7, True)))
    assert shown.region.tolist() == FACES[inside].tolist() and len(shown.region) == 2
    np.testing.assert_array_equal(shown.include, CUBE[[1, 7]])
    np.testing.assert_array_equal(shown.exclude, CUBE[[0]])
    assert len(shown.active) == 0
    chosen = iseg.viewport.overlay.build(surface, inside, ((1, True), (0, False)), 0)
    np.testing.assert_array_equal(chosen.active, CUBE[[0]])
    assert len(iseg.viewport.overlay.build(surface, inside, ((1, True),), 1).active) == 0  # one click needs no mark
    assert len(iseg.viewport.overlay.build(surface, inside, ((1, True), (0, False)), 5).active) == 0
    unknown = iseg.viewport.overlay.build(surface, None, ())
    assert [len(array) for array in unknown] == [0, 0, 0, 0]


def test_overlay_on_what_modifiers_make(iseg):
    """Every triangle of the surface is in the part where the polygon is that it shows; a dot is where it is seen."""
    source = np.repeat(np.arange(8), 2)  # [16] as a mirror makes it, but here each copy follows its vertex
    points = np.repeat(CUBE, 2, axis=0) * np.tile([[1.0], [-3.0]], (8, 1)).astype(np.float32)  # [16, 3]
    polygons = np.arange(12) // 2  # [12]
    surface = iseg.viewport.overlay.Surface(points, 2 * FACES + 1, source, 2 * np.arange(8), polygons)
    inside = np.arange(6) == 4  # [6]
    shown = iseg.viewport.overlay.build(surface, inside, ((7, True),))
    np.testing.assert_array_equal(shown.region, 2 * FACES[8:10] + 1)
    np.testing.assert_array_equal(shown.include, CUBE[[7]])
    assert surface.base_vertex(15) == 7


@pytest.mark.parametrize("flat", [False, True], ids=["perspective", "orthographic"])
def test_the_overlay_lies_before_its_surface_and_at_the_same_place(iseg, flat):
    window = np.diag([0.2, 0.25, -0.02, 1.0]) if flat else perspective()
    points = np.random.default_rng(3).uniform(-1, 1, (50, 3)) + (0, 0, -5)  # [50, 3] in the camera's space
    on = iseg.mesh.picking.project(points, window, WIDTH, HEIGHT)
    before = iseg.mesh.picking.project(points, window @ iseg.viewport.overlay.towards_viewer(window), WIDTH, HEIGHT)
    np.testing.assert_allclose(before.points, on.points, atol=1e-9)
    assert (before.depth < on.depth).all()


@pytest.mark.parametrize("distance", [3.0, 10.0])
def test_dots_are_round_and_of_one_size(iseg, distance):
    """Some pixels wide at every distance, around the place that they mark."""
    camera = moved(0, 0, -distance)
    discs = iseg.viewport.overlay.discs(np.array([[0.2, 0.1, 0.0]]), np.eye(4), camera, perspective(), 6 * 2 / HEIGHT)
    screen = iseg.mesh.picking.project(discs.reshape(-1, 3), perspective() @ camera, WIDTH, HEIGHT)
    place = iseg.mesh.picking.project(np.array([[0.2, 0.1, 0.0]]), perspective() @ camera, WIDTH, HEIGHT).points[0]
    corners = screen.points.reshape(-1, 3, 2)  # middle, rim, rim
    np.testing.assert_allclose(corners[:, 0], np.broadcast_to(place, corners[:, 0].shape), atol=0.5)
    np.testing.assert_allclose(np.linalg.norm(corners[:, 1] - place, axis=1), 6, atol=0.6)


def test_connected_to_is_a_flood(iseg):
    generator = np.random.default_rng(2)
    for _ in range(20):
        counts = generator.integers(3, 6, 30)  # [30]
        rings = [generator.choice(90, count, replace=False).tolist() for count in counts]
        inside = generator.random(30) < 0.7  # [30]
        seeds = generator.integers(0, 90, 3).tolist()
        reached, grown = set(seeds), True  # vertices
        while grown:
            more = {
                v for ring, own in zip(rings, inside, strict=True) if own and reached & {*ring} for v in ring
            } - reached
            reached, grown = reached | more, bool(more)
        geometry = iseg.mesh.geometry.Geometry(
            np.zeros((90, 3), np.float32),
            np.concatenate(rings).astype(np.int32),
            (np.cumsum(counts) - counts).astype(np.int32),
            np.zeros((0, 2), np.int32),
            np.zeros(30, bool),
        )
        found = iseg.mesh.region.connected_to(inside, geometry, seeds)
        assert found.tolist() == [bool(own and reached & {*ring}) for ring, own in zip(rings, inside, strict=True)]


def cube(iseg):
    """A snapshot of the cube."""
    faces = FACES.astype(np.int32)
    starts = np.arange(0, faces.size, 3, dtype=np.int32)  # [12]
    edges, shown = np.zeros((0, 2), np.int32), np.zeros(len(faces), bool)  # [0, 2], [12]
    geometry = iseg.mesh.geometry.Geometry(CUBE.astype(np.float32), faces.ravel(), starts, edges, shown)
    return iseg.mesh.snapshot.MeshSnapshot(geometry)


def test_mirror_images_of_points_are_points(iseg):
    snapshot, points = cube(iseg), iseg.mesh.points
    for face, weights in ((3, (0.5, 0.25, 0.25)), (8, (0.125, 0.125, 0.75))):
        point = iseg.core.SurfacePoint(face, weights)
        place = points.place_of(point, snapshot.vertices, snapshot.faces)
        ((_, _), (image, include)) = iseg.mesh.region.mirrored(((point, False),), (False, True, False), snapshot.image)
        assert include is False and isinstance(image, iseg.core.SurfacePoint)
        found = points.place_of(image, snapshot.vertices, snapshot.faces)
        np.testing.assert_allclose(found, place * (1, -1, 1), atol=1e-6)


def test_the_nearest_point_of_a_surface(iseg):
    """Among many triangles in blocks, and flat ones, as near as the best of many points of all of them."""
    rng = np.random.default_rng(3)
    vertices = rng.normal(size=(900, 3)).astype(np.float32)
    faces = rng.integers(0, 900, (6000, 3)).astype(np.int32)  # some have a corner twice
    solid = iseg.mesh.picking.solid(vertices, faces)
    weights = rng.dirichlet(np.full(3, 0.5), (6000, 50)).astype(np.float32)  # [6000, 50, 3]
    many = np.einsum("fsc,fcx->fsx", weights, vertices[faces]).reshape(-1, 3)  # [300000, 3]
    for place in rng.normal(size=(20, 3)) * 1.5:
        point = iseg.mesh.points.nearest_on(solid, place)
        away = np.linalg.norm(iseg.mesh.points.place_of(point, vertices, faces) - place)
        least = np.linalg.norm(many - place, axis=1).min()
        assert away <= least + 1e-6 and away > least - 0.1
    for point in many[::30011]:  # on the surface
        found = iseg.mesh.points.place_of(iseg.mesh.points.nearest_on(solid, point), vertices, faces)
        np.testing.assert_allclose(found, point, atol=1e-5)


@pytest.mark.parametrize("eye", [(0, 0, 5), (0.6, 0.2, 0.8)], ids=["outside", "close"])
def test_the_point_under_the_cursor(iseg, eye):
    """Seen in perspective, and with corners behind the camera: the point whose picture is there."""
    matrix = perspective() @ moved(*(-np.array(eye)))
    corners = CUBE[FACES[8]] * (1, 1, 0.5) + (0, 0, -0.2)  # [3, 3]
    weights = np.array([0.2, 0.5, 0.3])  # [3]
    screen = iseg.mesh.picking.project((weights @ corners)[None], matrix, WIDTH, HEIGHT)
    assert screen.seen[0]
    found = iseg.mesh.picking.weights_at(corners, matrix, WIDTH, HEIGHT, tuple(screen.points[0]))
    np.testing.assert_allclose(found, weights, atol=1e-9)


def test_mirrored_clicks(iseg):
    clicks, image = ((7, True), (4, False)), cube(iseg).image
    assert iseg.mesh.region.mirrored(clicks, (False, False, False), image) == clicks
    assert iseg.mesh.region.mirrored(clicks, (True, False, False), image) == (
        (7, True),
        (4, False),
        (3, True),
        (0, False),
    )
    both = dict(iseg.mesh.region.mirrored(((7, True),), (True, True, True), image))
    assert both == dict.fromkeys(range(8), True)
    assert iseg.mesh.region.mirrored(((7, True), (3, False)), (True, False, False), image) == ((7, True), (3, False))


def test_a_memory_is_bounded_by_weight(iseg):
    recent = iseg.core.Recent(10, len)
    for word in ("four", "three", "one"):
        recent.put(word, word)
    assert list(recent) == ["three", "one"]
    assert recent.take("three") == "three"
    recent.put("two", "two")
    assert list(recent) == ["three", "two"]  # what was taken has stayed
    recent.put("more than ten", "more than ten")
    assert list(recent) == ["more than ten"]


@pytest.mark.parametrize(
    ("kind", "seen"), [("WIREFRAME", "show_xray_wireframe"), ("SOLID", "show_xray"), ("MATERIAL", ""), ("RENDERED", "")]
)
def test_each_shading_has_its_own_xray(iseg, kind, seen):
    for on in ("show_xray", "show_xray_wireframe"):
        flags = {name: name == on for name in ("show_xray", "show_xray_wireframe")}
        assert iseg.viewport.evaluated.through(SimpleNamespace(type=kind, **flags)) == (on == seen)
