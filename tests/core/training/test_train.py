"""The whole run."""

import os
import subprocess
import sys

import numpy as np
import pytest
from support.shapes import dumbbell, tiny_settings, top

import iseg_core as iseg
from iseg_core.bench.oracle import NoisyOracle, proxy_labels

MESH = dumbbell(2)
SHORT = tiny_settings()


def answers(model: iseg.Model) -> np.ndarray:
    segmenter = iseg.Segmenter(model)
    return np.stack([segmenter.segment(clicks=c) for c in ([(0, True)], [(3, True), (90, False)], [(5, True)])])


def test_the_same_seed_gives_the_same_model():
    one, two, other = (iseg.train(MESH, preset=SHORT, seed=seed) for seed in (1, 1, 2))
    assert one.networks.keys() == two.networks.keys()
    assert all(np.array_equal(one.networks[name], two.networks[name]) for name in one.networks)
    assert np.array_equal(one.features, two.features)
    assert any(not np.array_equal(one.networks[name], other.networks[name]) for name in one.networks)


def test_a_saved_model_answers_bit_for_bit(tmp_path):
    model = iseg.train(MESH, preset=SHORT)
    model.save(tmp_path / "model.iseg")
    assert np.array_equal(answers(iseg.load(tmp_path / "model.iseg")), answers(model))


def test_the_saved_field_gives_the_saved_features(tmp_path):
    import torch

    from iseg_core.network import FeatureField

    model = iseg.train(MESH, preset=SHORT)
    field = FeatureField(
        model.features.shape[1], SHORT.field_width, SHORT.field_layers, SHORT.fourier_frequencies, SHORT.fourier_sigma
    )
    state = {n.removeprefix("field."): torch.from_numpy(a) for n, a in model.networks.items() if n.startswith("field.")}
    field.load_state_dict(state)
    features = field(torch.as_tensor(model.proxy.vertices, dtype=torch.float32)).detach().numpy()
    assert np.allclose(features, model.features, atol=1e-5)


def test_progress_goes_up_through_the_stages_to_the_end():
    reports: list = []
    iseg.train(MESH, preset=SHORT, progress=reports.append)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    assert list(dict.fromkeys(report.stage for report in reports)) == ["surface", "observe", "field", "decoder"]
    assert reports[-1].seconds_left == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("stage", ["surface", "observe", "field", "decoder"])
def test_cancel_in_every_stage(stage):
    reached: list[str] = []

    with pytest.raises(iseg.Cancelled):
        iseg.train(MESH, preset=SHORT, progress=lambda p: reached.append(p.stage), cancel=lambda: stage in reached)
    assert reached[-1] == stage


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("objective", ["votes", "rendered"])
def test_the_references_run(objective, joint):
    model = iseg.train(MESH, preset=SHORT, objective=objective, joint=joint)
    assert model.info["objective"] == objective + (", joint" if joint else "")
    assert np.isfinite(answers(model)).all()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"preset": "best"}, "draft, standard, paper"),
        ({"teacher": "magic"}, "geometric"),
        ({"objective": "none"}, "votes, rendered"),
        ({"device": "abacus"}, "auto"),
    ],
)
def test_unknown_words(wrong, says):
    with pytest.raises(iseg.IsegError, match=says):
        iseg.train(MESH, **({"preset": SHORT} | wrong))


def test_a_model_goes_with_the_last_that_has_it():
    """Also the first of a process, during whose training torch was imported."""
    code = """
import gc, sys, weakref
import iseg_core as iseg
from support.shapes import dumbbell, tiny_settings

gc.disable()
model = iseg.train(dumbbell(2), preset=tiny_settings())
there = weakref.ref(model)
del model
sys.exit(there() is not None)
"""
    paths = os.pathsep.join(sys.path)  # with the tests' own modules
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, check=True)


def test_a_teacher_of_ones_own():
    labels = (MESH.vertices[:, 2] > 0)[MESH.faces].sum(axis=1) >= 2  # [F]
    model = iseg.train(MESH, teacher=lambda m: NoisyOracle(m, proxy_labels(m, labels)), preset=tiny_settings(views=12))
    assert model.info["teacher"] == "oracle"
    assert answers(model).shape == (3, len(MESH.vertices))


def test_a_trained_model_knows_the_teachers_part():
    model = iseg.train(dumbbell(), preset="draft")
    answer = iseg.Segmenter(model).segment(clicks=[(top(model.mesh), True)]) >= 0.5
    wanted = model.mesh.vertices[:, 2] > 0
    assert (answer & wanted).sum() / (answer | wanted).sum() > 0.9
    plain = iseg.Segmenter(model, refine=False).segment(clicks=[(top(model.mesh), True)]) >= 0.5
    assert (plain & wanted).sum() / (plain | wanted).sum() > 0.8


FILES = ["Knight.glb", "Lantern.gltf", "camel_b.obj", "horse.ply", "spot.obj", "suzanne.obj", "teapot.obj"]
FILES += ["vehicle-motorcycle.glb", "vehicle-truck-green.glb"]


@pytest.mark.parametrize("name", FILES)
def test_real_files_train(shared_data, name):
    """In draft the smallest; the others in the shortest training that goes through every stage."""
    mesh = iseg.load_mesh(shared_data / "import" / name)
    segmenter = iseg.Segmenter(iseg.train(mesh, preset="draft" if name == "suzanne.obj" else tiny_settings()))
    for vertex in (0, len(mesh.vertices) // 2, len(mesh.vertices) - 1):
        answer = segmenter.segment(clicks=[(vertex, True)])
        assert answer.shape == (len(mesh.vertices),) and answer[vertex] > 0.5
        assert np.isfinite(answer).all()
