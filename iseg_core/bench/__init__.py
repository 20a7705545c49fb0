"""Measurement: datasets with human labels, simulated clicks, metrics, baselines."""
