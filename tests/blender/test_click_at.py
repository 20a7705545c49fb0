"""Clicks in a view: what mouse and keys do to them, with stand-ins for a window."""

from types import SimpleNamespace

import bpy
import pytest
from mathutils import Matrix, Vector

SIZE = 400  # pixels
EDGE = 2.5  # half of what the view shows, in units of the world


@pytest.fixture
def click(empty):
    """Click where points of the world are seen, from above, in one stroke; whether the mesh was met."""
    view = Matrix.Translation((0.0, 0.0, -10.0))
    window = Matrix.Diagonal((2 / EDGE, 2 / EDGE, -0.01, 1.0))
    rv3d = SimpleNamespace(
        view_matrix=view,
        window_matrix=window,
        perspective_matrix=window @ view,
        is_perspective=False,
        view_perspective="ORTHO",
    )
    region = SimpleNamespace(type="WINDOW", x=100, y=50, width=SIZE, height=SIZE, data=rv3d)
    shading = SimpleNamespace(type="SOLID", show_xray=False, show_xray_wireframe=False)
    context = SimpleNamespace(
        scene=bpy.context.scene,
        area=SimpleNamespace(regions=[region]),
        space_data=SimpleNamespace(shading=shading, local_view=None),
        evaluated_depsgraph_get=bpy.context.evaluated_depsgraph_get,
    )

    def place(point) -> tuple[float, float]:
        x, y = ((window @ view @ Vector(point)).xy + Vector((1, 1))) / 2 * SIZE
        return region.x + x, region.y + y

    def mouse(*points, positive=True, remove=False):
        context.object = bpy.context.object
        if remove:
            return empty.operators.pointer.remove(context, place(points[0]))
        stroke = empty.operators.pointer.Stroke(None, positive)
        for point in points:
            stroke.to(context, place(point))
        return stroke.met

    mouse.context, mouse.region, mouse.place, mouse.shading = context, region, place, shading
    return mouse


def made() -> list:
    thing = bpy.context.object
    return [(thing.data.vertices[c.vertex].co[:], c.positive) for part in thing.iseg.parts for c in part.clicks]


def test_the_nearest_corner_is_clicked(click):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert click((0.4, 0.3, 0.5))
    assert click((-0.4, 0.3, 0.5), positive=False)
    assert made() == [((0.5, 0.5, 0.5), True), ((-0.5, 0.5, 0.5), False)]


def test_a_stroke_is_several_clicks(click):
    """One each some pixels, and none where the mouse is not over the mesh."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=2.0)
    assert click(*((-1.5 + 0.05 * step, 0.0, 0.0) for step in range(41)))
    assert [round(place[0], 2) for place, _ in made()] == [-1.0, -0.5, 0.0, 0.5]


def test_beside_the_mesh_nothing_is_clicked(click):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert not click((1.0, 1.0, 0.0)) and made() == []


@pytest.mark.parametrize("limit", [0, 100_000], ids=["by one ray an object", "by the scene's ray"])
def test_what_another_object_hides_is_not_clicked(click, empty, monkeypatch, limit):
    monkeypatch.setattr(empty.operators.aiming, "RAY_LIMIT", limit)
    bpy.ops.mesh.primitive_plane_add(size=0.6, location=(0.5, 0.5, 2.0))
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert not click((0.4, 0.4, 0.5)) and made() == []
    assert click((-0.4, -0.4, 0.5)) and made() == [((-0.5, -0.5, 0.5), True)]


def test_only_a_click_that_is_seen_is_removed(click):
    """The nearest of those near the cursor; one behind the mesh, or behind another object, only with x-ray."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2, size=2.0, location=(0, 0, 1))
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=2.0)
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.join()  # one mesh: a sheet of 9 vertices over one of 25
    thing = bpy.context.object
    corner, middle, below = (
        next(vertex.index for vertex in thing.data.vertices if (vertex.co - Vector(place)).length < 0.01)
        for place in ((1.0, 1.0, 1.0), (0.0, 0.0, 1.0), (-0.5, 0.5, 0.0))
    )
    for vertex in (corner, middle, below):
        bpy.ops.iseg.click_add(vertex=vertex)
    assert not click((0.5, -0.5, 1.0), remove=True)  # too far from all
    assert not click((-0.5, 0.5, 1.0), remove=True) and len(made()) == 3
    click.shading.show_xray = True
    assert click((-0.5, 0.5, 1.0), remove=True) and [place for place, _ in made()] == [(1, 1, 1), (0, 0, 1)]
    click.shading.show_xray = False
    bpy.ops.mesh.primitive_plane_add(size=0.6, location=(1.0, 1.0, 3.0))
    bpy.context.view_layer.objects.active = thing
    assert not click((1.0, 1.0, 1.0), remove=True)
    assert click((0.02, 0.02, 1.0), remove=True) and [place for place, _ in made()] == [(1, 1, 1)]


@pytest.mark.parametrize("operator", ["click", "click_at", "click_remove_at"])
def test_a_script_is_told_what_to_use(empty, operator):
    said = []
    tool = SimpleNamespace(report=lambda kind, text: said.append(text))
    kinds = {kind.bl_idname: kind for kind in empty.operators.CLASSES}
    assert kinds[f"iseg.{operator}"].execute(tool, bpy.context) == {"CANCELLED"}
    assert "scripts use bpy.ops.iseg.click_add" in said[0]


def test_t_swaps_include_and_exclude(empty):
    pointer = empty.operators.pointer
    assert pointer.includes(ctrl=False) and not pointer.includes(ctrl=True)
    pointer.swap()
    assert not pointer.includes(ctrl=False) and pointer.includes(ctrl=True)
    pointer.reset()
    assert pointer.includes(ctrl=False)
