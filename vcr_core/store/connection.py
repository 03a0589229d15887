"""Connections and transactions, and database errors in words that a person can act on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, select
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from vcr_core.errors import StoreError, UnknownRunError
from vcr_core.store import schema

CURES = (
    ("not a database", "the file is not a database; it was left as it is. Choose another file"),
    ("malformed", "the file is damaged. Put a backup in its place"),
    ("readonly", "the file is read-only. Make it writable"),
    ("read-only", "the file is read-only. Make it writable"),
    ("unable to open", "the file cannot be opened (does its folder exist, may you write there?)"),
    ("is full", "the disk is full; what was stored before is kept. Free some space"),
    ("no space left", "the disk is full; what was stored before is kept. Free some space"),
    ("disk i/o", "the disk does not answer; what was stored before is kept. Look at the disk"),
    ("is locked", "another process has locked it for a long time. End that process"),
    ("password authentication", "the user name or password is wrong"),
    ("does not exist", "there is no such database or user"),
    ("too many clients", "the server has no free connection. Allow more, or close some"),
    ("resolve host", "there is no server of that name"),
    ("connection refused", "no server answers there. Start it"),
    ("accepting connections", "the server is starting. Try again in a moment"),
    ("is starting up", "the server is starting. Try again in a moment"),
    ("is shutting down", "the server was shut down or restarted. Try again"),
    ("terminating connection", "the server was shut down or restarted. Try again"),
    ("server closed the connection", "the server was shut down or restarted. Try again"),
    ("connection", "the server cannot be reached. Start it, or look at the network"),
)
LASTING = ("password authentication", "does not exist", "resolve host")
RECONNECT_SECONDS = 30.0
CHOOSE = "or choose another file with VCR_LAB_STORE or another folder with VCR_LAB_HOME"


class Connected:
    """What every part of the store needs: an engine, and transactions on it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held = threading.local()
        self.url = engine.url.render_as_string(hide_password=False)
        self.shown = shown(engine.url)

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _connect(self) -> Connection:
        """A connection; where a server is being restarted, wait for it for a while."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                return self._engine.connect()
            except OperationalError as error:
                lasting = any(sign in str(error.orig).lower() for sign in LASTING)
                if self._engine.dialect.name == "sqlite" or lasting or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    @contextmanager
    def one_connection(self) -> Iterator[None]:
        """All that this thread reads inside is read over one connection.

        For readers that ask much and often: threads that ask for a connection at the same time wait
        for each other, each time.

        Raises:
            StoreError: the database does not answer.
        """
        with translated(self._engine.url), self._connect() as connection:
            self._held.connection = connection
            try:
                yield
            finally:
                del self._held.connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection to read with.

        Raises:
            StoreError: the database does not answer.
        """
        held = getattr(self._held, "connection", None)
        with translated(self._engine.url):
            if held is not None:
                yield held
                return
            with self._connect() as connection:
                yield connection

    @contextmanager
    def _writing(self, run_id: str | None = None) -> Iterator[Connection]:
        """A transaction that is written as a whole or not at all; other writers wait.

        With ``run_id``, the run's row is locked until the end, so that its rows get their ids in
        the order in which readers see them.

        Raises:
            UnknownRunError: the store holds no run ``run_id``.
            StoreError: the database does not answer, or cannot be written.
        """
        with translated(self._engine.url), self._connect() as connection, connection.begin():
            begin_write(connection)
            if run_id is not None:
                lock_run(connection, run_id)
            yield connection


def begin_write(connection: Connection) -> None:
    """Take SQLite's write lock at once: a transaction that reads first could not wait for it."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def lock_run(connection: Connection, run_id: str) -> None:
    """Keep other writers of a run out until this transaction ends.

    Raises:
        UnknownRunError: the store holds no such run.
    """
    found = connection.scalar(
        select(schema.runs.c.id).where(schema.runs.c.id == run_id).with_for_update(key_share=True)
    )
    if found is None:
        raise unknown_run(run_id)


def unknown_run(run_id: str) -> UnknownRunError:
    """The error for a run that is not there."""
    return UnknownRunError(
        f"expected the id of a run in this store, got '{run_id}': `vcr-lab ls` and the runs page "
        "list those there are"
    )


@contextmanager
def translated(address: URL) -> Iterator[None]:
    """Errors of the database as :class:`StoreError`, without its password."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeoutError) as error:
        raise StoreError(why_unusable(address, error)) from error


def shown(address: URL) -> str:
    """An address for people: a SQLite file's path, or a URL without its password."""
    if address.get_backend_name() == "sqlite" and address.database:
        return address.database
    hidden = address.difference_update_query(["password"])
    return hidden.render_as_string(hide_password=True)


def why_unusable(address: URL, error: Exception) -> str:
    """What is wrong with the store at an address, and what to do."""
    cause = str(getattr(error, "orig", None) or error)
    if address.password:
        cause = cause.replace(str(address.password), "***")
    folded = cause.lower()
    why = next((cure for sign, cure in CURES if sign in folded), " ".join(cause.split()))
    return f"cannot use the store at {shown(address)}: {why}, {CHOOSE}"
