"""Scores of simulated clicks. The simulated user is ../simulate.py, which the engine uses as well."""

from ..simulate import Answer, Click, Target, deepest, next_click, simulate

__all__ = ["Answer", "Click", "Target", "clicks_to_reach", "deepest", "next_click", "simulate"]


def clicks_to_reach(scores: list[float], threshold: float, limit: int = 20) -> int:
    """NoC: the number of clicks after which the IoU first reaches a threshold; `limit` where it never does."""
    return next((k + 1 for k, score in enumerate(scores) if score >= threshold), limit)
