"""Conversations with an engine that answers anything; benchmarks/blender_reliability.py has as many as one likes."""

import pytest
from support.blender import replies


@pytest.mark.parametrize("first", (0, 10, 20, 30, 60))
def test_whatever_the_engine_answers(empty, first):
    assert sum(replies.run(seed) for seed in range(first, first + 10))
