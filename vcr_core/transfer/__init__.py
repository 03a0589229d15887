"""Transfer: frozen features once, then what simple readers make of them."""

from __future__ import annotations

from vcr_core.transfer.features import FrozenFeatures, extract_features, frozen
from vcr_core.transfer.probe import LinearProbe, fit_probe, fit_probes, probe_all

__all__ = [
    "FrozenFeatures",
    "LinearProbe",
    "extract_features",
    "fit_probe",
    "fit_probes",
    "frozen",
    "probe_all",
]
