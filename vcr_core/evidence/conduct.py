"""Carry a study of evidence out: queue its runs, write each finished one down, go on after a stop.

Runs go through the store's queue and workers like everyone's. The result file is the truth: what
stands in it is not run again, on whatever machine. Runs that a stopped process left in the store
are taken up by their configuration.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vcr_core.errors import ResultFileError
from vcr_core.evidence.design import Arm, Job, Setting, Study
from vcr_core.evidence.rows import ResultFile, Row, make_row
from vcr_core.execution import ensure_dispatcher, slots, submit
from vcr_core.machines import differing
from vcr_core.store import Run, RunState, Store
from vcr_core.sweeps import hold_study

POLL_SECONDS = 0.05
BEAT_SECONDS = 1.0
OWNER = "evidence"
MANY = 100_000


@dataclass(frozen=True)
class Progress:
    """How far a study is, in runs, and which one finished last."""

    done: int
    total: int
    last: str = ""


Watch = Callable[[Progress], None]


def winner(results: ResultFile, setting: Setting, arm: Arm) -> int | None:
    """The candidate with the highest mean transfer accuracy on the tuning seeds; the first of
    equals. None while some tuning run is missing."""
    jobs = results.tuning(setting, arm)
    scores = dict.fromkeys(range(len(arm.candidates)), 0.0)
    for job, digest in jobs:
        row = results.rows.get(digest)
        if row is None:
            return None
        scores[job.candidate] += -1.0 if row.error else row.mean_transfer
    return max(scores, key=lambda candidate: (scores[candidate], -candidate))


def wanted_jobs(results: ResultFile, setting: Setting, arm: Arm) -> list[tuple[Job, str]]:
    """All runs of an arm that can be named now, with digests: final ones once it is tuned."""
    chosen = winner(results, setting, arm)
    final = [] if chosen is None else results.final(setting, arm, chosen)
    return [*results.tuning(setting, arm), *final]


def missing_jobs(results: ResultFile) -> dict[str, Job]:
    """The runs that can be started now, by digest, in the order of the study."""
    return {
        digest: job
        for setting, arm in results.study.arms()
        for job, digest in wanted_jobs(results, setting, arm)
        if digest not in results.rows
    }


def total_jobs(study: Study) -> int:
    """How many runs a study takes; one that two arms share counts for both."""
    return sum(
        (len(arm.candidates) * len(study.tuning_seeds) if len(arm.candidates) > 1 else 0)
        + len(study.seeds)
        for _, arm in study.arms()
    )


def done_jobs(results: ResultFile) -> int:
    """How many of them are finished."""
    return sum(
        digest in results.rows
        for setting, arm in results.study.arms()
        for _, digest in wanted_jobs(results, setting, arm)
    )


def carry_out(
    results: ResultFile, store: Store, *, parallel: int | None = None, watch: Watch | None = None
) -> None:
    """Run all that is missing; blocks. Ctrl-C leaves it to be gone on with by calling it again.

    Raises:
        StudyBusyError: another process is carrying the study out in this store.
    """
    with hold_study(store, f"{OWNER}/{results.study.name}") as beat:
        Conductor(results, store, parallel or slots(), beat).run(watch)


class Conductor:
    """One process's hold on a study. Use :func:`carry_out`."""

    def __init__(
        self, results: ResultFile, store: Store, parallel: int, beat: Callable[[], None]
    ) -> None:
        self._results, self._store, self._parallel, self._beat = results, store, parallel, beat
        self._in_flight: dict[str, tuple[Job, str]] = {}
        self._left = {
            results.digest(run.config): run
            for run in reversed(store.runs(owner=OWNER, limit=MANY))
            if run.state in (RunState.FINISHED, RunState.QUEUED) or not run.state.is_over
        }
        self._next_beat = 0.0

    def run(self, watch: Watch | None) -> None:
        """Rounds until nothing is missing."""
        last, total = "", total_jobs(self._results.study)
        while True:
            self._keep_alive()
            ended = self._collect()
            last = ended[-1].label if ended else last
            started = self._start()
            if watch is not None and (ended or started):
                watch(Progress(done_jobs(self._results), total, last))
            if not self._in_flight:
                return
            time.sleep(POLL_SECONDS)

    def _keep_alive(self) -> None:
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + BEAT_SECONDS
            self._beat()
            ensure_dispatcher(self._store)

    def _collect(self) -> list[Job]:
        """Write down what has finished since the last look."""
        ended = []
        for digest, (job, run_id) in list(self._in_flight.items()):
            run = self._store.run(run_id)
            if not run.state.is_over:
                continue
            del self._in_flight[digest]
            self._results.add(job, result_of(run), run.environment)
            ended.append(job)
        return ended

    def _start(self) -> list[Job]:
        """Queue runs until as many are in flight as there are places, and one waits beside."""
        started: list[Job] = []
        if len(self._in_flight) > self._parallel:
            return started
        for digest, job in missing_jobs(self._results).items():
            if digest in self._in_flight:
                continue
            self._in_flight[digest] = job, self._run_of(job, digest)
            started.append(job)
            if len(self._in_flight) > self._parallel:
                break
        return started

    def _run_of(self, job: Job, digest: str) -> str:
        """The run of that configuration that an earlier process queued, or a new one."""
        if digest in self._left:
            return self._left.pop(digest).id
        return submit(
            self._store,
            job.config,
            preset=f"{self._results.study.name} · {job.setting} · {job.arm}",
            owner=OWNER,
            auto_resume=True,
        )


def result_of(run: Run) -> dict[str, object]:
    """What a run that is over gave: its result, or the first line of why there is none."""
    if run.state is RunState.FINISHED:
        return dict(run.result)
    return {"error": (run.error or f"the run was {run.state.value}").splitlines()[0]}


def repeat(
    results: ResultFile, store: Store, row: Row
) -> tuple[Row, Mapping[str, tuple[Any, Any]]]:
    """Run one row's configuration anew; nothing is written to the file.

    Returns the new row, and what of the machine differs from the file's: name → (then, now).

    Raises:
        ResultFileError: the study has no such run.
    """
    job = next((job for job, digest in results.jobs.values() if digest == row.config), None)
    if job is None:
        raise ResultFileError(f"expected a run of '{results.study.name}', got {row.setting}")
    run_id = submit(store, job.config, preset=results.study.name, owner=f"{OWNER}-repeat")
    while not store.run(run_id).state.is_over:
        ensure_dispatcher(store)
        time.sleep(POLL_SECONDS)
    run = store.run(run_id)
    then = results.environments[row.environment]
    again = make_row(row.config, job, result_of(run), row.environment)
    return again, differing(then, run.environment)
