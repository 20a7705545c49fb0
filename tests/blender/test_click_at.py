"""Single clicks in a view: what the toolbar's tool does, with stand-ins for a window."""

from types import SimpleNamespace

import bpy
import pytest
from mathutils import Matrix, Vector

SIZE = 400  # pixels
EDGE = 2.5  # half of what the view shows, in units of the world


@pytest.fixture
def click(empty):
    """Click where a point of the world is seen, from above; what the operator returns and reports."""
    view = Matrix.Translation((0.0, 0.0, -10.0))
    window = Matrix.Diagonal((2 / EDGE, 2 / EDGE, -0.01, 1.0))
    region = SimpleNamespace(type="WINDOW", x=100, y=50, width=SIZE, height=SIZE)
    rv3d = SimpleNamespace(
        view_matrix=view,
        window_matrix=window,
        perspective_matrix=window @ view,
        is_perspective=False,
        view_perspective="ORTHO",
    )
    space = SimpleNamespace(region_3d=rv3d, shading=SimpleNamespace(show_xray=False))

    def at(point, positive=True):
        said = []
        x, y = ((window @ view @ Vector(point)).xy + Vector((1, 1))) / 2 * SIZE
        context = SimpleNamespace(
            object=bpy.context.object,
            scene=bpy.context.scene,
            area=SimpleNamespace(regions=[region]),
            space_data=space,
            evaluated_depsgraph_get=bpy.context.evaluated_depsgraph_get,
        )
        tool = SimpleNamespace(
            _cursor=(region.x + x, region.y + y), positive=positive, report=lambda kind, text: said.append(text)
        )
        return empty.operators.click.ISEG_OT_click_at.execute(tool, context), said

    return at


def made() -> list:
    thing = bpy.context.object
    return [(thing.data.vertices[c.vertex].co[:], c.positive) for part in thing.iseg.parts for c in part.clicks]


def test_the_nearest_corner_is_clicked(click):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert click((0.4, 0.3, 0.5)) == ({"FINISHED"}, [])
    assert click((-0.4, 0.3, 0.5), positive=False)[0] == {"FINISHED"}
    assert made() == [((0.5, 0.5, 0.5), True), ((-0.5, 0.5, 0.5), False)]


def test_beside_the_mesh_nothing_is_clicked(click):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    outcome, (said,) = click((1.0, 1.0, 0.0))
    assert outcome == {"CANCELLED"} and "nothing of Cube under the cursor" in said and made() == []


@pytest.mark.parametrize("limit", [0, 100_000], ids=["by one ray an object", "by the scene's ray"])
def test_what_another_object_hides_is_not_clicked(click, empty, monkeypatch, limit):
    monkeypatch.setattr(empty.operators.click, "RAY_LIMIT", limit)
    bpy.ops.mesh.primitive_plane_add(size=0.6, location=(0.5, 0.5, 2.0))
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert click((0.4, 0.4, 0.5))[0] == {"CANCELLED"} and made() == []
    assert click((-0.4, -0.4, 0.5))[0] == {"FINISHED"} and made() == [((-0.5, -0.5, 0.5), True)]


def test_a_script_is_told_what_to_use(empty):
    said = []
    tool = SimpleNamespace(_cursor=None, report=lambda kind, text: said.append(text))
    assert empty.operators.click.ISEG_OT_click_at.execute(tool, bpy.context) == {"CANCELLED"}
    assert "scripts use bpy.ops.iseg.click_add" in said[0]
