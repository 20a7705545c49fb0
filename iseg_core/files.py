"""Files that are written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends, and leaves no trace when it fails.

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
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
