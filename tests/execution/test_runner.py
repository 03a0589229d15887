"""What a run is to others while its worker gets it ready, and what it does without a store."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer
from sqlalchemy import event

from vcr_core.config import RunConfig, override
from vcr_core.errors import StoreError
from vcr_core.execution import channel, runner
from vcr_core.store import RunState, Store, open_store, opening

TINY = {
    "data.dataset": "digits",
    "data.source": "parity",
    "transfer.targets": ("digit",),
    "model.name": "mlp",
    "model.hidden": (12, 8),
    "training.epochs": 8,
    "transfer.probes": 1,
    "execution.device": "cpu",
    "execution.threads": 1,
}


def begin(store: Store) -> str:
    return store.create_run(override(RunConfig(), TINY), state=RunState.STARTING)


def numbers(store: Store, run_id: str) -> list[tuple[int, str, float | None]]:
    return [(each.step, each.name, each.value) for each in store.metrics(run_id)]


@pytest.fixture
def impatient(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The same store, opened by a worker that waits for a lock no longer than a moment."""
    monkeypatch.setattr(opening, "BUSY_MILLISECONDS", 20)
    opened = open_store(store.url)
    yield opened
    opened.close()


def test_a_run_waits_for_a_store_that_another_process_has_locked(
    store: Store, impatient: Store, lab_home: Path
) -> None:
    undisturbed, run_id = begin(store), begin(store)
    runner.execute(store, undisturbed)
    refused: list[str] = []
    event.listen(impatient._engine, "handle_error", lambda about: refused.append(str(about)))
    locker = sqlite3.connect(lab_home / "runs.sqlite", check_same_thread=False)
    release = threading.Timer(1.0, locker.rollback)

    def lock(step: int, _total: int, _numbers: object) -> None:
        if step == 20:
            locker.execute("BEGIN IMMEDIATE")
            release.start()

    runner.execute(impatient, run_id, on_progress=lock)
    release.join()
    locker.close()
    assert refused
    assert store.run(run_id).state is RunState.FINISHED
    assert numbers(store, run_id) == numbers(store, undisturbed)


def test_a_run_that_reports_rarely_shows_how_far_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "BEAT_SECONDS", 0.02)
    rarely = {"training.epochs": 60, "telemetry.reports": 2, "telemetry.snapshots": 2}
    config = override(RunConfig(), {**TINY, **rarely})
    run_id = store.create_run(config, state=RunState.STARTING)
    reported: set[int] = set()
    seen: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            seen.add(store.run(run_id).step)

    watcher = threading.Thread(target=watch)
    watcher.start()
    runner.execute(store, run_id, on_progress=lambda step, _total, _: reported.add(step))
    over.set()
    watcher.join()
    assert seen - reported - {0}
    assert store.run(run_id).step == max(reported)


def test_a_run_waits_for_a_server_that_is_restarted(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    shared = open_store(postgres_url)
    undisturbed, run_id = begin(shared), begin(shared)
    runner.execute(shared, undisturbed)
    start = threading.Timer(0.5, postgres_server.start)

    def stop(step: int, _total: int, _numbers: object) -> None:
        if step == 20:
            postgres_server.stop()
            start.start()

    runner.execute(shared, run_id, on_progress=stop)
    start.join()
    assert shared.run(run_id).state is RunState.FINISHED
    assert numbers(shared, run_id) == numbers(shared, undisturbed)
    shared.close()


def test_a_run_on_a_full_disk_is_interrupted_with_the_reason_and_goes_on_where_there_is_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "PATIENCE_SECONDS", 0.2)
    undisturbed, run_id = begin(store), begin(store)
    runner.execute(store, undisturbed)
    small = open_store(store.url)
    pages = int(sqlite3.connect(store.shown).execute("PRAGMA page_count").fetchone()[0])
    limit = f"PRAGMA max_page_count = {pages + 40}"
    event.listen(small._engine, "connect", lambda raw, _: raw.execute(limit))
    small.close()  # the next connections have the limit
    with pytest.raises(StoreError, match="the disk is full; what was stored before is kept"):
        runner.execute(small, run_id)
    small.close()
    kept = numbers(store, run_id)
    assert store.run(run_id).state is RunState.INTERRUPTED
    assert "the disk is full" in (store.run(run_id).error or "")
    assert kept
    assert store.move_run(run_id, before=RunState.INTERRUPTED, after=RunState.STARTING)
    runner.execute(store, run_id)
    assert numbers(store, run_id)[: len(kept)] == kept
    assert numbers(store, run_id) == numbers(store, undisturbed)


def test_a_run_whose_data_take_long_to_prepare_gives_signs_of_life(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be taken for one whose worker hangs, and begun again for ever."""
    run_id = begin(store)
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
