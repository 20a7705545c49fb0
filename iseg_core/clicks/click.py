"""Clicks and granularities: what a user says."""

Clicks = tuple[tuple[int, bool], ...]  # (vertex, positive) in the order they were made

Click = tuple[int, bool]  # vertex, True to include


def first_included(clicks: tuple[Click, ...]) -> int:
    """The first vertex that is to be included; there is one."""
    return next(vertex for vertex, include in clicks if include)


SCALES = ("fine", "part", "whole")
