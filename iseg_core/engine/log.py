"""Log of the engine: its stderr, in a file of bounded size."""

import os
from pathlib import Path

FILE_LIMIT = 2**20  # bytes; then the file becomes <name>.1, and the older one is gone
TAIL_LIMIT = 2**13  # bytes remembered for the reason of a crash


class Log:
    """Log file that also remembers its latest bytes. Several processes may append to one file."""

    def __init__(self, path: str | os.PathLike[str] | None):
        """path: the file, whose folder is made when needed; None: nothing is written."""
        self.path = Path(path) if path is not None else None
        self._tail = b""

    def append(self, data: bytes) -> None:
        """Add what was said. A file that cannot be written costs the log, nothing else."""
        self._tail = (self._tail + data)[-TAIL_LIMIT:]
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(data) > FILE_LIMIT:
                os.replace(self.path, self.path.with_name(self.path.name + ".1"))
        except OSError:
            pass  # on Windows another process may have it open: a later one rotates it
        try:
            with open(self.path, "ab") as file:
                file.write(data)
        except OSError:
            pass

    def last_lines(self, count: int = 8) -> list[str]:
        """Return the last lines since `forget`."""
        lines = self._tail.decode(errors="replace").splitlines()
        return [line for line in lines if line.strip()][-count:]

    def forget(self) -> None:
        """Drop the remembered lines: those of an ended process do not explain the end of a new one."""
        self._tail = b""
