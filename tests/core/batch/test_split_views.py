"""One mesh, its views spread over processes: what is observed is what one process observes, but for rounding."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.shapes import dumbbell, tiny_settings

import iseg_core as iseg
from iseg_core.batch.library import Training
from iseg_core.batch.pool import Resources
from iseg_core.bench.oracle import NoisyOracle
from iseg_core.storage.trained_model import Model
from iseg_core.teachers.make import make_teacher
from iseg_core.training.observations import Observations
from iseg_core.training.observe import observe
from iseg_core.training.run import Run
from iseg_core.training.settings import Settings
from iseg_core.training.train import train

MESH = dumbbell(2)
SETTINGS = tiny_settings(views=7, click_range=(20, 20), second_clicks=3)


def _noisy() -> Callable[[Model], NoisyOracle]:
    """A teacher that answers in 2D alone, and otherwise in every view. Workers get it as code: they lack this file."""

    def make(model: Model) -> NoisyOracle:
        labels = np.digitize(model.proxy.vertices[:, 2], [-0.4, 0, 0.4])  # [P]
        return NoisyOracle(model, labels, resolution=48)

    return make


noisy = _noisy()


@pytest.fixture(scope="module")
def ray():
    pytest.importorskip("ray", reason="Ray, the extra `cluster`, is not installed")
    from iseg_core.batch.pool import ray_pool

    with ray_pool(cores=2) as connected:
        yield connected


def alone(teacher, settings: Settings, keep_views: bool) -> Observations:
    kept: list[Observations] = []

    def observer(run: Run) -> Observations:
        kept.append(observe(run))
        return kept[-1]

    objective = "rendered" if keep_views else "votes"
    train(MESH, teacher, settings, seed=5, objective=objective, observer=observer)
    return kept[0]


@pytest.mark.parametrize("teacher", ["geometric", noisy], ids=["answers in 3D", "answers in 2D"])
@pytest.mark.parametrize(("workers", "keep_views"), [(2, False), (1, True)])
def test_spread_views_add_up_to_those_of_one_process(ray, monkeypatch, teacher, workers, keep_views):
    from iseg_core.batch import split_views

    kept: list[Observations] = []
    whole = split_views.observe_split

    def watched(*inputs, **keywords) -> Observations:
        kept.append(whole(*inputs, **keywords))
        return kept[-1]

    monkeypatch.setattr(split_views, "observe_split", watched)
    fractions: list[float] = []
    model = split_views.train_split(
        ray,
        MESH,
        workers,
        Training(teacher, SETTINGS, 5),
        Resources(),
        objective="rendered" if keep_views else "votes",
        progress=lambda p: fractions.append(p.fraction),
    )
    found, wanted = kept[0], alone(teacher, SETTINGS, keep_views)
    assert found.click_sets == wanted.click_sets
    assert {len(clicks) for clicks in found.click_sets} >= {1, 2}  # pairs, whose choice depends on all views before
    assert found.pixels == wanted.pixels and np.isclose(found.c, wanted.c, rtol=1e-9)
    assert np.allclose((found.A - wanted.A).toarray(), 0, atol=1e-9)
    assert np.allclose(found.b, wanted.b, atol=1e-9 * np.abs(wanted.b).max())
    assert np.allclose(found.inside, wanted.inside, atol=1e-4 * wanted.inside.max())
    assert np.allclose(found.seen, wanted.seen, atol=1e-4 * wanted.seen.max())
    if keep_views:
        assert found.views is not None and wanted.views is not None
        assert sum(len(view.rows) for view in found.views) == sum(len(view.rows) for view in wanted.views)
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)
    assert model.info["teacher"] == ("geometric" if teacher == "geometric" else "oracle")
    assert iseg.Segmenter(model).segment(positive=[0]).shape == (len(MESH.vertices),)


def test_a_worker_that_ends_ends_the_run(ray):
    from ray.exceptions import RayError

    from iseg_core.batch.split_views import train_split

    make = noisy  # a name of this function, so that it travels with it

    def fatal(model: Model) -> NoisyOracle:
        teacher = make(model)

        def look(view):
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(teacher, "look", look)  # noqa: B010 a teacher of its own
        return teacher

    with pytest.raises(RayError):
        train_split(ray, MESH, 2, Training(fatal, replace(SETTINGS, views=2), 0), Resources())  # pyright: ignore[reportArgumentType]


def test_cancel_frees_the_workers(ray):
    from iseg_core.batch.split_views import train_split

    training = Training("geometric", SETTINGS, 0)
    with pytest.raises(iseg.Cancelled):
        train_split(ray, MESH, 2, training, Resources(), progress=(told := []).append, cancel=lambda: len(told) > 3)
    assert told[-1].stage == "observe"
    model = train_split(ray, MESH, 2, training, Resources())  # both cores are free again
    assert model.networks


def test_the_seed_decides_and_not_the_number_of_views_at_once():
    """A teacher that is shown several views at once gives what it gives one by one."""

    class Many(NoisyOracle):
        views_at_once = 3
        shown: list[int] = []

        def look_many(self, views):
            Many.shown.append(len(views))
            return [self.look(view) for view in views]

    from iseg_core.storage.prepare import prepare

    model = prepare(MESH, SETTINGS.proxy_vertices)
    found = []
    for kind in (NoisyOracle, Many):
        teacher = noisy(model)
        teacher.__class__ = kind
        found.append(observe(Run(model.proxy, teacher, SETTINGS)))
    assert Many.shown == [3, 3, 1]
    assert found[0].click_sets == found[1].click_sets and np.array_equal(found[0].inside, found[1].inside)
    assert np.array_equal(found[0].b, found[1].b)
    assert make_teacher("geometric", model).name == "geometric"
