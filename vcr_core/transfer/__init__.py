"""Transfer: frozen features once, then what a linear probe reads from them."""

from __future__ import annotations

from vcr_core.transfer.features import FrozenFeatures, extract_features, frozen
from vcr_core.transfer.probe import LinearProbe, fit_probe, probe_all

__all__ = ["FrozenFeatures", "LinearProbe", "extract_features", "fit_probe", "frozen", "probe_all"]
