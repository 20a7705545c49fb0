"""Sparse LU factors that any thread may drop.

SciPy's SuperLU books its memory under the thread that allocates it, and frees only what that thread gives back: factors
that another thread drops would never be freed. So one thread makes them all and drops them all; solving, which leaves
nothing behind, happens where it is asked for.
"""

import atexit
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

_jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # may be filled inside a destructor
_lock = threading.Lock()
_thread: threading.Thread | None = None
_live: "weakref.WeakSet[Factor]" = weakref.WeakSet()


class Factor:
    """LU factors of a symmetric positive definite matrix [P, P]. Raises RuntimeError where it is singular."""

    def __init__(self, matrix: sp.spmatrix):
        holder: list[Any] = []  # holds the one reference; the thread that put it in takes it out again
        self._lu, columns, done = holder, sp.csc_matrix(matrix), Future()
        _start()
        _live.add(self)
        _jobs.put(lambda: _make(columns, holder, done))
        done.result()

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Solve for b [P] or [P, n], of which the solution has the shape."""
        return self._lu[0].solve(b)

    def __del__(self, drop=_jobs.put) -> None:  # bound here: the module may be gone before its last factor
        drop(self._lu.clear)


def _make(matrix: sp.csc_matrix, holder: list[Any], done: Future) -> None:
    try:
        holder.append(splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}))
        done.set_result(None)
    except BaseException as error:
        done.set_exception(error)


def _start() -> None:
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():  # as in a process that was forked
            _thread = threading.Thread(target=_work, name="factors", daemon=True)
            _thread.start()


@atexit.register
def _drop_all() -> None:
    """Drop all factors while their thread runs: at exit the interpreter ends threads before it frees objects."""
    if _thread is None or not _thread.is_alive():
        return
    done = threading.Event()
    for factor in list(_live):
        _jobs.put(factor._lu.clear)
    _jobs.put(done.set)
    done.wait()


def _work() -> None:
    while True:
        _jobs.get()()
