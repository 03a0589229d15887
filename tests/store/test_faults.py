"""What goes wrong around a store: it says so, keeps every committed row, and opens again."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import PASSWORD, PostgresServer
from sqlalchemy import event

from vcr_core.config import RunConfig
from vcr_core.errors import StoreError
from vcr_core.store import Report, RunState, Store, connection, open_store, opening

ROOT = Path(__file__).parents[2]
NUMBERS = 50

WRITER = f"""
import sys
from vcr_core.store import Report, open_store
store = open_store(sys.argv[1])
for step in range(1_000_000):
    numbers = {{f"number/{{name}}": float(step) for name in range({NUMBERS})}}
    store.write_reports(sys.argv[2], [Report(step, numbers, {{}})], progress={{"step": step}})
    print(step, flush=True)
"""
LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


def report(step: int) -> Report:
    return Report(step, {f"number/{name}": float(step) for name in range(NUMBERS)}, {})


def steps_of(store: Store, run_id: str) -> list[int]:
    """The steps that are there; each must be there as a whole."""
    metrics = store.metrics(run_id)
    steps = [metric.step for metric in metrics[::NUMBERS]]
    assert [metric.step for metric in metrics] == [step for step in steps for _ in range(NUMBERS)]
    return steps


def script(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def run_id(store: Store) -> str:
    return store.create_run(RunConfig())


@pytest.fixture
def sqlite_run(sqlite_store: Store) -> str:
    return sqlite_store.create_run(RunConfig())


def test_a_writer_that_is_killed_loses_nothing_that_it_was_told_is_stored(
    store: Store, run_id: str
) -> None:
    chance = random.Random(0)
    confirmed = -1
    for _ in range(2):
        with script(WRITER, store.url, run_id) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            writer.kill()
            lines = writer.stdout.read().split("\n")
        confirmed = max([confirmed, *(int(line) for line in lines[:-1] if line)])
        assert max(steps_of(store, run_id)) >= confirmed
        assert store.run(run_id).step in steps_of(store, run_id)[-1:]
        again = open_store(store.url)
        again.update_run(run_id, step=0)
        again.close()


def test_a_full_disk_is_said_and_what_was_stored_stays(
    sqlite_store: Store, sqlite_run: str
) -> None:
    small = open_store(sqlite_store.url)
    event.listen(small._engine, "connect", lambda raw, _: raw.execute("PRAGMA max_page_count = 70"))
    small.close()  # the next connections have the limit
    stored: list[int] = []

    def write_for_ever() -> None:
        for step in itertools.count():
            small.write_reports(sqlite_run, [report(step)], progress={"step": step})
            stored.append(step)

    with pytest.raises(StoreError, match="the disk is full; what was stored before is kept"):
        write_for_ever()
    assert stored
    assert steps_of(small, sqlite_run) == stored
    assert small.run(sqlite_run).step == stored[-1]
    small.close()
    roomy = open_store(sqlite_store.url)
    roomy.write_reports(sqlite_run, [report(10_001)], progress={})
    assert steps_of(roomy, sqlite_run) == [*stored, 10_001]
    roomy.close()


def test_a_store_that_another_process_has_locked_is_read_and_said(
    sqlite_store: Store, sqlite_run: str, lab_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_MILLISECONDS", 100)
    with script(LOCKER, str(lab_home / "runs.sqlite")) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        store = open_store(sqlite_store.url)
        assert store.run(sqlite_run).state is RunState.QUEUED
        with pytest.raises(StoreError, match="another process has locked it"):
            store.write_reports(sqlite_run, [report(1)], progress={})
        locker.communicate("\n")
    store.write_reports(sqlite_run, [report(2)], progress={})
    assert steps_of(store, sqlite_run) == [2]
    store.close()


def test_a_store_that_is_taken_away_is_said_and_goes_on_when_it_is_back(
    sqlite_store: Store, sqlite_run: str, lab_home: Path
) -> None:
    path, away = lab_home / "runs.sqlite", lab_home / "away.sqlite"
    sqlite_store.write_reports(sqlite_run, [report(1)], progress={})
    path.rename(away)
    with pytest.raises(StoreError, match="was there before and is gone: put the file back"):
        sqlite_store.write_reports(sqlite_run, [report(2)], progress={})
    with pytest.raises(StoreError, match="is gone"):
        sqlite_store.runs()
    with pytest.raises(StoreError, match=r"its write-ahead log runs\.sqlite-wal is there"):
        open_store(sqlite_store.url)  # an empty store in its place would lose the log
    assert not path.exists()
    away.rename(path)
    sqlite_store.write_reports(sqlite_run, [report(3)], progress={})
    assert steps_of(sqlite_store, sqlite_run) == [1, 3]


def test_a_closed_store_that_is_deleted_under_a_process_is_not_made_anew(
    sqlite_store: Store, sqlite_run: str, lab_home: Path
) -> None:
    sqlite_store.close()
    path = lab_home / "runs.sqlite"
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(StoreError, match="was there before and is gone"):
        sqlite_store.runs()
    assert not path.exists()
    path.write_bytes(kept)
    assert [run.id for run in sqlite_store.runs()] == [sqlite_run]


def test_a_store_that_is_replaced_while_in_use_is_left_alone(
    sqlite_store: Store, lab_home: Path, tmp_path: Path
) -> None:
    sqlite_store.create_run(RunConfig())
    other = open_store(f"sqlite:///{tmp_path / 'other.sqlite'}")
    other.close()
    (tmp_path / "other.sqlite").replace(lab_home / "runs.sqlite")
    with pytest.raises(StoreError, match="was replaced by another file while in use"):
        sqlite_store.create_run(RunConfig())


def test_a_damaged_store_is_said(sqlite_store: Store, sqlite_run: str, lab_home: Path) -> None:
    sqlite_store.write_reports(sqlite_run, [report(step) for step in range(50)], progress={})
    sqlite_store.close()
    path = lab_home / "runs.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StoreError, match=r"runs\.sqlite: the file is damaged\. Put a backup"):
        open_store(sqlite_store.url).metrics(sqlite_run)


# ------------------------------------------------------------------- clocks


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the wall clock forward or back."""
    clock = time.time
    monkeypatch.setattr("time.time", lambda: clock() + seconds)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_holder_keeps_its_lease_when_clocks_jump(
    store: Store, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = open_store(store.url)
    assert store.hold_lease("dispatcher", "a", patience=0.2)
    assert not rival.hold_lease("dispatcher", "b", patience=0.2)
    set_clock(monkeypatch, jump)
    for _ in range(4):
        time.sleep(0.1)
        assert store.hold_lease("dispatcher", "a", patience=0.2)
        assert not rival.hold_lease("dispatcher", "b", patience=0.2)
    rival.close()


def test_a_silent_holder_loses_its_lease_when_the_clock_is_set_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = open_store(store.url)
    assert store.hold_lease("dispatcher", "a", patience=0.1)
    set_clock(monkeypatch, -86_400)
    assert not rival.hold_lease("dispatcher", "b", patience=0.1)
    time.sleep(0.15)
    assert rival.hold_lease("dispatcher", "b", patience=0.1)
    lease = rival.lease("dispatcher")
    assert lease is not None
    assert lease[0] == "b"
    rival.close()


def test_nothing_is_purged_early_when_the_clock_is_set_back(
    store: Store, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.delete_run(run_id)
    set_clock(monkeypatch, -86_400)
    assert store.purge(older_than=60) == []
    assert store.run(run_id).deleted_at is not None


# --------------------------------------------------------------- PostgreSQL


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Store]:
    """A store on a server."""
    opened = open_store(postgres_url)
    yield opened
    opened.close()


def test_a_restarted_server_is_waited_for(shared: Store, postgres_server: PostgresServer) -> None:
    run_id = shared.create_run(RunConfig())
    shared.write_reports(run_id, [report(1)], progress={})
    postgres_server.stop()
    starter = threading.Timer(0.5, postgres_server.start)
    starter.start()
    shared.write_reports(run_id, [report(2)], progress={"step": 2})
    starter.join()
    assert steps_of(shared, run_id) == [1, 2]


def test_a_server_that_is_gone_is_said_without_the_password(
    shared: Store, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "RECONNECT_SECONDS", 0.2)
    run_id = shared.create_run(RunConfig())
    postgres_server.stop()
    try:
        for use in (shared.runs, lambda: open_store(shared.url), lambda: shared.run(run_id)):
            with pytest.raises(StoreError, match=r"no server answers there\. Start it") as caught:
                use()
            assert PASSWORD not in str(caught.value)
            assert "staple" not in str(caught.value)
            assert "***" in str(caught.value)
    finally:
        postgres_server.start()
    assert shared.run(run_id).id == run_id


def test_a_connection_that_is_cut_in_a_transaction_writes_nothing_of_it(shared: Store) -> None:
    run_id = shared.create_run(RunConfig())

    def write_and_be_cut() -> None:
        with shared._writing(run_id) as inside:
            inside.exec_driver_sql("UPDATE runs SET step = 99")
            pid = inside.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with shared._reading() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
            inside.exec_driver_sql("SELECT 1")

    with pytest.raises(StoreError, match="the server was shut down or restarted"):
        write_and_be_cut()
    assert shared.run(run_id).step == 0
    shared.update_run(run_id, step=1)
    assert shared.run(run_id).step == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("lab:", "nobody:"), "the user name or password is wrong"),
        (("staple", "stapler"), "the user name or password is wrong"),
        (("/lab_", "/none_"), "there is no such database or user"),
        (("127.0.0.1", "no-such-host.invalid"), "there is no server of that name"),
    ],
)
def test_an_address_that_leads_nowhere_is_said(
    postgres_url: str, change: tuple[str, str], words: str
) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        open_store(postgres_url.replace(*change))
    assert "staple" not in str(caught.value)
    assert "VCR_LAB_STORE" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://lab:sec@ret@host:port/runs",
        "postgresql://lab:sec/ret@host:5432/runs",
        "nosuch://lab:secret@host/runs",
        "not an address: secret",
    ],
)
def test_an_address_that_cannot_be_read_is_not_repeated_with_its_password(url: str) -> None:
    with pytest.raises(StoreError, match="VCR_LAB_STORE") as caught:
        open_store(url)
    message = str(caught.value)
    assert not any(secret in message for secret in ("secret", "sec@ret", "sec/ret", "ret@host"))


def test_the_plain_address_of_a_server_finds_our_driver(postgres_url: str) -> None:
    store = open_store(postgres_url.replace("postgresql+psycopg", "postgresql"))
    assert store.runs() == []
    assert PASSWORD not in store.shown
    store.close()
