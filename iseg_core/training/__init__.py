"""Training: a field and a decoder are fitted to the teacher's answers."""
