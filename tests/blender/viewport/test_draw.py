"""The overlay as pixels, drawn offscreen; Blenders before 5.2 have no GPU without a window."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from support.blender.views import CUBE, FACES, moved, perspective

pytestmark = pytest.mark.skipif(bpy.app.version < (5, 2, 0), reason="this Blender cannot draw without a window")

SIZE = (400, 300)
FRONT = (CUBE[:, 2] > 0)[FACES].all(axis=1)  # [12] the side that faces the camera


@pytest.fixture
def picture(iseg):
    """Draws an overlay of the cube seen from z = 5, and returns the picture. [H, W, 4] float32"""
    import gpu

    gpu.init()

    def draw(inside, clicks, through=False, colour=(0.0, 0.0, 1.0, 1.0)) -> np.ndarray:
        width, height = SIZE
        view, window = Matrix(moved(0, 0, -5)), Matrix(perspective())
        screen = gpu.types.GPUOffScreen(width, height)
        with screen.bind():
            buffer = gpu.state.active_framebuffer_get()
            buffer.clear(color=(0.0, 0.0, 0.0, 1.0), depth=1.0)
            with gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
                gpu.matrix.load_matrix(view)
                gpu.matrix.load_projection_matrix(window)
                surface = iseg.viewport.overlay.Surface(CUBE, FACES)
                batches = iseg.viewport.draw.Batches(surface, iseg.viewport.overlay.build(surface, inside, clicks))
                batches.draw(Matrix.Identity(4), view, window, 2 / height, through, colour)
            pixels = buffer.read_color(0, 0, width, height, 4, 0, "FLOAT")
            pixels.dimensions = width * height * 4
            found = np.array(pixels, np.float32).reshape(height, width, 4)  # [H, W, 4]
        screen.free()
        return found

    return draw


def at(picture, iseg, point) -> np.ndarray:
    """The colour of the picture where a point is seen. [3]"""
    view = perspective() @ moved(0, 0, -5)
    (x, y) = iseg.mesh.picking.project(np.array([point], np.float64), view, *SIZE).points[0]
    return picture[int(y), int(x), :3]


def test_the_part_is_blue_and_the_rest_is_not(iseg, picture):
    drawn = picture(FRONT, ())
    np.testing.assert_allclose(at(drawn, iseg, (0.3, 0.2, 1.0)), (0, 0, 1), atol=0.02)
    assert (picture(None, ())[..., :3] == 0).all()
    assert not drawn[5, 5, :3].any()  # beside the cube


def test_dots_are_green_and_red_with_a_dark_rim(iseg, picture):
    drawn = picture(FRONT, ((7, True), (1, False)))
    np.testing.assert_allclose(at(drawn, iseg, CUBE[7]), iseg.viewport.draw.GREEN[:3], atol=0.02)
    np.testing.assert_allclose(at(drawn, iseg, CUBE[1]), iseg.viewport.draw.RED[:3], atol=0.02)
    green = (np.abs(drawn[..., :3] - iseg.viewport.draw.GREEN[:3]) < 0.05).all(axis=-1)  # [H, W]
    area = np.pi * iseg.viewport.draw.DOT**2  # pixels
    assert 0.7 * area < green.sum() < 1.3 * area
    rows, columns = np.nonzero(green)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1  # round


def test_state_is_left_as_it_was(iseg, picture):
    import gpu

    gpu.init()

    def state():
        return gpu.state.depth_test_get(), gpu.state.depth_mask_get(), gpu.state.blend_get()

    for mask, blend in ((True, "NONE"), (False, "ADDITIVE")):
        gpu.state.depth_mask_set(mask)
        gpu.state.blend_set(blend)
        before = state()
        picture(FRONT, ((7, True),))
        assert state() == before and before[1:] == (mask, blend)
    gpu.state.depth_mask_set(True)
    gpu.state.blend_set("NONE")
