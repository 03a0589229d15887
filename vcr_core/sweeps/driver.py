"""Carry a study out: propose, queue runs, watch them in the store, prune, until all is tried.

The store is the only truth. Records of trials are written before their runs are queued, and a run
names its study and trial. So a driver that is killed at any point leaves nothing that the next one
does not find: it takes up the runs that are queued or in work, queues those that are missing, and
starts none a second time. A lease keeps two drivers from working on one study.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vcr_core.errors import ConfigError, LimitError, StudyBusyError
from vcr_core.execution import ensure_dispatcher, slots, submit
from vcr_core.execution.devices import machine
from vcr_core.execution.launch import holder_is_dead
from vcr_core.store import CommandKind, Run, RunState, Store
from vcr_core.sweeps.records import Kind, Trial, TrialState, read_trials, write_trials
from vcr_core.sweeps.results import source_accuracy, transfer_accuracy
from vcr_core.sweeps.rungs import climb, probe_values
from vcr_core.sweeps.search import Search
from vcr_core.sweeps.spec import Study
from vcr_core.sweeps.studies import (
    FINISHED,
    LEASE_PATIENCE_SECONDS,
    RUNNING,
    lease_name,
    open_study,
    runs_of,
)

POLL_SECONDS = 0.1
BEAT_SECONDS = 1.0
OWNER = "sweep"


@dataclass(frozen=True)
class Progress:
    """How far a study is. ``trials`` counts settings without baselines, ``runs`` all runs."""

    trials_over: int
    trials: int
    runs_over: int
    runs: int
    best: float | None


Watch = Callable[[Progress], None]


def run_study(study: Study, store: Store, *, watch: Watch | None = None) -> None:
    """Carry a study out, or go on with it where it was left.

    Blocks until all is tried; ``watch`` is called a few times a second. An exception on the way
    (Ctrl-C too) leaves queued runs queued: call it again to go on.

    Raises:
        StudyChangedError: the store holds a study of that name that differs.
        StudyBusyError: another process is carrying it out.
    """
    with hold_study(store, study.name) as beat:
        Driver(study, store, beat=beat).run(watch)


@contextmanager
def hold_study(store: Store, name: str) -> Iterator[Callable[[], None]]:
    """Keep all other processes off the study of that name; call what this gives every second.

    Raises:
        StudyBusyError: another process has it, or took it over after a long silence.
    """
    holder, lease = uuid.uuid4().hex[:12], lease_name(name)
    _take(store, lease, holder)

    def beat() -> None:
        if not store.hold_lease(lease, holder, patience=LEASE_PATIENCE_SECONDS):
            raise StudyBusyError(
                f"this process was silent for too long, and another one carries out the study "
                f"'{name}' now"
            )

    try:
        yield beat
    finally:
        store.release_lease(lease, holder)


def _take(store: Store, lease: str, holder: str) -> None:
    """Wait for the lease as long as a process that died could still seem alive."""
    deadline = time.monotonic() + 2 * LEASE_PATIENCE_SECONDS
    while not _hold(store, lease, holder):
        found = store.lease(lease)
        if found is not None and holder_is_dead(found[2]):
            store.release_lease(lease, found[0])
            continue
        if time.monotonic() > deadline:
            raise StudyBusyError(
                f"another process is carrying out the study '{lease.partition(':')[2]}': watch it "
                "with vcr-lab sweeps, or end that process first"
            )
        time.sleep(POLL_SECONDS)


def _hold(store: Store, lease: str, holder: str) -> bool:
    detail = {"machine": machine(), "pid": os.getpid()}
    return store.hold_lease(lease, holder, patience=LEASE_PATIENCE_SECONDS, detail=detail)


class Driver:
    """One process's hold on a study. Use :func:`run_study`."""

    def __init__(self, study: Study, store: Store, *, beat: Callable[[], None]) -> None:
        row = open_study(store, study)
        self._study, self._store, self._study_id = study, store, row.id
        self._hold_on, self._next_beat = beat, 0.0
        self._trials = read_trials(row.result)
        self._search = Search(study, self._trials)
        self._runs: dict[tuple[int, int], Run] = {}
        for run in runs_of(store, row.id):
            if run.trial is not None:
                self._runs.setdefault((run.trial, run.config_tree["seed"]), run)
        self._parallel = study.parallel or slots()

    def run(self, watch: Watch | None) -> None:
        """Rounds until every trial is over."""
        self._store.update_study(self._study_id, state=RUNNING)
        while True:
            self._beat()
            self._read_runs()
            self._judge()
            self._queue_runs()
            if watch is not None:
                watch(self.progress())
            if self._is_done():
                break
            time.sleep(POLL_SECONDS)
        self._store.update_study(self._study_id, state=FINISHED)

    def progress(self) -> Progress:
        """How far the study is."""
        settings = [trial for trial in self._trials if trial.kind is Kind.SETTING]
        own = [trial for trial in self._trials if trial.same_as is None]
        coming = self._study.number_of_trials - len(settings)
        scores = [trial.values[-1] for trial in self._trials if trial.values]
        return Progress(
            trials_over=sum(trial.state.is_over for trial in settings),
            trials=self._study.number_of_trials,
            runs_over=sum(run.state.is_over for run in self._runs.values()),
            runs=(len(own) + coming) * len(self._study.seeds),
            best=max(scores, default=None),
        )

    def _beat(self) -> None:
        """Keep the lease, and a dispatcher."""
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + BEAT_SECONDS
        self._hold_on()
        ensure_dispatcher(self._store)

    def _is_done(self) -> bool:
        settings = sum(trial.kind is Kind.SETTING for trial in self._trials)
        everything = settings >= self._study.number_of_trials
        over = all(trial.state.is_over for trial in self._trials)
        return everything and over and not self._in_flight()

    def _in_flight(self) -> list[tuple[int, int]]:
        return [key for key, run in self._runs.items() if not run.state.is_over]

    def _read_runs(self) -> None:
        for key in self._in_flight():
            self._runs[key] = self._store.run(self._runs[key].id)

    # ------------------------------------------------------------------ trials that end

    def _judge(self) -> None:
        """Find out which trials are over, and end those that are not worth going on with."""
        changed = [self._settle(trial) for trial in self._trials if not trial.state.is_over]
        if any(changed):
            self._save()
        for trial in self._trials:
            if trial.state is TrialState.PRUNED:
                self._stop_runs(trial)

    def _settle(self, trial: Trial) -> bool:
        """Whether a trial's record changed: it is over, or has climbed some rungs."""
        if trial.same_as is not None:
            return self._follow(trial, self._trials[trial.same_as])
        runs = self._runs_of(trial)
        before = len(trial.reports)
        if self._study.pruner != "none":
            self._report(trial, runs)
        if len(runs) == len(self._study.seeds) and all(r.state.is_over for r in runs.values()):
            self._close(trial, runs)
        elif trial.kind is Kind.SETTING and self._search.should_prune(trial):
            trial.state = TrialState.PRUNED
            rung, value = trial.reports[-1]
            trial.why = f"pruned at rung {rung} with {value:.3f}"
        else:
            return len(trial.reports) > before
        if trial.kind is Kind.SETTING:
            self._search.ended(trial)
        return True

    def _follow(self, trial: Trial, first: Trial) -> bool:
        """End a trial as the earlier one ended that it equals."""
        if not first.state.is_over:
            return False
        trial.state, trial.why = first.state, first.why
        trial.values, trial.reports = first.values, first.reports
        self._search.ended(trial)
        return True

    def _runs_of(self, trial: Trial) -> dict[int, Run]:
        """A trial's runs by seed."""
        keys = [(trial.number, seed) for seed in self._study.seeds]
        return {key[1]: self._runs[key] for key in keys if key in self._runs}

    def _report(self, trial: Trial, runs: Mapping[int, Run]) -> None:
        """Add the rungs reached since the last look."""
        targets = self._study.targets_of(self._study.config(trial.params, self._study.seeds[0]))
        names = [f"transfer/{target}" for target in targets]
        probes = {
            seed: probe_values(self._store.metrics(run.id, names=names), targets)
            for seed, run in runs.items()
            if run.step or run.state.is_over
        }
        finals = {
            seed: transfer_accuracy(self._study, run)
            for seed, run in runs.items()
            if run.state is RunState.FINISHED
        }
        rungs = climb(
            self._study.seeds, finals, probes, probes_per_run=self._study.base.transfer.probes + 1
        )
        trial.reports = [*trial.reports, *rungs[len(trial.reports) :]]

    def _close(self, trial: Trial, runs: Mapping[int, Run]) -> None:
        """All runs of a trial are over: its objectives, or why it has none."""
        lost = [run for run in runs.values() if run.state is not RunState.FINISHED]
        if lost:
            trial.state = TrialState.FAILED
            why = (lost[0].error or "it was stopped").splitlines()[0]
            trial.why = f"run {lost[0].id} {lost[0].state}: {why}"
            return
        count = len(runs)
        transfer = sum(transfer_accuracy(self._study, run) for run in runs.values()) / count
        source = sum(map(source_accuracy, runs.values())) / count
        trial.values = [source, transfer] if self._study.sampler == "nsga2" else [transfer]
        trial.state = TrialState.COMPLETE

    def _stop_runs(self, trial: Trial) -> None:
        """Ask what still runs of a pruned trial to stop and keep its results."""
        for run in self._runs_of(trial).values():
            if run.state.is_over:
                continue
            if run.state is RunState.QUEUED and self._store.move_run(
                run.id,
                before=RunState.QUEUED,
                after=RunState.STOPPED,
                finished_at=time.time(),
            ):
                continue
            self._store.add_command(run.id, CommandKind.STOP, token=f"pruned-{trial.number}")

    # ------------------------------------------------------------------ runs that begin

    def _queue_runs(self) -> None:
        """Keep as many runs queued or in work as the study wants at a time."""
        while len(self._in_flight()) < self._parallel:
            wanted = self._missing_run()
            if wanted is None:
                if not self._next_trial():
                    return
                continue
            try:
                self._submit(*wanted)
            except LimitError:  # too many of ours wait already: there will be room
                return

    def _submit(self, trial: Trial, seed: int) -> None:
        """Queue one run. A trial that this server's limits forbid has failed."""
        try:
            run_id = submit(
                self._store,
                self._study.config(trial.params, seed),
                preset=self._study.preset,
                owner=OWNER,
                study_id=self._study_id,
                trial=trial.number,
                auto_resume=True,
            )
        except ConfigError as error:
            trial.state, trial.why = TrialState.FAILED, str(error)
            if trial.kind is Kind.SETTING:
                self._search.ended(trial)
            self._save()
            return
        self._runs[trial.number, seed] = self._store.run(run_id)

    def _missing_run(self) -> tuple[Trial, int] | None:
        """The first run of a trial in work that was never queued."""
        for trial in self._trials:
            if trial.state.is_over or trial.same_as is not None:
                continue
            for seed in self._study.seeds:
                if (trial.number, seed) not in self._runs:
                    return trial, seed
        return None

    def _next_trial(self) -> bool:
        """Write down the next setting, its baseline before it; whether there was one."""
        params = self._search.propose()
        if params is None:
            return False
        known = {self._study.key(trial.params): trial.number for trial in reversed(self._trials)}
        try:
            key = self._study.key(params)
            twin = self._study.baseline_params(params)
            if twin is not None and self._study.key(twin) not in known:
                self._add(Kind.BASELINE, twin)
            trial = self._add(Kind.SETTING, params, same_as=known.get(key))
        except ConfigError as error:
            trial = self._add(Kind.SETTING, params)
            trial.state, trial.why = TrialState.FAILED, str(error)
        self._search.started(trial)
        if trial.state.is_over:
            self._search.ended(trial)
        self._save()
        return True

    def _add(self, kind: Kind, params: Mapping[str, Any], *, same_as: int | None = None) -> Trial:
        trial = Trial(len(self._trials), kind, dict(params), same_as=same_as)
        self._trials.append(trial)
        return trial

    def _save(self) -> None:
        self._store.update_study(self._study_id, result=write_trials(self._trials))
