"""Images with several labellings each, held as tensors; importing this does not import torch.

    data = load("sprites", cache_folder=Path("data"))
    data.train.images            # (N, 3, 32, 32) float32, standardised
    data.train.labels["shape"]   # (N,) int64
    data.class_names["shape"]    # ("circle", "square", ...)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vcr_core.datasets.catalog import DATASETS, DatasetInfo, dataset_info
from vcr_core.datasets.finding import find_data

if TYPE_CHECKING:
    from vcr_core.datasets.batches import batch_indices
    from vcr_core.datasets.loading import load
    from vcr_core.datasets.split import Dataset, Split
    from vcr_core.datasets.tasks import TransferTask, transfer_tasks

_HOME_OF = {
    "Dataset": "split",
    "Split": "split",
    "TransferTask": "tasks",
    "batch_indices": "batches",
    "load": "loading",
    "transfer_tasks": "tasks",
}

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "Split",
    "TransferTask",
    "batch_indices",
    "dataset_info",
    "find_data",
    "load",
    "transfer_tasks",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"vcr_core.datasets.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'vcr_core.datasets' has no attribute '{name}'")
