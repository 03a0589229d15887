"""Transfer: frozen features once, then what simple readers make of them.

linear      L-BFGS on the softmax regression, all targets at once; strength chosen on a path
knn         a vote of the k nearest neighbours
few-shot    linear probes from 1 to 100 images a class, many draws
ncm         the nearest class mean
fine-tune   a copy of the whole network goes on learning

Importing this does not import torch; results, intervals and tables never do.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vcr_core.transfer.intervals import Interval
from vcr_core.transfer.results import PROTOCOLS, Protocol, TargetResult
from vcr_core.transfer.tables import TransferTable, transfer_table

if TYPE_CHECKING:
    from vcr_core.transfer.features import FrozenFeatures, extract_features, frozen
    from vcr_core.transfer.few_shot import few_shot_curve
    from vcr_core.transfer.fine_tuning import FineTuning, fine_tune
    from vcr_core.transfer.neighbours import nearest_class_mean, nearest_neighbours
    from vcr_core.transfer.path import choose_probes, fit_path
    from vcr_core.transfer.probe import LinearProbe, fit_probe, fit_probes, probe_all
    from vcr_core.transfer.protocols import Options, measure

_HOME_OF = {
    "FineTuning": "fine_tuning",
    "FrozenFeatures": "features",
    "LinearProbe": "probe",
    "Options": "protocols",
    "choose_probes": "path",
    "extract_features": "features",
    "few_shot_curve": "few_shot",
    "fine_tune": "fine_tuning",
    "fit_path": "path",
    "fit_probe": "probe",
    "fit_probes": "probe",
    "frozen": "features",
    "measure": "protocols",
    "nearest_class_mean": "neighbours",
    "nearest_neighbours": "neighbours",
    "probe_all": "probe",
}

__all__ = [
    "PROTOCOLS",
    "FineTuning",
    "FrozenFeatures",
    "Interval",
    "LinearProbe",
    "Options",
    "Protocol",
    "TargetResult",
    "TransferTable",
    "choose_probes",
    "extract_features",
    "few_shot_curve",
    "fine_tune",
    "fit_path",
    "fit_probe",
    "fit_probes",
    "frozen",
    "measure",
    "nearest_class_mean",
    "nearest_neighbours",
    "probe_all",
    "transfer_table",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"vcr_core.transfer.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'vcr_core.transfer' has no attribute '{name}'")
