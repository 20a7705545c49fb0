"""Progress on the terminal."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..progress import Progress

# progress


class Display:
    """ProgressCallback that shows a bar on a terminal, else prints a line for each stage and tenth of the way."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._said = ("", -1)

    def __enter__(self) -> "Display":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            columns = (
                TextColumn("{task.description:<10}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[left]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=1.0, left="")
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: "Progress") -> None:
        self.show(*progress)

    def show(self, stage: str, fraction: float, seconds_left: float | None) -> None:
        left = "" if seconds_left is None else f"{seconds_left:.0f} s left"
        if self._bar is not None:
            self._bar.update(self._task, description=stage, completed=fraction, left=left)
        elif (now := (stage, int(fraction * 10))) != self._said:
            self._said = now
            print(f"{stage}: {100 * fraction:.0f} %" + (f", {left}" if left else ""), file=sys.stderr, flush=True)
