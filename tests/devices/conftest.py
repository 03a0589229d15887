"""The device that lags, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import lagging_device
import pytest
import torch
from lagging_device import Device

from vcr_core.training import experiment

lagging_device.announce()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """The device; configurations that ask for "auto" are trained on it."""
    pick = experiment.pick_device

    def picked(name: str) -> torch.device:
        return torch.device(lagging_device.NAME) if name == "auto" else pick(name)

    monkeypatch.setattr(experiment, "pick_device", picked)
    with lagging_device.lagging_device() as found:
        yield found
