"""What a run is to others while its worker gets it ready."""

from __future__ import annotations

import time
from typing import Any

import pytest

from vcr_core.config import RunConfig, override
from vcr_core.execution import channel, runner
from vcr_core.store import RunState, Store


def test_a_run_whose_data_take_long_to_prepare_gives_signs_of_life(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be taken for one whose worker hangs, and begun again for ever."""
    settings = {
        "data.dataset": "digits",
        "data.source": "parity",
        "transfer.targets": ("digit",),
        "model.name": "mlp",
        "model.hidden": (12, 8),
        "training.epochs": 1,
        "transfer.probes": 1,
        "execution.device": "cpu",
        "execution.threads": 1,
    }
    run_id = store.create_run(override(RunConfig(), settings), state=RunState.STARTING)
    prepare = runner.prepare
    beats: list[float | None] = []

    def slow(*words: Any, **options: Any) -> Any:
        deadline = time.monotonic() + 30.0
        while len(beats) < 3 and time.monotonic() < deadline:
            beat = store.run(run_id).heartbeat_at
            if beat is not None and beat not in beats:
                beats.append(beat)
            time.sleep(0.01)
        return prepare(*words, **options)

    monkeypatch.setattr(channel, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(runner, "prepare", slow)
    runner.execute(store, run_id)
    assert len(beats) == 3
    assert store.run(run_id).state is RunState.FINISHED
