"""Studies in the store: found by name, opened to be run, their runs."""

from __future__ import annotations

from typing import Any

from vcr_core.errors import StudyChangedError, UnknownStudyError
from vcr_core.store import Run, Store
from vcr_core.store import Study as StudyRow
from vcr_core.sweeps.records import Kind, read_trials
from vcr_core.sweeps.spec import Study, changed_fields

RUNNING, FINISHED = "running", "finished"
ALL_RUNS = 1_000_000
LEASE_PATIENCE_SECONDS = 5.0


def lease_name(name: str) -> str:
    """The lease that the one process holds which carries a study out."""
    return f"sweep:{name}"


def find_study(store: Store, name: str) -> StudyRow:
    """The study of that name (or id).

    Raises:
        UnknownStudyError: the store holds none; the message lists those there are.
    """
    rows = store.studies()
    for row in rows:
        if name in (row.name, row.id):
            return row
    known = ", ".join(row.name for row in rows[:8]) or "none yet"
    raise UnknownStudyError(f"expected the name of a study in this store ({known}), got '{name}'")


def stored_spec(store: Store, name: str) -> Study:
    """The specification that a study was started with.

    Raises:
        UnknownStudyError: the store holds no such study.
    """
    return Study.model_validate(find_study(store, name).spec)


def open_study(store: Store, study: Study) -> StudyRow:
    """The study's row: made where there is none, taken up again where there is one.

    Raises:
        StudyChangedError: a study of that name differs; the message says where, and the stored
            one is left as it is.
    """
    rows = [row for row in store.studies() if row.name == study.name]
    if not rows:
        return store.study(store.create_study(study.name, study.model_dump(mode="json")))
    stored = Study.model_validate(rows[0].spec)
    changed = changed_fields(stored, study)
    if changed:
        raise StudyChangedError(
            f"a study '{study.name}' is in this store and differs in {', '.join(changed)}: "
            f"choose another name, or go on with it as it is by --resume {study.name}"
        )
    return rows[0]


def runs_of(store: Store, study_id: str) -> list[Run]:
    """Every run of a study, oldest first; also those that were deleted since."""
    runs = store.runs(study_id=study_id, include_deleted=True, limit=ALL_RUNS)
    return runs[::-1]


def overviews(store: Store) -> list[dict[str, Any]]:
    """What a list shows of every study, newest first.

    Its state is ``running`` while a process carries it out, ``interrupted`` where that process is
    gone, or ``finished``.
    """
    return [_overview(store, row) for row in store.studies()]


def _overview(store: Store, row: StudyRow) -> dict[str, Any]:
    study = Study.model_validate(row.spec)
    trials = [trial for trial in read_trials(row.result) if trial.kind is Kind.SETTING]
    lease = store.lease(lease_name(row.name))
    alive = lease is not None and lease[1] < LEASE_PATIENCE_SECONDS
    return {
        "name": row.name,
        "id": row.id,
        "preset": study.preset,
        "vary": list(study.vary),
        "sampler": study.sampler,
        "settings": study.number_of_trials,
        "settings_over": sum(trial.state.is_over for trial in trials),
        "seeds": len(study.seeds),
        "state": row.state if row.state == FINISHED or alive else "interrupted",
        "created_at": row.created_at,
    }
