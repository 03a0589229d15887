"""What is new of a run is read once, and everybody gets the same as from the store itself."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from vcr_core.config import RunConfig
from vcr_core.figures import LayerReader, Recent, loss_chart, read_history, run_lines
from vcr_core.figures import recent as module
from vcr_core.store import Report, Store

NAMES = ("loss/task", "loss/penalty", "features/effective_rank")


class Counted:
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self._store, name)


@pytest.fixture
def run(store: Store) -> str:
    return store.create_run(RunConfig())


def write(store: Store, run: str, step: int, *, layers: tuple[str, ...] = ("a", "b")) -> None:
    metrics = {name: float(step) for name in NAMES} | {f"other/{step % 3}": 1.0}
    metrics |= {f"layer/{layer}/count": 8.0 for layer in layers}
    arrays = {
        (layer, kind): np.full((2, 2) if kind == "covariance" else 2, step, np.float32)
        for layer in layers
        for kind in ("covariance", "std", "spectrum")
    }
    store.write_reports(run, [Report(step, metrics, arrays)], progress={"step": step})


def test_readers_with_cursors_of_their_own_get_what_the_store_would_have_told(
    store: Store, run: str
) -> None:
    recent, choose = Recent(store), random.Random(0)
    numbers = dict.fromkeys((None, ("loss/task",), ("other/1", "loss/penalty")), 0)
    arrays = dict.fromkeys(((None, None), ("a", None), ("b", "std")), 0)
    for step in range(60):
        for extra in range(choose.choice((0, 1, 1, 3))):
            write(store, run, 10 * step + extra)
        recent.look()
        for names, after in numbers.items():
            if choose.random() < 0.8:
                told = store.metrics(run, after=after, names=names)
                assert recent.metrics(run, after=after, names=names) == told
                numbers[names] = told[-1].id if told else after
        for (layer, kind), after in arrays.items():
            if choose.random() < 0.8:
                wanted: dict[str, Any] = {"layers": layer and [layer], "kinds": kind and [kind]}
                stored = store.snapshots(run, after=after, **wanted)
                got = recent.snapshots(run, after=after, **wanted)
                assert [each.id for each in got] == [each.id for each in stored]
                arrays[layer, kind] = stored[-1].id if stored else after


def test_a_second_later_the_store_is_asked_once_for_numbers_and_once_for_arrays(
    store: Store, run: str
) -> None:
    counted = Counted(store)
    recent, reader = Recent(counted), LayerReader([store.run(run)])
    charts = [loss_chart(run_lines([store.run(run)]))]
    cursor = read_history(recent, charts).cursor
    for step in range(5):
        write(store, run, step, layers=store.run(run).config.layer_names)
        counted.asked.clear()
        recent.look()
        cursor = read_history(recent, charts, cursor).cursor
        frames = reader.news(recent)
        assert len(frames) == len(store.run(run).config.layer_names)
    assert counted.asked["metrics"] == 1
    assert counted.asked["snapshots"] == 1


def test_a_backlog_is_not_read_as_a_whole(
    store: Store, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_NUMBERS", 8)
    recent = Recent(store)
    write(store, run, 0)
    end = recent.metrics(run)[-1].id
    for step in range(1, 10):
        write(store, run, step)
    recent.look()
    assert [each.step for each in recent.metrics(run, after=end, names=["loss/task"])] == [
        *range(1, 10)
    ]


def test_runs_that_nobody_asks_for_any_more_are_left_out(store: Store, run: str) -> None:
    counted = Counted(store)
    recent = Recent(counted)
    write(store, run, 0)
    recent.metrics(run)
    recent.look()
    recent.look()
    counted.asked.clear()
    recent.look()
    assert not counted.asked
