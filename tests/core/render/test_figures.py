"""Pictures: what is blue, what is grey, which clicks are seen; PLY files that other programs read."""

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from iseg_core.errors import SettingsError
from iseg_core.geometry.mesh import Mesh
from iseg_core.render import figures
from iseg_core.render.figures import GREEN, RED, contact_sheet, draw_from, draw_views, write_ply

SIZE = 64


@pytest.fixture(scope="module")
def sphere() -> Mesh:
    shape = trimesh.creation.icosphere(subdivisions=3)
    return Mesh(np.array(shape.vertices, dtype=np.float64), np.array(shape.faces, dtype=np.int32))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)  # [H, W, 3]


def tiles(image: Image.Image, columns: int = 3) -> list[np.ndarray]:
    """The views of a sheet, row by row."""
    rows = np.split(pixels(image), image.height // SIZE)
    return [tile for row in rows for tile in np.split(row, columns, axis=1)]


def is_blue(p: np.ndarray) -> np.ndarray:
    return p[..., 2] - p[..., 0] > 60


def is_white(p: np.ndarray) -> np.ndarray:
    return (p == 255).all(axis=-1)


def near(p: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(p - colour).max(axis=-1) < 12).sum())


def test_the_sheet_has_its_size_and_fills_its_views(sphere: Mesh):
    sheet = draw_views(sphere.vertices, sphere.faces, size=SIZE)
    assert (sheet.mode, sheet.size) == ("RGB", (3 * SIZE, 2 * SIZE))
    for tile in tiles(sheet):
        covered = ~is_white(tile)
        assert covered.sum() == pytest.approx(np.pi / 4 * (0.92 * SIZE) ** 2, rel=0.06)  # the disc that fits in
        assert not covered[[0, -1]].any() and not covered[:, [0, -1]].any()
    assert draw_views(sphere.vertices, sphere.faces, size=SIZE, views=4).size == (3 * SIZE, 2 * SIZE)


def test_the_region_is_blue_and_the_rest_grey(sphere: Mesh):
    upper = (sphere.vertices[:, 1] > 0).astype(np.float32)  # [V]
    for tile in tiles(draw_views(sphere.vertices, sphere.faces, upper, size=SIZE)):
        shape = ~is_white(tile)
        blue = is_blue(tile) & shape
        assert 0.2 < blue.sum() / shape.sum() < 0.8  # seen from above, then from below
        assert np.argwhere(blue)[:, 0].mean() < np.argwhere(shape & ~blue)[:, 0].mean()  # Y is up


def test_colour_follows_the_probability(sphere: Mesh):
    def blueness(p: float) -> float:
        probability = np.full(len(sphere.vertices), p)  # [V]
        picture = pixels(draw_views(sphere.vertices, sphere.faces, probability, size=SIZE))  # [H, W, 3]
        return float((picture[..., 2] - picture[..., 0]).mean())

    levels = [blueness(p) for p in (0, 0.25, 0.5, 0.75, 1)]
    assert levels == sorted(levels) and levels[0] < 3 and levels[-1] > 50


@pytest.mark.parametrize("scale, shift", [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4)])
def test_units_and_place_do_not_matter(sphere: Mesh, scale: float, shift: float):
    one = pixels(draw_views(sphere.vertices, sphere.faces, size=SIZE))
    other = pixels(draw_views(sphere.vertices * scale + shift, sphere.faces, size=SIZE))
    assert np.abs(one - other).mean() < 0.1


def test_flipped_faces_and_seams_do_not_show(sphere: Mesh):
    whole = pixels(draw_views(sphere.vertices, sphere.faces, size=SIZE))
    flipped = pixels(draw_views(sphere.vertices, sphere.faces[:, ::-1], size=SIZE))
    soup_faces = np.arange(sphere.faces.size, dtype=np.int32).reshape(-1, 3)  # [F, 3]
    soup = pixels(draw_views(sphere.vertices[sphere.faces.ravel()], soup_faces, size=SIZE))
    assert np.abs(whole - flipped).mean() < 0.1
    assert np.abs(whole - soup).mean() < 0.1


def test_sharp_edges_stay_sharp_and_round_ones_round(sphere: Mesh):
    cube = trimesh.creation.box()
    normals = figures._corner_normals(np.array(cube.vertices), np.array(cube.faces))  # [12, 3, 3]
    np.testing.assert_allclose(normals, np.repeat(cube.face_normals[:, None], 3, axis=1), atol=1e-6)
    normals = figures._corner_normals(sphere.vertices, sphere.faces)  # [F, 3, 3]
    np.testing.assert_allclose(normals, sphere.vertices[sphere.faces], atol=0.02)


def test_isolated_vertices_do_not_shrink_the_shape(sphere: Mesh):
    far = np.vstack([sphere.vertices, [[100.0, 0.0, 0.0]]])  # [V + 1, 3]
    assert np.array_equal(
        pixels(draw_views(far, sphere.faces, size=SIZE)), pixels(draw_views(sphere.vertices, sphere.faces, size=SIZE))
    )


def test_clicks_are_drawn_where_they_are_seen(sphere: Mesh):
    top, bottom = int(sphere.vertices[:, 1].argmax()), int(sphere.vertices[:, 1].argmin())
    sheet = draw_views(
        sphere.vertices, sphere.faces, None, [(sphere.vertices[top], True), (sphere.vertices[bottom], False)], size=SIZE
    )
    seen = [(near(tile, GREEN) > 0, near(tile, RED) > 0) for tile in tiles(sheet)]
    assert seen == [(True, False), (False, True)] * 3  # from above, from below in turn; never through the shape


