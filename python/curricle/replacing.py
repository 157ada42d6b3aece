"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write; it takes its place when all went well, and goes otherwise.

    Raises:
        OSError: it cannot be written; the error names ``path``.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink()
        # A full disk names no file, a folder that refuses names one that nobody asked for.
        if isinstance(error, OSError) and error.filename in (None, str(unfinished), unfinished):
            error.filename, error.filename2 = str(path), None
        raise
