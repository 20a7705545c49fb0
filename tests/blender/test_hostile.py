"""Files from someone else, a few; benchmarks/blender_reliability.py opens as many as one likes."""

import pytest
from support.blender import hostile


@pytest.fixture(autouse=True)
def quick_engine(empty, engine, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("ISEG_ENGINE", hostile.quick(engine))
    monkeypatch.setenv(
        "ISEG_CACHE", str(tmp_path_factory.mktemp("cache"))
    )  # what it trains is of no use to other tests
    yield
    empty.session.SESSION.restart()


@pytest.mark.parametrize("seed", range(8))
def test_a_file_can_hold_anything(tmp_path, seed):
    assert hostile.run(seed, tmp_path, names=False)


def test_names_can_be_anything(tmp_path):
    for seed in range(8):
        assert hostile.run(seed, tmp_path)


def test_settings_can_be_none_of_their_menus(tmp_path, monkeypatch):
    monkeypatch.setattr(hostile, "fields", lambda rng: {"teacher": 77, "preset": -1, "device": 9})
    assert hostile.run(0, tmp_path, names=False)
