"""Random sequences of operators, a few; benchmarks/blender_reliability.py runs as many as one likes."""

import pytest
from support.blender import sequences


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done(empty, engine, tmp_path, seed):
    assert len(sequences.run(seed, tmp_path)) == sequences.STEPS
