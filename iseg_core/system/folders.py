"""Folders of the user."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return iSeg's cache folder: the environment variable ISEG_CACHE, or the platform's place for caches."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("ISEG_CACHE") or user_cache_dir("iseg")).expanduser()
