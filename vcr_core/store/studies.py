"""The part of the store that knows studies: searches over runs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, select, update

from vcr_core.errors import UnknownStudyError
from vcr_core.store import schema
from vcr_core.store.connection import Connected
from vcr_core.store.records import Study
from vcr_core.store.runs import clean

_studies = schema.studies


class StudyRows(Connected):
    """Rows of the table ``studies``. The runs of a study name it in their ``study_id``."""

    def create_study(self, name: str, spec: Mapping[str, Any], *, state: str = "running") -> str:
        """Write down a search and return its id."""
        study_id = uuid.uuid4().hex[:12]
        with self._writing() as connection:
            connection.execute(
                _studies.insert().values(
                    id=study_id, name=name, spec=dict(spec), state=state, created_at=time.time()
                )
            )
        return study_id

    def study(self, study_id: str) -> Study:
        """One study by its id.

        Raises:
            UnknownStudyError: the store holds no such study.
        """
        with self._reading() as connection:
            row = connection.execute(
                select(_studies).where(_studies.c.id == study_id)
            ).one_or_none()
        if row is None:
            raise UnknownStudyError(f"expected the id of a study in this store, got '{study_id}'")
        return _study(row)

    def studies(self) -> list[Study]:
        """All studies, newest first."""
        query = select(_studies).order_by(_studies.c.created_at.desc(), _studies.c.id)
        with self._reading() as connection:
            return [_study(row) for row in connection.execute(query)]

    def update_study(self, study_id: str, **changes: Any) -> None:
        """Set columns of a study's row.

        Raises:
            UnknownStudyError: the store holds no such study.
        """
        with self._writing() as connection:
            found = connection.execute(
                update(_studies).where(_studies.c.id == study_id).values(**clean(changes))
            )
        if found.rowcount != 1:
            raise UnknownStudyError(f"expected the id of a study in this store, got '{study_id}'")


def _study(row: Row[Any]) -> Study:
    return Study(row.id, row.name, row.spec, row.state, row.created_at, row.result or {})
