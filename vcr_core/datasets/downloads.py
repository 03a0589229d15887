"""Downloads that are there whole or not at all, however many processes ask for them at once."""

from __future__ import annotations

import pickle
import shutil
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

#: What torchvision, and what it reads with, raise where files are missing or broken.
READ_ERRORS = (
    *(OSError, EOFError, RuntimeError, ValueError, KeyError, IndexError, AssertionError),
    *(TypeError, pickle.UnpicklingError, zlib.error),
)


def reason(error: BaseException) -> str:
    """Why, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def is_there(root: Path) -> bool:
    """Whether a data set's folder exists and holds something."""
    return root.is_dir() and any(root.iterdir())


def download_whole(root: Path, fetch: Callable[[Path], object], *, made: str = "") -> None:
    """Let ``fetch`` fill a folder of its own, and move it to ``root`` once it is whole.

    ``made`` is the folder inside it that is moved, where that is not all. Of several processes
    (twins start together) one downloads and the others wait for it. What processes that were
    killed have left half-written is removed. Whatever ``fetch`` raises leaves nothing behind.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    lock = root.with_name(f"{root.name}.lock")
    with FileLock(lock):
        try:
            if not is_there(root):
                _fetch_and_move(root, fetch, made)
        finally:
            with suppress(OSError):  # who waits for it finds the folder there
                lock.unlink()


def _fetch_and_move(root: Path, fetch: Callable[[Path], object], made: str) -> None:
    for left in root.parent.glob(f"{root.name}.partial*"):
        shutil.rmtree(left, ignore_errors=True)
    partial = root.with_name(f"{root.name}.partial")
    try:
        partial.mkdir()
        fetch(partial)
        if root.is_dir():
            root.rmdir()  # empty
        (partial / made).replace(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
