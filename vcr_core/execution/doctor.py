"""What this machine has: for ``vcr-lab doctor`` and for bug reports."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

import vcr_core
from vcr_core import paths
from vcr_core.datasets import find_data
from vcr_core.errors import StoreError
from vcr_core.execution.devices import slots, threads_per_worker
from vcr_core.execution.launch import dispatcher_alive
from vcr_core.store import RunState, open_store

PACKAGES = ("torch", "torchvision", "streamlit", "plotly", "pydantic", "sqlalchemy", "numpy")


def findings() -> dict[str, dict[str, Any]]:
    """Versions, devices, data and store, as plain data."""
    return {
        "versions": _versions(),
        "devices": _devices(),
        "data": find_data(paths.data_folder()),
        "store": _store(),
    }


def _versions() -> dict[str, Any]:
    found = {"vcr-lab": vcr_core.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _devices() -> dict[str, Any]:
    import torch

    from vcr_core.training.environment import device_name
    from vcr_core.training.experiment import pick_device

    memory = psutil.virtual_memory().total / 2**30
    best = pick_device("auto")
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": f"{psutil.cpu_count()} cores, {memory:.0f} GiB",
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "chosen": f"{best.type} ({device_name(best)})",
        "slots": slots(),
        "threads per run": threads_per_worker(),
    }


def _store() -> dict[str, Any]:
    try:
        store = open_store()
    except StoreError as error:
        return {"folder": str(paths.home()), "problem": str(error)}
    active = [state for state in RunState if not state.is_over]
    return {
        "folder": str(paths.home()),
        "address": store.shown,
        "runs": store.count_runs(),
        "active": store.count_runs(states=active),
        "dispatcher": "running" if dispatcher_alive(store) else "not running",
    }
