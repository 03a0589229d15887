"""What all pages share: the store, a living dispatcher, and the run that the link names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from threading import Lock

import streamlit as st

from vcr_core import paths
from vcr_core.errors import UnknownRunError
from vcr_core.execution import ensure_dispatcher
from vcr_core.store import Role, Run, RunState, Store, open_store

RUN_PARAMETER = "run"
LAST_RUN = "last run"
_opening = Lock()  # of many that ask first at once, one opens it


def lab_store() -> Store:
    """This server's connection to the store."""
    url = paths.store_url()
    with _opening:
        return _opened(url)


@cache
def _opened(url: str) -> Store:
    return open_store(url)


def open_lab() -> None:
    """See that a dispatcher keeps two workers warm while somebody looks at the page."""
    ensure_dispatcher(lab_store())


@dataclass(frozen=True)
class Watched:
    """The run that a page shows, with its twin where it has one."""

    runs: tuple[Run, ...]

    @property
    def is_pair(self) -> bool:
        return len(self.runs) == 2

    @property
    def baseline(self) -> Run | None:
        return next((run for run in self.runs if run.role is Role.BASELINE), None)

    @property
    def main(self) -> Run:
        """The run whose weights the knobs turn: the regularised one of a pair."""
        return next((run for run in self.runs if run.role is not Role.BASELINE), self.runs[0])

    @property
    def active(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if not run.state.is_over)

    @property
    def is_over(self) -> bool:
        return not self.active

    @property
    def is_deleted(self) -> bool:
        return any(run.deleted_at is not None for run in self.runs)

    @property
    def is_paused(self) -> bool:
        return bool(self.active) and all(run.state is RunState.PAUSED for run in self.active)


def watched() -> Watched | None:
    """The run that the link names, else the one this visitor watched last, with its twin.

    Raises:
        UnknownRunError: the link names a run that the store does not hold.
    """
    run_id = st.query_params.get(RUN_PARAMETER) or st.session_state.get(LAST_RUN)
    if not run_id:
        return None
    found = find_watched(lab_store(), run_id)
    watch(run_id)
    return found


def find_watched(store: Store, run_id: str) -> Watched:
    """A run and its twin, baseline first.

    Raises:
        UnknownRunError: the store does not hold it.
    """
    return Watched(tuple(store.with_twin(run_id.replace("\x00", ""))))  # PostgreSQL refuses those


def watch(run_id: str) -> None:
    """Show this run: its id goes into the link, so reloading finds it again."""
    st.query_params[RUN_PARAMETER] = run_id
    st.session_state[LAST_RUN] = run_id


__all__ = [
    "RUN_PARAMETER",
    "UnknownRunError",
    "Watched",
    "find_watched",
    "lab_store",
    "open_lab",
    "watch",
    "watched",
]
