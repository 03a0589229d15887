"""A full copy of a store as one SQLite file, made while runs write; the copy is a store itself."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert, select

from vcr_core.errors import StoreError
from vcr_core.store import schema
from vcr_core.store.connection import Connected, translated

ROWS_AT_A_TIME = 10_000


class Backups(Connected):
    """Copies of the whole store."""

    def backup(self, path: Path) -> int:
        """Copy everything to a new SQLite file, which opens as a store; returns its bytes.

        The copy is the store as it was at one moment. Runs go on writing meanwhile. The file
        appears under its name when it is complete.

        Raises:
            StoreError: there is a file already, or the copy cannot be written.
        """
        if path.exists():
            raise StoreError(f"expected a new file for the backup, but {path} is there: move it")
        if not path.parent.is_dir():
            raise StoreError(f"there is no folder {path.parent} for a backup: choose another place")
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            if self._engine.dialect.name == "sqlite":
                self._copy_file(partial)
            else:
                self._copy_rows(partial)
            if path.exists():
                raise StoreError(f"a file appeared at {path} during the backup: move it")
            partial.replace(path)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"cannot write the backup {path} ({error}): choose another place"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        return path.stat().st_size

    def _copy_file(self, target: Path) -> None:
        """SQLite's own backup, in one step: a snapshot beside which others write on."""
        with self._reading() as connection:
            source: Any = connection.connection.dbapi_connection
            copy = sqlite3.connect(target)
            try:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, no log beside it
            finally:
                copy.close()

    def _copy_rows(self, target: Path) -> None:
        """Row by row from one transaction that sees one moment."""
        engine = create_engine(f"sqlite:///{target}")
        try:
            with (
                self._reading() as reading,
                translated(engine.url),
                engine.begin() as writing,
            ):
                source = reading.execution_options(isolation_level="REPEATABLE READ")
                schema.metadata.create_all(writing)
                for table in schema.metadata.sorted_tables:
                    _copy_table(source, writing, table)
        finally:
            engine.dispose()


def _copy_table(source: Connection, target: Connection, table: Table) -> None:
    rows = source.execution_options(yield_per=ROWS_AT_A_TIME).execute(select(table))
    for part in rows.mappings().partitions():
        target.execute(insert(table), [dict(row) for row in part])
