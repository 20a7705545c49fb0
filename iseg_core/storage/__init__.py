"""What lies on disk: models, checkpoints, the cache."""
