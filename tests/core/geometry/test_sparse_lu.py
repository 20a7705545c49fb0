"""Factors: solutions, and memory that any thread gives back."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from iseg_core.geometry.sparse_lu import Factor

ROOT = Path(__file__).resolve().parents[3]


def grid(side: int) -> sp.csc_matrix:
    """A shifted Laplacian of a square grid: symmetric, positive definite. [side^2, side^2]"""
    line = sp.diags([-1.0, 2.1, -1.0], [-1, 0, 1], shape=(side, side))  # pyright: ignore[reportArgumentType]
    return sp.csc_matrix(sp.kron(line, sp.eye(side)) + sp.kron(sp.eye(side), line))


@pytest.mark.parametrize("columns", [(), (3,)])
def test_solves(columns):
    matrix = grid(12)
    b = np.random.default_rng(0).standard_normal((144, *columns))
    np.testing.assert_allclose(matrix @ Factor(matrix).solve(b), b, atol=1e-12)


def test_a_singular_matrix_is_told_and_the_next_one_is_solved():
    with pytest.raises(RuntimeError):
        Factor(sp.csc_matrix((4, 4)))
    assert Factor(sp.csc_matrix(sp.eye(4))).solve(np.ones(4)) == pytest.approx(np.ones(4))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_another_thread_may_drop_them():
    matrix = grid(60)  # factors of some 2 MB

    def megabytes() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    def use() -> None:
        held = [Factor(matrix)]
        held[0].solve(np.ones(3600))
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()

    for _ in range(5):
        use()
    before = megabytes()
    for _ in range(40):
        use()
    assert megabytes() - before < 30  # where the thread that drops them has to free them, it is 80


def test_a_process_ends_well_with_factors_in_use():
    code = """
import scipy.sparse as sp
from iseg_core.geometry.sparse_lu import Factor
held = Factor(sp.csc_matrix(sp.eye(9)))
print(1)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n", "")
