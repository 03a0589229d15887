"""Whom a live view shows: one run, or a pair of twins."""

from __future__ import annotations

from dataclasses import dataclass

from vcr_core.store import Role, Run, RunState, Store


@dataclass(frozen=True)
class Watched:
    """The run that is watched, with its twin where it has one."""

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


def find_watched(store: Store, run_id: str) -> Watched:
    """A run and its twin, baseline first.

    Raises:
        UnknownRunError: the store does not hold it.
    """
    return Watched(tuple(store.with_twin(run_id.replace("\x00", ""))))  # PostgreSQL refuses those
