"""Inference: clicks in, probabilities of the vertices out."""
