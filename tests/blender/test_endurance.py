"""A few rounds of what benchmarks/blender_reliability.py does many times."""

from support.blender import endurance


def test_enabled_and_disabled_again_and_again(empty, engine):
    assert "nothing left" in endurance.cycles(4)


def test_the_engine_is_killed_at_some_moments(empty, engine):
    assert "nothing lost" in endurance.kills(3)
