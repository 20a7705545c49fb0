"""Training: what the teacher sees becomes a field and a decoder."""
