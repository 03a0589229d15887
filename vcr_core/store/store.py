"""Every run, number, matrix and command, in one SQLite file or a PostgreSQL database.

A store is opened with :func:`open_store`. It is safe to use from several threads and processes:
SQLite runs in WAL mode, so readers never wait for the writer. Readers of a live run remember the
last ``id`` they saw (the cursor) and ask for what came after it.
"""

from __future__ import annotations

from functools import cached_property

from vcr_core import paths
from vcr_core.store.backup import Backups
from vcr_core.store.commands import CommandRows
from vcr_core.store.leases import LeaseRows
from vcr_core.store.listing import ListingRows
from vcr_core.store.numbers import NumberRows
from vcr_core.store.opening import identity, open_engine
from vcr_core.store.positions import PositionRows
from vcr_core.store.runs import RunRows
from vcr_core.store.studies import StudyRows


class Store(
    RunRows,
    ListingRows,
    NumberRows,
    CommandRows,
    PositionRows,
    StudyRows,
    LeaseRows,
    Backups,
):
    """Reads and writes runs. Made by :func:`open_store`.

    ``url`` opens it again and may hold a password; ``shown`` is the address for people.
    """

    @cached_property
    def identity(self) -> str:
        """A name that this store got when it was made and no other store has."""
        return identity(self._engine)


def open_store(url: str | None = None) -> Store:
    """Open the store at ``url`` (default: this user's), creating it where there is none.

    Raises:
        StoreError: the address is none, or what is there is not a VCR Lab store, is of a newer
            version, or cannot be read and written.
    """
    return Store(open_engine(url or paths.store_url()))
