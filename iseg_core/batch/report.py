"""Report of a library: one screen while it is trained, and files in its folder."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..system.atomic_file import atomic_write
from ..version import __version__
from .library import FAILED, PRESENT, TRAINED, Result, Training
from .run import LibraryProgress

ROWS = 12  # meshes under way that the screen shows


def count(results: Sequence[Result]) -> str:
    """Count the results in words: 12 trained, 3 there already, 1 failed."""
    found = Counter(result.status for result in results)
    return ", ".join(f"{found[status]} {status}" for status in (TRAINED, PRESENT, FAILED))


def write_report(folder: Path, training: Training, results: Sequence[Result], wall_seconds: float) -> None:
    """Write batch.json and batch.md into the folder: every mesh with its result, failures first."""
    results = sorted(results, key=lambda result: (result.status != FAILED, result.name))
    seconds = sum(result.seconds for result in results)
    trained = [result for result in results if result.status == TRAINED]
    record = {
        "engine": __version__,
        "training": training.record,
        "wall_seconds": round(wall_seconds, 1),
        "training_seconds": round(seconds, 1),
        "meshes": [vars(result) for result in results],
    }
    lines = [
        f"# {count(results)}",
        "",
        ", ".join(f"{key} {value}" for key, value in training.record.items()) + f", iSeg {__version__}. "
        f"{wall_seconds:.0f} s on the clock, {seconds:.0f} s of training"
        + (f", {seconds / len(trained):.1f} s a mesh." if trained else "."),
        "",
        "| mesh | vertices | | attempts | seconds | machine |",
        "|---|---|---|---|---|---|",
    ]
    for r in results:
        what = f"{r.status}: {r.reason}" if r.reason else r.status
        cells = [
            r.name,
            f"{r.vertices:,}" if r.vertices else "",
            what,
            str(r.attempts or ""),
            f"{r.seconds or ''}",
            r.host,
        ]
        lines.append("| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |")
    for name, text in (("batch.json", json.dumps(record, indent=1)), ("batch.md", "\n".join(lines))):
        with atomic_write(folder / name) as file:
            file.write((text + "\n").encode())


def print_summary(results: Sequence[Result]) -> None:
    """Print how many there are of each, and a table of those that failed with the reason of each."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160)
    failures = [result for result in results if result.status == FAILED]
    if failures:
        table = Table(title="Failed", title_justify="left")
        for column in ("mesh", "attempts", "reason"):
            table.add_column(column, overflow="fold")
        for result in failures:
            table.add_row(result.name, str(result.attempts or "none"), result.reason)
        console.print(table)
    console.print(count(results) + ".", highlight=False)


class Screen:
    """Display of a LibraryProgress: on a terminal, all meshes that are under way; else a line for each finished one."""

    def __init__(self) -> None:
        self._live: Any = None
        self._said = 0

    def __enter__(self) -> "Screen":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, progress: LibraryProgress) -> None:
        if self._live is not None:
            self._live.update(draw(progress))
            return
        for result in progress.results[self._said :]:
            self._said += 1
            what = f"{result.status}: {result.reason}" if result.reason else result.status
            print(f"{self._said}/{progress.total} {result.name}: {what}", file=sys.stderr, flush=True)


def draw(progress: LibraryProgress) -> Any:
    """Draw the screen of a moment, for rich."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    done = len(progress.results) + sum(running.fraction for running in progress.running)
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(f"{len(progress.results)} of {progress.total}"),
        ProgressBar(total=max(progress.total, 1), completed=done, width=40),
        Text(count(progress.results)),
    )
    table = Table.grid(padding=(0, 1))
    for running in progress.running[:ROWS]:
        left = "" if running.seconds_left is None else f"{running.seconds_left:.0f} s left"
        table.add_row(
            Text(running.name, overflow="ellipsis", no_wrap=True),
            ProgressBar(total=1.0, completed=running.fraction, width=24),
            Text(running.stage),
            Text(left),
            Text(running.host, style="dim"),
        )
    more = len(progress.running) - ROWS
    return Group(head, table, *([Text(f"and {more} more", style="dim")] if more > 0 else []))
