"""A training run small enough for a test."""

from __future__ import annotations

import pytest

from vcr_core.config import RunConfig, override


@pytest.fixture
def small_config() -> RunConfig:
    """Odd or even on scanned digits with a tiny perceptron: 20 steps."""
    return override(
        RunConfig(),
        {
            "data.dataset": "digits",
            "data.source": "parity",
            "transfer.targets": ("digit",),
            "model.name": "mlp",
            "model.hidden": (24, 12),
            "training.epochs": 2,
            "training.batch_size": 128,
            "telemetry.reports": 20,
            "telemetry.snapshots": 2,
            "transfer.probes": 2,
            "transfer.train_size": 300,
            "execution.device": "cpu",
        },
    )
