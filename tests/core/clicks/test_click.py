"""Clicks and what they can be made on."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shapes import dumbbell

import iseg_core as iseg
from iseg_core.clicks.click import Click, Granularity, SurfacePoint, VertexClick, granularity_of, size_of
from iseg_core.clicks.resolve import check_clicks, position_of, vertex_of

MESH = dumbbell(2)
VERTICES, FACES = len(MESH.vertices), len(MESH.faces)
weights = st.tuples(*[st.floats(1e-3, 1)] * 3).map(lambda w: tuple(x / sum(w) for x in w))
points = st.builds(SurfacePoint, st.integers(0, FACES - 1), weights)
prompts = st.integers(0, VERTICES - 1) | points


def test_granularities_are_their_words():
    assert [*Granularity] == ["fine", "part", "whole"] and [g.row for g in Granularity] == [0, 1, 2]
    assert Granularity("whole") is Granularity.WHOLE is iseg.Granularity(Granularity.WHOLE)
    assert "part" in dict.fromkeys(Granularity) and f"{Granularity.PART}" == "part"
    for unknown in ("tiny", "", None, 1, ["part"]):
        with pytest.raises(iseg.SettingsError, match="Choose one of: fine, part, whole"):
            Granularity(unknown)


@given(points)
def test_points_are_values(point):
    numbers: Any = np.int64(point.face), np.array(point.barycentric)
    assert point == SurfacePoint(*numbers)
    assert hash(point) == hash(pickle.loads(pickle.dumps(point)))
    assert ((point, True),) in {(Click(point, True),): 1}
    with pytest.raises(AttributeError):
        point.face = 3


def test_a_click_on_a_vertex_is_a_pair():
    assert Click(7, True) == VertexClick(7, True) == (7, True) and len({Click(7, True), VertexClick(7, True)}) == 1


@pytest.mark.parametrize(
    ("face", "barycentric", "said"),
    [
        (1.5, (1, 0, 0), "no face 1.5"),
        ("x", (1, 0, 0), "no face x"),
        (None, (1, 0, 0), "no face None"),
        (float("inf"), (1, 0, 0), "no face inf"),
        (0, (0.5, 0.5), "three numbers"),
        (0, (1, 0, 0, 0), "three numbers"),
        (0, None, "three numbers"),
        (0, ("a", 0, 1), "three numbers"),
        (0, (float("nan"), 0, 1), "three numbers"),
        (0, (float("inf"), 0, 1), "three numbers"),
        (0, (-0.1, 0.6, 0.5), "outside of its face"),
        (0, (0.2, 0.3, 0.4), "sum to 0.9"),
        (0, (0, 0, 0), "sum to 0"),
    ],
)
def test_what_is_no_point_of_a_triangle(face, barycentric, said):
    with pytest.raises(iseg.ClickError, match=said):
        SurfacePoint(face, barycentric)


def test_rounded_coordinates_are_good_enough():
    assert SurfacePoint(0, (0.333, 0.333, 0.333)).face == 0
    assert SurfacePoint(0, (1.0000001, -1e-7, 0.0)).face == 0  # a ray's hit, in float32


@given(st.lists(st.tuples(prompts, st.booleans()), max_size=6))
def test_clicks_keep_their_order_each_once_or_contradict(clicks):
    wanted: dict[Any, bool] = {}
    for prompt, include in clicks:
        if wanted.setdefault(prompt, include) != include:
            where = f"point on face {prompt.face}" if isinstance(prompt, SurfacePoint) else f"Vertex {prompt}"
            with pytest.raises(iseg.ClickError, match=f"{where} is both included and excluded"):
                check_clicks(clicks, MESH)
            return
    found = check_clicks(clicks, MESH)
    assert found == tuple(wanted.items()) and all(type(click) is Click for click in found)
    assert check_clicks([Click(*click) for click in clicks], MESH) == found


@given(prompts)
def test_a_prompt_is_somewhere_on_the_surface(prompt):
    place = position_of(prompt, MESH)  # [3]
    if isinstance(prompt, SurfacePoint):
        corners = MESH.vertices[MESH.faces[prompt.face]]  # [3, 3]
        np.testing.assert_allclose(place, sum(w * c for w, c in zip(prompt.barycentric, corners, strict=True)))
        assert vertex_of(prompt, MESH) == MESH.faces[prompt.face, int(np.argmax(prompt.barycentric))]
    else:
        np.testing.assert_array_equal(place, MESH.vertices[prompt])


@pytest.mark.parametrize("prompt", [-1, VERTICES, 10**30, 1.5, float("nan"), float("inf"), "x", None, (0, 1, 2)])
def test_what_is_no_vertex(prompt):
    with pytest.raises(iseg.ClickError, match=f"vertices 0 to {VERTICES - 1}"):
        vertex_of(prompt, MESH)


@pytest.mark.parametrize("face", [-1, FACES])
@pytest.mark.parametrize("asked", [vertex_of, position_of, lambda prompt, mesh: check_clicks([(prompt, True)], mesh)])
def test_a_face_that_is_not_there(face, asked):
    with pytest.raises(iseg.ClickError, match=f"no face {face}: this mesh has the faces 0 to {FACES - 1}"):
        asked(SurfacePoint(face, (1, 0, 0)), MESH)


def test_numbers_of_any_library_are_vertices():
    clicks: Any = [(np.int32(3), np.True_), (4.0, 0)]
    assert check_clicks(clicks, MESH) == ((3, True), (4, False))


def test_names_are_fixed_points_of_the_size():
    assert [size_of(name) for name in ("fine", "part", "whole")] == [0.25, 0.5, 0.75]
    assert [size_of(granularity) for granularity in Granularity] == [0.25, 0.5, 0.75]
    assert [size_of(size) for size in (0, 0.3, 1)] == [0.0, 0.3, 1.0]
    assert [granularity_of(size).value for size in (0.0, 0.3, 0.45, 0.7, 1.0)] == [
        "fine",
        "fine",
        "part",
        "whole",
        "whole",
    ]


@pytest.mark.parametrize("wrong", ["tiny", "0.5", float("nan"), float("inf"), -0.1, 1.1, 10**400, None, [1]])
def test_what_is_no_size_is_refused_in_a_sentence(wrong: Any):
    with pytest.raises(iseg.SettingsError, match="fine, part, whole"):
        size_of(wrong)
