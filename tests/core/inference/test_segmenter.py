"""Clicks in, probabilities out: for the trained model and for instant mode."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.shapes import bottom, dumbbell, join, moved, sphere, tiny_settings, top

import iseg_core as iseg
from iseg_core.inference.segmenter import agree
from iseg_core.inference.threshold import otsu

MESH = dumbbell()
COUNT = len(MESH.vertices)


@pytest.fixture(scope="module", params=["instant", "trained"])
def segmenter(request) -> iseg.Segmenter:
    if request.param == "instant":
        return iseg.instant(MESH)
    return iseg.Segmenter(iseg.train(MESH, preset=tiny_settings()))


sequences = st.lists(
    st.tuples(st.integers(0, COUNT - 1), st.booleans()), min_size=1, max_size=5, unique_by=lambda click: click[0]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(clicks=sequences, granularity=st.sampled_from(["fine", "part", "whole"]))
def test_probabilities_of_every_vertex_and_every_click_honoured(segmenter, clicks, granularity):
    answer = segmenter.segment(clicks=clicks, granularity=granularity)
    assert answer.shape == (COUNT,) and answer.dtype == np.float32
    assert (answer >= 0).all() and (answer <= 1).all()
    for vertex, include in clicks:
        assert (answer[vertex] > 0.5) == include
    assert np.array_equal(answer, segmenter.segment(clicks=clicks, granularity=granularity))


def test_positive_and_negative_are_clicks_in_that_order(segmenter):
    up, down = top(MESH), bottom(MESH)
    expected = segmenter.segment(clicks=[(up, True), (5, True), (down, False)])
    assert np.array_equal(segmenter.segment(positive=[up, 5], negative=[down]), expected)
    assert np.array_equal(segmenter.segment(positive=np.array([up, 5]), negative=np.array([down])), expected)


def test_vertex_zero_can_be_excluded(segmenter):
    answer = segmenter.segment(clicks=[(top(MESH), True), (0, False)])
    assert answer[0] < 0.5 < answer[top(MESH)]


def test_nothing_included_is_nothing(segmenter):
    assert not segmenter.segment(clicks=[]).any()
    assert not segmenter.segment(negative=[3]).any()


def test_a_student_that_failed_is_asked_again(plain, monkeypatch):
    expected = plain.segment(positive=[3, 5])

    def full(*_):
        raise MemoryError("full")

    with monkeypatch.context() as patch:
        patch.setattr(plain._student, "_decode", full)
        for _ in range(2):
            with pytest.raises(MemoryError, match="full"):
                plain.segment(positive=[5])
    assert plain.segment(positive=[5]).any()
    assert np.array_equal(plain.segment(positive=[3, 5]), expected)


ABSURD = [[10_000] * 40, [1] * 10**6, [10**9], [32, 33], [32], [0, 32], [-1], [1.5, 32], ["x"], []]


@pytest.mark.parametrize("widths", ABSURD, ids=lambda widths: str(widths)[:20])
def test_a_decoder_larger_than_what_the_file_holds_is_not_built(plain, widths, monkeypatch):
    built, layer = [], torch.nn.Linear
    monkeypatch.setattr(torch.nn, "Linear", lambda *sizes: built.append(sizes) or layer(*sizes))
    with pytest.raises(iseg.ModelFileError, match="do not fit its settings"):
        iseg.Segmenter(replace(plain.model, settings={"decoder_widths": widths}))
    assert sum(a * b for a, b in built) <= sum(array.size for array in plain.model.networks.values())


@pytest.mark.parametrize("vertex", [-1, COUNT, 10**9, 1.5])
def test_a_vertex_that_is_not_there(segmenter, vertex):
    with pytest.raises(iseg.ClickError, match=f"vertices 0 to {COUNT - 1}"):
        segmenter.segment(clicks=[(vertex, True)])


@pytest.fixture(scope="module")
def dense() -> iseg.Segmenter:
    return iseg.instant(sphere(4))


def test_on_a_small_face_a_point_stands_for_its_nearest_corner(dense):
    segmenter, faces = dense, dense.model.mesh.faces
    a, b, c = faces[7].tolist()
    clicks = [(iseg.SurfacePoint(7, (0.2, 0.3, 0.5)), True), (iseg.SurfacePoint(7, (0.2, 0.5, 0.3)), False), (a, True)]
    expected = segmenter.segment(clicks=[(c, True), (b, False), (a, True)])
    assert np.array_equal(segmenter.segment(clicks=clicks), expected)
    assert np.array_equal(segmenter.segment(clicks=[iseg.Click(*click) for click in clicks]), expected)
    point = iseg.SurfacePoint(7, (1, 0, 0))
    assert np.array_equal(segmenter.segment(positive=[point]), segmenter.segment(positive=[a]))
    with pytest.raises(iseg.ClickError, match=f"faces 0 to {len(faces) - 1}"):
        segmenter.segment(positive=[iseg.SurfacePoint(len(faces), (1, 0, 0))])


def test_contradictions_and_unknown_words(segmenter):
    with pytest.raises(iseg.ClickError, match="both included and excluded"):
        segmenter.segment(clicks=[(3, True), (3, False)])
    with pytest.raises(iseg.ClickError, match="not both"):
        segmenter.segment(clicks=[(3, True)], positive=[4])
    with pytest.raises(iseg.SettingsError, match="fine, part, whole"):
        segmenter.segment(clicks=[(3, True)], granularity="tiny")


def test_repeating_a_click_changes_nothing(segmenter):
    once = segmenter.segment(clicks=[(9, True), (5, False)])
    assert np.array_equal(once, segmenter.segment(clicks=[(9, True), (9, True), (5, False)]))


def test_the_plain_decoder_does_not_know_the_order_of_clicks():
    model = iseg.train(MESH, preset=tiny_settings())
    plain = iseg.Segmenter(model, refine=False)
    clicks = [(3, True), (200, False), (500, True)]
    assert np.allclose(plain.segment(clicks=clicks), plain.segment(clicks=clicks[::-1]), atol=1e-5)
    with pytest.raises(iseg.SettingsError, match="without training"):
        iseg.Segmenter(iseg.instant(MESH).model, refine=False)


@pytest.fixture(scope="module")
def plain() -> iseg.Segmenter:
    return iseg.Segmenter(iseg.train(MESH, preset=tiny_settings()), refine=False)


@settings(max_examples=25)
@given(clicks=sequences, granularity=st.sampled_from(["fine", "part", "whole"]))
def test_a_clicks_own_feature_on_its_own_mesh_is_that_click(plain, clicks, granularity):
    expected = plain.segment(clicks=clicks, granularity=granularity)
    features = [(plain.features(vertex), include) for vertex, include in clicks]
    assert np.array_equal(plain.segment(features=features, granularity=granularity), expected)
    refining = iseg.Segmenter(plain.model)
    assert np.array_equal(refining.transfer(refining, clicks + clicks[:1], granularity), expected)


def test_transfer_to_another_mesh(plain):
    other = iseg.Segmenter(iseg.train(sphere(2), preset=tiny_settings()))
    answer = other.transfer(plain, [(top(MESH), True), (3, False)])
    assert answer.shape == (other.vertex_count,) and answer.dtype == np.float32
    assert (answer >= 0).all() and (answer <= 1).all() and np.ptp(answer) > 0
    assert not other.segment(features=[(plain.features(3), False)]).any()
    # A feature is in the teacher's units: what it is in a model's own differs between models.
    units = [float(segmenter.model.networks["field.unit"]) for segmenter in (plain, other)]
    assert units[0] != units[1]
    assert np.allclose(plain.features(3), plain.model.features[3].astype(float) * units[0], rtol=0, atol=0)


def test_features_that_do_not_fit(plain):
    with pytest.raises(iseg.SettingsError, match="64 finite numbers.*same teacher"):
        plain.segment(features=[(np.zeros(3), True)])
    with pytest.raises(iseg.SettingsError, match="finite"):
        plain.segment(features=[(np.full(64, np.nan), True)])
    with pytest.raises(iseg.ClickError, match="not both"):
        plain.segment(clicks=[(3, True)], features=[(np.zeros(64), True)])
    with pytest.raises(iseg.ClickError, match=f"vertices 0 to {COUNT - 1}"):
        plain.features(COUNT)
    untrained = iseg.instant(MESH)
    for ask in (lambda: untrained.features(3), lambda: untrained.segment(features=[(np.zeros(0), True)])):
        with pytest.raises(iseg.SettingsError, match="train the mesh"):
            ask()
    for pair in ((plain, untrained), (untrained, plain)):
        with pytest.raises(iseg.SettingsError, match="train the mesh"):
            pair[0].transfer(pair[1], [(3, True)])
    foreign = iseg.Segmenter(replace(plain.model, info=plain.model.info | {"teacher_fingerprint": "other"}))
    with pytest.raises(iseg.SettingsError, match=r"geometric-\d\).*\(other\). Train both"):
        plain.transfer(foreign, [(3, True)])


def test_seams_are_connected_and_every_copy_gets_the_answer():
    ball = sphere(4)  # of faces so small that none is cut
    faces = np.arange(3 * len(ball.faces)).reshape(-1, 3)
    split = iseg.Mesh(ball.vertices[ball.faces].reshape(-1, 3), faces.astype(np.int32))
    answer = iseg.instant(split).segment(clicks=[(0, True)])
    whole = iseg.instant(ball).segment(clicks=[(int(ball.faces[0, 0]), True)])
    same = np.flatnonzero((split.vertices == split.vertices[0]).all(axis=1))
    assert len(same) > 1
    others = np.setdiff1d(np.arange(len(answer)), same)
    assert np.allclose(answer[others], whole[ball.faces.ravel()][others], atol=1e-5)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60))
def test_agree_puts_every_vertex_on_its_side(values):
    probability = np.array(values, dtype=np.float32)
    region = np.arange(len(values)) % 2 == 0
    turned = agree(probability, region)
    assert ((turned > 0.5) == region).all()
    doubt, left = np.minimum(probability, 1 - probability), np.minimum(turned, 1 - turned)
    assert (left <= doubt + 1e-6).all()
    assert (np.diff(left[np.argsort(doubt, kind="stable")]) >= -1e-6).all()  # the order of the doubts is kept


def test_otsu_separates_two_populations():
    low, high = np.random.default_rng(0).normal([[0.1], [0.8]], 0.03, (2, 500)).clip(0, 1)
    assert 0.2 < otsu(np.r_[low, high].astype(np.float32)) < 0.7
    assert otsu(np.zeros(5, dtype=np.float32)) == 0.5


def test_a_new_segmenter_has_factored_what_its_first_click_needs(monkeypatch):
    """Of the largest surface, whose shells touch: with them, and within them."""
    balls = join(moved(sphere(1), (0, 0, 2.0)), sphere(1), moved(sphere(1), (20, 0, 0), 0.5))
    segmenter = iseg.instant(balls)
    monkeypatch.setattr("iseg_core.parts.surface.Factor", lambda matrix: pytest.fail("factored at the click"))
    assert segmenter.segment(positive=[3])[3] >= 0.5
    with pytest.raises(pytest.fail.Exception, match="at the click"):
        segmenter.segment(positive=[len(balls.vertices) - 1])


def test_what_a_segmenter_holds_goes_with_it():
    """A cycle would wait for the collector, which counts objects and not their bytes: memory would grow with use."""
    segmenter = iseg.instant(dumbbell(3))
    segmenter.segment(positive=[1, 5], negative=[40])
    assert segmenter.model.assembly.whole is segmenter.model.assembly.surfaces[0]
    held = [
        weakref.ref(segmenter.model),
        weakref.ref(segmenter.model.assembly.surfaces[0]),
        weakref.ref(segmenter._finder),
    ]
    gc.disable()
    try:
        del segmenter
        assert [thing() for thing in held] == [None] * 3
    finally:
        gc.enable()
