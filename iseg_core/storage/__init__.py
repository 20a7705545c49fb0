"""Files on disk: models, checkpoints, the cache."""
