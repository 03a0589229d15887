"""Images with several labellings each, held as tensors; importing this does not import torch.

data = load("sprites", seed=0)
data.train.images            # (N, 3, 32, 32) float32, standardised
data.train.labels["shape"]   # (N,) int64
data.class_names["shape"]    # ("circle", "square", ...)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vcr_core.datasets.catalog import DATASETS, dataset_info
from vcr_core.datasets.info import DatasetInfo
from vcr_core.datasets.places import find_data
from vcr_core.datasets.spec import DataSpec

if TYPE_CHECKING:
    from vcr_core.datasets.batches import batch_indices, epoch_batches, steps_per_epoch
    from vcr_core.datasets.loading import load
    from vcr_core.datasets.split import Dataset, Split
    from vcr_core.datasets.tasks import TransferTask, transfer_tasks

_HOME_OF = {
    "Dataset": "split",
    "Split": "split",
    "TransferTask": "tasks",
    "batch_indices": "batches",
    "epoch_batches": "batches",
    "load": "loading",
    "steps_per_epoch": "batches",
    "transfer_tasks": "tasks",
}

__all__ = [
    "DATASETS",
    "DataSpec",
    "Dataset",
    "DatasetInfo",
    "Split",
    "TransferTask",
    "batch_indices",
    "dataset_info",
    "epoch_batches",
    "find_data",
    "load",
    "steps_per_epoch",
    "transfer_tasks",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"vcr_core.datasets.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'vcr_core.datasets' has no attribute '{name}'")
