"""Clicks in a view: what mouse and keys do to them, with stand-ins for a window."""

from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector
from support.blender.extension import answers_of, running_of

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
    obj = bpy.context.object
    return [(obj.data.vertices[c.vertex].co[:], c.positive) for part in obj.iseg.parts for c in part.clicks]


def dots(iseg) -> list[list[float]]:
    """Where the clicks are shown, in the object's own space."""
    obj = bpy.context.object
    snapshot = iseg.mesh.cache.snapshot_of(obj)
    surface = iseg.viewport.evaluated.surface_of(obj, snapshot)
    clicks = [click for part in obj.iseg.parts for click in part.clicks]
    return [surface.place(iseg.document.parts.prompt_of(click, snapshot.geometry)).tolist() for click in clicks]


def test_the_point_under_the_cursor_is_clicked(click, empty):
    """The nearest corner is noted beside it."""
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    points = (0.4, 0.3, 0.5), (-0.4, 0.3, 0.5), (0.05, -0.1, 0.5)
    assert click(points[0]) and click(points[1], positive=False) and click(points[2])
    assert made()[:2] == [((0.5, 0.5, 0.5), True), ((-0.5, 0.5, 0.5), False)] and made()[2][0][2] == 0.5
    np.testing.assert_allclose(dots(empty), points, atol=1e-5)
    assert click(points[1]) and len(made()) == 3  # the same point again, now included
    assert [positive for _, positive in made()] == [True, True, True]


def test_with_xray_and_beside_the_mesh_a_vertex_is_clicked(click):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    click.shading.show_xray = True
    assert click((0.4, 0.3, 0.5))
    click.shading.show_xray = False
    assert click((-0.52, -0.52, 0.5))
    clicks = bpy.context.object.iseg.parts[0].clicks
    assert [click.face for click in clicks] == [-1, -1] and made()[1][0] == (-0.5, -0.5, 0.5)


def test_a_point_is_removed_where_it_is_seen(click):
    """Not at its corner; and not where the mesh hides it."""
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert click((0.1, 0.1, 0.5))
    assert not click((0.5, 0.5, 0.5), remove=True)
    triangles = bpy.context.object.data
    triangles.calc_loop_triangles()
    below = next(t.index for t in triangles.loop_triangles if all(triangles.vertices[v].co.z < 0 for v in t.vertices))
    bpy.ops.iseg.click_add(face=below)
    assert len(made()) == 2
    assert click((0.1, 0.1, 0.5), remove=True) and len(made()) == 1
    bottom = np.mean([triangles.vertices[v].co for v in triangles.loop_triangles[below].vertices], axis=0)
    assert not click((bottom[0], bottom[1], -0.5), remove=True) and len(made()) == 1
    click.shading.show_xray = True
    assert click((bottom[0], bottom[1], -0.5), remove=True) and made() == []


def test_a_stroke_is_several_clicks(click, empty):
    """One each some pixels, and none where the mouse is not over the mesh."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=2.0)
    assert click(*((-1.5 + 0.05 * step, 0.0, 0.0) for step in range(41)))
    places = np.array(dots(empty))  # [K, 3]
    assert len(places) > 5 and -1.1 < places[0, 0] < -0.8 and 0.3 < places[-1, 0] < 0.51
    apart = np.diff(places[1:, 0])  # [K - 2] but the first, which may be a vertex
    np.testing.assert_allclose(apart, 24 * 2 * EDGE / SIZE / 2 + 0.025, atol=0.026)
    np.testing.assert_allclose(places[:, 1:], 0, atol=1e-4)


def test_beside_the_mesh_nothing_is_clicked(click):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert not click((1.0, 1.0, 0.0)) and made() == []


@pytest.mark.parametrize("limit", [0, 100_000], ids=["by one ray an object", "by the scene's ray"])
def test_what_another_object_hides_is_not_clicked(click, empty, monkeypatch, limit):
    monkeypatch.setattr(empty.viewport.aiming, "RAY_LIMIT", limit)
    bpy.ops.mesh.primitive_plane_add(size=0.6, location=(0.5, 0.5, 2.0))
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert not click((0.4, 0.4, 0.5)) and made() == []
    assert click((-0.4, -0.4, 0.5)) and made() == [((-0.5, -0.5, 0.5), True)]


@pytest.mark.parametrize("limit", [0, 100_000], ids=["by one ray an object", "by the scene's ray"])
@pytest.mark.parametrize("kind", ["WIRE", "BOUNDS"])
def test_what_hides_nothing_is_clicked_through(click, empty, monkeypatch, limit, kind):
    """Cutters of a boolean are shown so; behind them, before the mesh, another object may hide it all the same."""
    monkeypatch.setattr(empty.viewport.aiming, "RAY_LIMIT", limit)
    for height in (2.0, 2.5):
        bpy.ops.mesh.primitive_cube_add(size=0.3, location=(0.4, 0.4, height))
        bpy.context.object.display_type = kind
    cutter = bpy.context.object
    bpy.ops.mesh.primitive_plane_add(size=0.3, location=(-0.4, -0.4, 1.0))
    copy = cutter.copy()
    copy.location = (-0.4, -0.4, 2.0)
    bpy.context.scene.collection.objects.link(copy)
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert click((0.4, 0.4, 0.5)) and made() == [((0.5, 0.5, 0.5), True)]
    assert not click((-0.4, -0.4, 0.5))


def test_wireframes_have_an_xray_of_their_own(click):
    """The solid's, which was left on, is not theirs."""
    bpy.ops.mesh.primitive_plane_add(size=0.6, location=(0.5, 0.5, 2.0))
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    click.shading.type, click.shading.show_xray = "WIREFRAME", True
    assert not click((0.4, 0.4, 0.5))
    click.shading.show_xray_wireframe = True
    assert click((0.4, 0.4, 0.5))


