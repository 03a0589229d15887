"""The part of the store that knows leases: who may act where only one may."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, select, update

from vcr_core.store import schema
from vcr_core.store.connection import Connected
from vcr_core.store.watch import SilenceWatch

_leases = schema.leases


class LeaseRows(Connected):
    """Rows of the table ``leases``."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._watch = SilenceWatch()

    def hold_lease(
        self, name: str, holder: str, *, patience: float, detail: Mapping[str, Any] | None = None
    ) -> bool:
        """Take or renew a lease; False where another holder has it and is not known to be silent.

        A holder is silent once this store object has watched it for ``patience`` seconds without
        a beat, by its own clock that only goes forward: so who wants a lease asks repeatedly.
        """
        values = {"holder": holder, "heartbeat_at": time.time(), "detail": dict(detail or {})}
        with self._writing() as connection:
            row = connection.execute(
                select(_leases).where(_leases.c.name == name).with_for_update()
            ).one_or_none()
            if row is None:
                connection.execute(_leases.insert().values(name=name, **values))
                return True
            if row.holder != holder:
                silence = self._watch.silence(name, (row.holder, row.heartbeat_at))
                if silence <= patience:
                    return False
            connection.execute(update(_leases).where(_leases.c.name == name).values(**values))
        self._watch.forget(name)
        return True

    def lease(self, name: str) -> tuple[str, float, Mapping[str, Any]] | None:
        """Who holds a lease: (holder, seconds since the last beat, detail).

        The seconds are by the wall clock, an estimate: a beat in the future counts as long ago.
        """
        with self._reading() as connection:
            row = connection.execute(select(_leases).where(_leases.c.name == name)).one_or_none()
        if row is None:
            return None
        return row.holder, abs(time.time() - row.heartbeat_at), row.detail or {}

    def release_lease(self, name: str, holder: str) -> None:
        """Give a lease back, if it is still ours."""
        with self._writing() as connection:
            connection.execute(
                _leases.delete().where(_leases.c.name == name, _leases.c.holder == holder)
            )
