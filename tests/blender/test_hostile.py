"""Files from someone else, a few; benchmarks/blender_reliability.py opens as many as one likes."""

import hostile
import pytest


@pytest.mark.parametrize("seed", range(8))
def test_a_file_can_hold_anything(empty, engine, tmp_path, monkeypatch, seed):
    monkeypatch.setenv("ISEG_ENGINE", hostile.quick(engine))
    assert hostile.run(seed, tmp_path, names=False)


def test_names_can_be_anything(empty, engine, tmp_path, monkeypatch):
    monkeypatch.setenv("ISEG_ENGINE", hostile.quick(engine))
    for seed in range(8):
        assert hostile.run(seed, tmp_path)