def test_each_view_of_four_is_its_own(click, empty):
    """Quad view: what counts is the view under the mouse; on a sidebar over it, none does."""
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    others = [
        SimpleNamespace(type="WINDOW", x=100 + SIZE * x, y=50 + SIZE * y, width=SIZE, height=SIZE, data=None)
        for x, y in ((1, 0), (0, 1), (1, 1))
    ]
    click.context.area.regions[:] = [others[0], click.region, *others[1:]]
    assert click((0.4, 0.3, 0.5)) and made() == [((0.5, 0.5, 0.5), True)]
    sidebar = SimpleNamespace(type="UI", x=100 + SIZE // 2, y=50, width=SIZE // 2, height=SIZE)
    click.context.area.regions.append(sidebar)
    assert not click((0.4, 0.3, 0.5)) and click((-0.4, 0.3, 0.5))
    sidebar.width = 1  # closed
    assert click((0.4, 0.3, 0.5))


def test_only_a_click_that_is_seen_is_removed(click):
    """The nearest of those near the cursor; one behind the mesh, or behind another object, only with x-ray."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=2, y_subdivisions=2, size=2.0, location=(0, 0, 1))
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=2.0)
    bpy.ops.object.select_all(action="SELECT")
    bpy.ops.object.join()  # one mesh: a sheet of 9 vertices over one of 25
    obj = bpy.context.object
    corner, middle, below = (
        next(vertex.index for vertex in obj.data.vertices if (vertex.co - Vector(place)).length < 0.01)
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
    bpy.context.view_layer.objects.active = obj
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
    pointer = empty.viewport.preview
    assert pointer.includes(ctrl=False) and not pointer.includes(ctrl=True)
    pointer.swap()
    assert not pointer.includes(ctrl=False) and pointer.includes(ctrl=True)
    pointer.Hover.current().reset()
    assert pointer.includes(ctrl=False)


# The operator behind the button: what it makes of events, one at a time.


@pytest.fixture
def clicking(click, empty):
    """Begins clicking, and hands out what the modal operator does with an event."""
    shown = []
    area = click.context.area
    area.type, area.as_pointer, area.header_text_set = "VIEW_3D", lambda: 1, shown.append
    click.context.workspace = SimpleNamespace(name="Layout", status_text_set=shown.append)
    click.context.window = SimpleNamespace(cursor_modal_set=shown.append)
    click.context.window_manager = SimpleNamespace(modal_handler_add=shown.append)
    members = {}
    for kind in reversed(empty.operators.click_modal.ISEG_OT_click.__mro__):
        if kind.__module__.startswith(empty.__name__):
            members |= {name: value for name, value in vars(kind).items() if callable(value)}
    operator: Any = type("Click", (), members)()
    operator.said = []
    operator.report = lambda kind, text: operator.said.append(text)

    def event(kind, value="PRESS", point=None, **keys):
        click.context.object = bpy.context.object
        x, y = click.place(point) if point is not None else (0, 0)  # beside the view
        made = {"ctrl": False, "alt": False, "shift": False, "oskey": False} | keys
        given = SimpleNamespace(type=kind, value=value, mouse_x=x, mouse_y=y, **made)
        return operator.modal(click.context, given)

    event.operator, event.click = operator, click

    def begin():
        click.context.object = bpy.context.object
        return operator.invoke(click.context, None)

    event.begin = begin
    yield event
    empty.operators.click_modal.stop()


RUNNING, PASSED = {"RUNNING_MODAL"}, {"PASS_THROUGH"}
CORNER, OTHER = (0.4, 0.3, 0.5), (-0.4, 0.3, 0.5)


def test_a_stroke_ends_wherever_the_button_is_let_go(clicking):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    assert clicking.begin() == RUNNING
    assert clicking("LEFTMOUSE", point=CORNER) == RUNNING and len(made()) == 1
    assert clicking("LEFTMOUSE", "RELEASE") == RUNNING  # beside the view
    clicking("MOUSEMOVE", "NOTHING", OTHER)
    assert len(made()) == 1
    clicking("Z", point=OTHER, ctrl=True)
    assert made() == []  # the stroke was a step
    clicking("Z", point=OTHER, ctrl=True, shift=True)
    assert len(made()) == 1


@pytest.mark.parametrize("kind", ["NDOF_BUTTON_FIT", "TIMER1", "NUMPAD_SLASH", "ACCENT_GRAVE", "WHEELUPMOUSE"])
def test_navigation_passes_through(clicking, kind):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    clicking.begin()
    assert clicking(kind, point=CORNER) == PASSED
    assert clicking("G", point=CORNER) == RUNNING  # would move the object


@pytest.mark.parametrize("change", ["another editor", "another area", "no area"])
def test_clicking_ends_with_its_view(clicking, change):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    clicking.begin()
    clicking("LEFTMOUSE", point=CORNER)
    area = clicking.click.context.area
    if change == "another editor":
        area.type = "IMAGE_EDITOR"
    elif change == "another area":
        area.as_pointer = lambda: 2
    else:
        clicking.click.context.area = None
    assert clicking("MOUSEMOVE", "NOTHING", OTHER) == {"FINISHED"} and len(made()) == 1


def test_after_an_edit_there_is_no_way_back_to_clicks_on_the_old_mesh(clicking, empty):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    obj = bpy.context.object
    clicking.begin()
    clicking("LEFTMOUSE", point=CORNER)
    clicking("LEFTMOUSE", "RELEASE", CORNER)
    obj.modifiers.new("Subdivision", "SUBSURF")
    bpy.ops.object.modifier_apply(modifier="Subdivision")
    snapshot = empty.mesh.cache.snapshot_of(obj)
    obj.iseg.topology = snapshot.topology  # as an edit of ours leaves it
    carried = empty.document.parts_snapshot.saved(obj)
    for keys in ({"ctrl": True}, {"ctrl": True, "shift": True}):
        clicking("Z", point=OTHER, **keys)
        assert empty.document.parts_snapshot.saved(obj) == carried
    clicking("LEFTMOUSE", point=(-0.2, 0.2, 0.4))
    clicking("LEFTMOUSE", "RELEASE")
    assert len(made()) == 2
    assert clicking("ESC") == {"CANCELLED"} and empty.document.parts_snapshot.saved(obj) == carried


def test_esc_brings_back_what_was_cleared_meanwhile(clicking, empty):
    """The mesh is the same: so the way back is open."""
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    bpy.ops.iseg.click_add(vertex=0)
    clicking.begin()
    clicking("MOUSEMOVE", "NOTHING", OTHER)
    bpy.ops.iseg.click_clear()
    clicking("MOUSEMOVE", "NOTHING", CORNER)
    clicking("ESC")
    assert len(made()) == 1


def test_a_mesh_that_cannot_be_read_ends_it_and_says_so_once(clicking, empty, monkeypatch):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    clicking.begin()

    def failing(obj):
        raise empty.core.EngineError("No memory.")

    monkeypatch.setattr(empty.operators.click_modal, "surface_known", failing)
    assert clicking("MOUSEMOVE", "NOTHING", CORNER) == {"FINISHED"}
    assert clicking.begin() == {"CANCELLED"}
    assert clicking.operator.said == ["No memory."] * 2


def test_clicking_is_begun_once(empty, monkeypatch):
    kind = empty.operators.click_modal.ISEG_OT_click
    monkeypatch.setattr(empty.operators.click_modal, "under_way", lambda: True)
    assert "Enter keeps, Esc restores" in kind.refusal(bpy.context)


def test_what_is_hidden_is_not_clicked(empty, engine):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    obj = bpy.context.object
    area = next(area for screen in bpy.data.screens for area in screen.areas if area.type == "VIEW_3D")
    context = SimpleNamespace(object=obj, area=area, space_data=area.spaces[0])
    refusal = empty.viewport.aiming.click_refusal
    assert refusal(context) == ""
    obj.hide_set(True)
    bpy.context.view_layer.update()
    assert "Cube is hidden in this view" in refusal(context)


# Previews.


def answered(iseg, query, snapshot, purpose=""):
    """Ask, and answer in the engine's place."""
    talk = iseg.engine.queries.asking(query, snapshot, "auto", purpose)
    try:
        next(talk)
        fields = {"threshold": 0.5, "milliseconds": 1.0}
        talk.send(iseg.tasks.Reply(fields, {"probability": np.ones(len(snapshot.faces), np.float32)}))
    except StopIteration:
        pass


@pytest.mark.parametrize("purpose", ["preview", ""])
def test_what_is_shown_outlasts_other_answers(empty, purpose):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    bpy.ops.iseg.click_add(vertex=0)
    obj = bpy.context.object
    part, snapshot = obj.iseg.parts[0], empty.mesh.cache.snapshot_of(obj)
    query = empty.engine.queries.query_of(obj, part, snapshot)
    answered(empty, query, snapshot)
    shown = empty.engine.queries.answer_of(obj, part)
    assert shown is not None
    for other in range(1000):
        answered(empty, query._replace(clicks=((0, True), (other + 1, True))), snapshot, purpose)
        if not purpose and other % 100 == 0:
            assert empty.engine.queries.answer_of(obj, part) is shown  # the view draws it
    assert empty.engine.queries.answer_of(obj, part) is shown
    assert len(answers_of(empty).answers) < 300 and len(answers_of(empty).previews) <= 32
    empty.session.SESSION.restart()


def inside(iseg, conversation) -> np.ndarray:
    """The result of a conversation with the engine."""
    task = iseg.engine.running.engine().start(conversation)
    iseg.engine.running.engine().wait(task, 60)
    assert task.error is None
    return task.result


def test_a_part_that_is_not_there_yet_is_as_new_ones_are(empty):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    part = empty.document.parts.add_part(bpy.context.object)
    values = {name: value for name, value in vars(empty.engine.queries.NEW_PART).items() if not callable(value)}
    for name, value in values.items():
        assert getattr(part, name) == value if name not in ("clicks", "mirror") else not any(getattr(part, name))


@pytest.mark.parametrize("before", [[], [(60, True)], [(60, True), (0, False)]], ids=len)
@pytest.mark.parametrize("settings", [{}, {"mirror": (True, False, False)}, {"connected": True, "automatic": False}])
def test_a_preview_is_what_the_click_gives(empty, engine, before, settings):
    """With mirrored clicks, with only what is connected, and where the first click is still to come."""
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    part = empty.document.parts.add_part(obj) if before or settings else None
    for name, value in settings.items():
        setattr(part, name, value)
    for vertex, positive in before:
        bpy.ops.iseg.click_add(vertex=vertex, positive=positive)
    snapshot, pointer = empty.mesh.cache.snapshot_of(obj), empty.viewport.preview
    inside(empty, empty.engine.queries.finding_models(obj, snapshot))  # there are no previews before
    preview = inside(
        empty,
        pointer.imagining(obj, part or empty.engine.queries.NEW_PART, snapshot, empty.core.Click(0, True), "auto"),
    )
    bpy.ops.iseg.click_add(vertex=0)
    part = obj.iseg.parts[0]
    answer = inside(empty, empty.engine.queries.answering(obj, part, snapshot, "auto"))
    np.testing.assert_array_equal(preview, empty.engine.queries.inside_of(obj, part, answer))
    assert snapshot.geometry.touched(preview)[0] and not preview.all()


def test_a_preview_is_worth_it_where_the_engine_is_quick(empty, engine):
    bpy.ops.mesh.primitive_cube_add(size=1.0)
    obj = bpy.context.object
    empty.session.SESSION.restart()
    snapshot, pointer = empty.mesh.cache.snapshot_of(obj), empty.viewport.preview
    pointer.Hover.current().reset()
    assert not pointer._worth(obj, empty.engine.queries.NEW_PART, snapshot)  # no engine is started for it
    inside(empty, pointer.imagining(obj, empty.engine.queries.NEW_PART, snapshot, empty.core.Click(0, True), "auto"))
    pointer.Hover.current().preview_took = 1.0
    assert pointer._worth(obj, empty.engine.queries.NEW_PART, snapshot)
    pointer.Hover.current().preview_took = 1e9
    assert not pointer._worth(obj, empty.engine.queries.NEW_PART, snapshot)
    pointer.Hover.current().reset()


def test_clicks_that_came_too_fast_are_not_all_answered(empty, engine):
    """The newest counts, and what it takes the place of is no problem."""
    bpy.ops.mesh.primitive_monkey_add()
    obj = bpy.context.object
    answers_of(empty).answers.clear()
    for vertex in range(20, 40):
        bpy.ops.iseg.click_add(vertex=vertex)
        empty.live.answers.refresh()
    for _ in range(3):  # one that was given up is asked for again, where it is the newest
        empty.live.answers.refresh()
        while empty.engine.running.engine().busy:
            empty.engine.running.engine().pump()
    assert empty.engine.queries.answer_of(obj, obj.iseg.parts[0]) is not None and len(answers_of(empty).answers) < 10
    assert (
        running_of(empty).problems == {}
        and not empty.live.answers.LiveAnswers.current().failed
        and not empty.live.answers.LiveAnswers.current().asking
    )
