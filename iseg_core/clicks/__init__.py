"""Clicks: what a user says of a part, and how users are simulated."""
