"""Files that are written whole or not at all."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

# Seconds that a reader of the old file (a virus scanner, too) gets to close it: Windows replaces no open file.
PATIENCE = 2.0 if os.name == "nt" else 0.0


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` when the block ends, and leaves no trace when it fails.

    The bytes go to a hidden file in the same folder (so that the last step is one rename), are flushed to the disk,
    and only then get the name. Whatever ends the block, Ctrl-C included, the hidden file is removed and the old
    file stays as it was. Raises OSError where the folder is missing, may not be written to, or is full.
    """
    target = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
    if target.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    file = open(temporary, "xb")  # not tempfile: its files are private (0600) and would stay so under the new name
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, target)
    except BaseException:
        with suppress(OSError):  # the first error is the one to report
            temporary.unlink()
        raise


def replace(source: Path, target: Path) -> None:
    """Rename a file to `target`, replacing what is there. Raises OSError where that cannot be done."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)
