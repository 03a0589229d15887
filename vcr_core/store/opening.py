"""Open a store: make the engine, create or migrate the tables, refuse what is not ours."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from vcr_core.errors import StoreError
from vcr_core.store import schema
from vcr_core.store.connection import begin_write, shown, translated
from vcr_core.store.migration import migrate

BUSY_MILLISECONDS = 10_000
AGAIN_SECONDS = 0.01
CONNECT_SECONDS = 10
EXAMPLES = "sqlite:////folder/runs.sqlite or postgresql://user:password@host/database"
CREATION_LOCK = 7_282_713  # any number that all of us agree on


def open_engine(url: str) -> Engine:
    """A ready engine for the store at ``url``, which is created where there is none.

    Raises:
        StoreError: the address is none, or what is there is not a VCR Lab store, is of a newer
            version, or cannot be read and written.
    """
    address = parse_address(url)
    engine = _make_engine(address)
    guard = StoreFile.of(address)
    if guard is not None:
        guard.listen(engine)
    try:
        with translated(address):
            _prepare(engine)
    except StoreError:
        engine.dispose()
        raise
    if guard is not None:
        guard.must_exist = True
    return engine


def parse_address(url: str) -> URL:
    """``url`` with the driver that we use.

    Raises:
        StoreError: it is no address of a database.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # its words would show the password
        raise StoreError(
            f"expected the address of a database, for example {EXAMPLES}, got one that cannot be "
            "read: mend VCR_LAB_STORE (in a password, write @ as %40 and / as %2F)"
        ) from None
    if address.drivername in {"postgresql", "postgres"}:
        address = address.set(drivername="postgresql+psycopg")
    return address


def _make_engine(address: URL) -> Engine:
    options: dict[str, Any] = {"json_serializer": dump_json}
    if address.get_backend_name() == "postgresql":
        options["pool_pre_ping"] = True  # a restarted server is found when it is asked next
        options["connect_args"] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": schema.APPLICATION,
            "keepalives_idle": 30,
        }
    try:
        return create_engine(address, **options)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        cure = f"expected an address such as {EXAMPLES}: mend VCR_LAB_STORE"
        if address.get_backend_name() == "postgresql":
            cure = 'install its driver with `pip install "vcr-lab[postgres]"`'
        raise StoreError(f"cannot use the store at {shown(address)} ({error}): {cure}") from error


class StoreFile:
    """Watches the file of a SQLite store, which may be taken away while we have it open.

    A connection goes on writing into a file that was deleted, and a new one would create an empty
    store in its place: both would lose runs silently.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.must_exist = False

    @classmethod
    def of(cls, address: URL) -> StoreFile | None:
        """The file of a SQLite address, if it is one that we may create."""
        if address.get_backend_name() != "sqlite":
            return None
        name = address.database or ""
        return None if name in {"", ":memory:"} or name.startswith("file:") else cls(Path(name))

    def listen(self, engine: Engine) -> None:
        """Look at the file whenever a connection is made or taken from the pool."""
        event.listen(engine, "do_connect", self._before_connect)
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "checkout", self._taken)

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"cannot use the store at {self.path} ({error.strerror}): look at the disk"
            ) from error
        return found.st_dev, found.st_ino

    def _before_connect(self, *_: object) -> None:
        if self._identity() is not None:
            return
        if self.must_exist:
            raise self._gone()
        log = Path(f"{self.path}-wal")
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"the store at {self.path} is gone, but its write-ahead log {log.name} is there "
                "and holds runs: put the store back beside it, or move both away"
            )

    def _connected(self, connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()
        record.info["file"] = self._identity()

    def _taken(self, _connection: Any, record: Any, _proxy: Any) -> None:
        found = self._identity()
        if found is None:
            raise self._gone()
        if found != record.info["file"]:
            raise StoreError(
                f"the store at {self.path} was replaced by another file while in use: end every "
                "VCR Lab process of this store, then start again"
            )

    def _gone(self) -> StoreError:
        return StoreError(
            f"the store at {self.path} was there before and is gone: put the file back, or end "
            "every VCR Lab process of this store to start with an empty one"
        )


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Readers and a writer at once. While another connection writes to a file that has not changed
    over yet, SQLite refuses at once, whatever its ``busy_timeout``: it is asked again."""
    deadline = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "is locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(AGAIN_SECONDS)
        else:
            return


def dump_json(value: Any) -> str:
    """JSON that every database takes: numbers that are not finite become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _prepare(engine: Engine) -> None:
    """See whose database it is; create the tables, or bring them up to date."""
    where = shown(engine.url)
    if _is_current(engine):
        return
    with engine.begin() as connection:
        begin_write(connection)  # two processes that both create it: one waits
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CREATION_LOCK})")
        tables = set(inspect(connection).get_table_names())
        if tables and schema.about.name not in tables:
            raise StoreError(
                f"expected a VCR Lab store at {where}, found a database with other tables "
                f"({', '.join(sorted(tables)[:5])}): choose another file with VCR_LAB_STORE or "
                "another folder with VCR_LAB_HOME"
            )
        if not tables:
            schema.metadata.create_all(connection)
            _describe(connection, version=schema.SCHEMA_VERSION)
        found = _about(connection)
        _check_version(found, where)
        _describe(connection, version=int(found["version"]))
        # A write that changes nothing: a read-only store is found now, not when a run is lost.
        migrate(connection, int(found["version"]))


def _is_current(engine: Engine) -> bool:
    """Whether there is nothing to create or migrate, and the store can be written."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(schema.about.name):
            return False
        found = _about(connection)
    current = found.get("version") == str(schema.SCHEMA_VERSION) and "store" in found
    if not current or found.get("application") != schema.APPLICATION:
        return False
    if engine.dialect.name == "sqlite" and engine.url.database:
        return os.access(engine.url.database, os.W_OK)
    return True


def _about(connection: Connection) -> dict[str, str]:
    return {row.key: row.value for row in connection.execute(select(schema.about))}


def _describe(connection: Connection, *, version: int) -> None:
    """Write whose tables these are, their version, and a name of the store that nobody else has."""
    rows = {"application": schema.APPLICATION, "version": str(version), "store": uuid.uuid4().hex}
    for key in rows.keys() - _about(connection).keys():
        connection.execute(schema.about.insert().values(key=key, value=rows[key]))


def _check_version(found: Mapping[str, str], where: str) -> None:
    if found.get("application") != schema.APPLICATION:
        raise StoreError(
            f"expected a VCR Lab store at {where}, found one of "
            f"'{found.get('application')}': choose another file with VCR_LAB_STORE"
        )
    version = found.get("version", "")
    if not version.isdigit():
        raise StoreError(f"the store at {where} has no version: put a backup in its place")
    if int(version) > schema.SCHEMA_VERSION:
        raise StoreError(
            f"the store at {where} has version {version}, this VCR Lab reads up to "
            f"{schema.SCHEMA_VERSION}: update VCR Lab, or choose another file with VCR_LAB_STORE"
        )


def identity(engine: Engine) -> str:
    """The name that this store got when it was made."""
    with engine.connect() as connection:
        name = connection.scalar(select(schema.about.c.value).where(schema.about.c.key == "store"))
    return str(name)