def test_a_negative_click_is_red(sphere: Mesh):
    sheet = pixels(draw_views(sphere.vertices, sphere.faces, None, [(sphere.vertices[0], False)], size=SIZE))
    assert near(sheet, RED) > 0 and near(sheet, GREEN) == 0


def test_a_click_is_drawn_where_it_is():
    """In the middle of a big face, far from its corners, in whatever units."""
    triangle = np.array([[0.0, 0, 0], [9, 0, 0], [0, 9, 0]]) + 100  # [3, 3]
    front = np.array([0.0, 0, 1])  # [3]

    def seen(place: np.ndarray) -> np.ndarray:
        picture = pixels(draw_from(front, triangle, np.array([[0, 1, 2]]), dots=[(place, True)], size=90))
        return np.argwhere(np.abs(picture - GREEN).max(axis=-1) < 12).mean(axis=0)  # [2] row, column

    middle, corner = seen(triangle.mean(axis=0)), np.mean([seen(place) for place in triangle], axis=0)  # [2], [2]
    np.testing.assert_allclose(middle, corner, atol=1.5)
    assert np.abs(seen(triangle[2]) - middle).max() > 15


def test_faces_are_tinted_whole():
    cube = trimesh.creation.box()
    top = (cube.face_normals[:, 1] > 0.5).astype(np.float32)  # [F]
    for tile in tiles(draw_views(cube.vertices, cube.faces, top, size=SIZE, domain="face"))[::2]:
        from_above, shape = is_blue(tile), ~is_white(tile)
        assert 0.05 < from_above.sum() / shape.sum() < 0.5
        assert np.argwhere(from_above)[:, 0].max() < np.argwhere(shape)[:, 0].max() - SIZE // 4  # none of the sides
    corner = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])  # [4, 3] as many faces as vertices
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])  # [4, 3]
    one = pixels(draw_from(np.array([1.0, 1, 1]), corner, faces, np.array([0, 0, 0, 1.0]), size=SIZE, domain="face"))
    assert (is_blue(one) | is_white(one)).mean() > 0.95
    with pytest.raises(SettingsError, match="Unknown domain"):
        draw_views(corner, faces, np.ones(4), domain="edge")


def test_one_triangle_is_drawn():
    triangle = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # [3, 3]
    sheet = draw_views(triangle, np.array([[0, 1, 2]]), np.ones(3), [(triangle[0], True)], size=SIZE)
    assert is_blue(pixels(sheet)).any() and near(pixels(sheet), GREEN) > 0


def test_contact_sheet():
    images = [Image.new("RGB", (100, 50), colour) for colour in ("red", "green", "blue")]
    sheet = contact_sheet(images, ["one", "two", "three"], columns=2)
    assert sheet.width > 200 and sheet.height > 100
    colours = {colour for _, colour in sheet.getcolors(1 << 20) or []}
    assert {(255, 0, 0), (0, 128, 0), (0, 0, 255)} <= colours
    blank = contact_sheet(images, ["", "", ""], columns=2)
    assert blank.size == sheet.size and (pixels(blank) != pixels(sheet)).any()  # the captions are there
    with pytest.raises(ValueError):
        contact_sheet(images, ["one caption too few", ""])


def test_ply_is_read_by_others(sphere: Mesh, tmp_path: Path):
    moved = Mesh(sphere.vertices + 1e6, sphere.faces)  # float32 could not tell some of these coordinates apart
    probability = np.linspace(0, 1, len(sphere.vertices), dtype=np.float32)  # [V]
    write_ply(tmp_path / "part.ply", moved, probability)
    read = trimesh.load(tmp_path / "part.ply", process=False)
    assert isinstance(read, trimesh.Trimesh)
    np.testing.assert_array_equal(read.vertices, moved.vertices)
    np.testing.assert_array_equal(read.faces, moved.faces)
    raw = read.metadata["_ply_raw"]["vertex"]["data"]
    colours = np.stack([raw[channel].ravel() for channel in ("red", "green", "blue")], axis=1).astype(int)  # [V, 3]
    np.testing.assert_array_equal(raw["probability"].ravel(), probability)
    assert not is_blue(colours[0]) and is_blue(colours[-1])


def test_ply_of_faces_is_read_by_others(sphere: Mesh, tmp_path: Path):
    probability = np.linspace(0, 1, len(sphere.faces), dtype=np.float32)  # [F]
    write_ply(tmp_path / "part.ply", sphere, probability, domain="face")
    read = trimesh.load(tmp_path / "part.ply", process=False)
    assert isinstance(read, trimesh.Trimesh)
    np.testing.assert_array_equal(read.vertices, sphere.vertices)
    np.testing.assert_array_equal(read.faces, sphere.faces)
    raw = read.metadata["_ply_raw"]
    np.testing.assert_array_equal(raw["face"]["data"]["probability"].ravel(), probability)
    assert "red" not in raw["vertex"]["properties"]
    colours = np.stack([raw["face"]["data"][c].ravel() for c in ("red", "green", "blue")], axis=1).astype(int)  # [F, 3]
    assert not is_blue(colours[0]) and is_blue(colours[-1])


def test_ply_is_written_whole_or_not_at_all(sphere: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("iseg_core.system.atomic_file.os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_ply(tmp_path / "part.ply", sphere, np.zeros(len(sphere.vertices)))
    assert not list(tmp_path.iterdir())
