"""Where VCR Lab keeps what it keeps: one folder per user, or ``VCR_LAB_HOME``."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder for everything that is kept; made on first use."""
    chosen = os.environ.get("VCR_LAB_HOME")
    folder = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("vcr-lab"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def store_url() -> str:
    """The address of the store: ``VCR_LAB_STORE``, or a SQLite file under :func:`home`."""
    return os.environ.get("VCR_LAB_STORE") or f"sqlite:///{(home() / 'runs.sqlite').as_posix()}"


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
