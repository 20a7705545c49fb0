"""Chunks: long arrays are computed piece by piece, so that what a piece needs stays in the processor's cache."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

CHUNK = 1 << 14  # rows
THREADS = min(4, os.cpu_count() or 1)  # numpy lets other threads run while it computes


def in_chunks(work: Callable[[slice], None], count: int) -> None:
    """Call `work` with slices that cover `count` rows, on several threads: each writes its own rows of the result."""
    slices = [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    if len(slices) < 2 * THREADS or THREADS == 1:
        for rows in slices:
            work(rows)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, slices):
            pass
