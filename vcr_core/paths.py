"""Where VCR Lab keeps what it keeps: one folder per user, or ``VCR_LAB_HOME``."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from vcr_core.errors import StoreError


def home() -> Path:
    """The folder for everything that is kept; made on first use.

    Raises:
        StoreError: there is no such folder and it cannot be made.
    """
    chosen = os.environ.get("VCR_LAB_HOME")
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("vcr-lab"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"expected a folder at {folder}, and it cannot be made ({error.strerror}): choose "
            "another with VCR_LAB_HOME"
        ) from error
    return folder


def store_url() -> str:
    """The address of the store: ``VCR_LAB_STORE``, or a SQLite file under :func:`home`.

    ``VCR_LAB_STORE`` is the address of a database or the path of a SQLite file.
    """
    chosen = os.environ.get("VCR_LAB_STORE")
    if chosen and "://" in chosen:
        return chosen
    file = Path(chosen).expanduser().absolute() if chosen else home() / "runs.sqlite"
    return f"sqlite:///{file.as_posix()}"


def data_folder() -> Path:
    """Where data sets are kept after a download."""
    folder = home() / "data"
    folder.mkdir(exist_ok=True)
    return folder


def log_folder() -> Path:
    """Where each worker process writes its log."""
    folder = home() / "logs"
    folder.mkdir(exist_ok=True)
    return folder


def checkpoint_address() -> str:
    """Where checkpoints are kept: ``VCR_LAB_CHECKPOINTS`` (a folder or any fsspec address), or a
    folder under :func:`home`.
    """
    return os.environ.get("VCR_LAB_CHECKPOINTS") or (home() / "checkpoints").as_posix()
