"""kill -9, again and again, at random moments: nothing may be lost, stuck or done twice.

    python benchmarks/soak.py [--rounds 200] [--seconds 1400] [--postgres] [--output FILE]

The app, two dispatchers (one serves, one waits) and their workers serve a store in which short
runs of one and the same configuration are queued without end. In every round one process, chosen
by chance, is killed at a random moment. The clocks of all processes differ by up to two hours, see
``soak_witness``. Checked, all along:

- the store opens, and holds every number that was ever seen in it;
- no run stands still for more than ten seconds while it should be at work;
- by the witness of the workers themselves, no run is ever in two hands at once;
- every run finishes, with exactly the numbers of an undisturbed run.

Writes one part a call into the result file, with sums over all parts. POSIX only (SIGKILL).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from presets import machine

from vcr_core.config import RunConfig, override
from vcr_core.execution import submit
from vcr_core.execution.launch import DISPATCHER_LEASE
from vcr_core.store import RunState, RunSummary, SilenceWatch, Store, open_store

ROOT = Path(__file__).parents[1]
DEFAULT_OUTPUT = ROOT / "docs" / "results" / "soak.json"
STUCK_SECONDS = 10.0
LONGEST_ROUND_SECONDS = 60.0
ALWAYS_WAITING = 3
LOOK_SECONDS = 0.1
BUSY = (RunState.STARTING, RunState.RUNNING, RunState.PAUSED, RunState.INTERRUPTED)
Numbers = dict[tuple[int, str], float | None]
CONFIG = override(
    RunConfig(),
    {
        "data.dataset": "digits",
        "data.source": "parity",
        "transfer.targets": ("digit",),
        "model.name": "mlp",
        "model.hidden": (64, 32),
        "training.epochs": 20,
        "transfer.probes": 2,
        "execution.device": "cpu",
        "execution.threads": 1,
    },
)


@dataclass
class Soak:
    """One store under attack."""

    store: Store
    home: Path
    chance: random.Random
    stuck_seconds: float = STUCK_SECONDS
    runs: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    deaths: dict[int, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    longest_standstill: float = 0.0

    def __post_init__(self) -> None:
        self.witness = self.home / "witness.txt"
        self.environment = {
            **os.environ,
            "VCR_LAB_HOME": str(self.home),
            "VCR_LAB_STORE": self.store.url,
            "SOAK_WITNESS": str(self.witness),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "soak_witness"), str(ROOT)]),
        }
        self._silence = SilenceWatch()
        self._reported: set[object] = set()
        self._seen: dict[str, int] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # ------------------------------------------------------------ the processes

    def keep_alive(self) -> None:
        """Start what is not running: the app, and two dispatchers."""
        commands = {
            "app": ["-m", "vcr_core", "app", "--port", str(free_port()), "--no-browser"],
            "first dispatcher": ["-m", "vcr_core", "dispatcher"],
            "second dispatcher": ["-m", "vcr_core", "dispatcher"],
        }
        for name, command in commands.items():
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                with (self.home / "soak.log").open("ab") as log:
                    self._processes[name] = subprocess.Popen(
                        [sys.executable, *command], env=self.environment, stdout=log, stderr=log
                    )

    def victims(self) -> dict[str, list[psutil.Process]]:
        """Every process that may be killed, by kind."""
        found: dict[str, list[psutil.Process]] = {"worker": [], "dispatcher": [], "app": []}
        for process in psutil.process_iter(["cmdline", "environ"]):
            words = " ".join(process.info["cmdline"] or ())
            mine = (process.info["environ"] or {}).get("SOAK_WITNESS") == str(self.witness)
            if not mine or process.pid == os.getpid():
                continue
            if "vcr_core.execution.worker" in words:
                found["worker"].append(process)
            elif "dispatcher" in words:
                found["dispatcher"].append(process)
            elif " app " in words:
                found["app"].append(process)
        return found

    def kill_one(self) -> None:
        """End a process of a kind chosen by chance, at once. Of the dispatchers, who serves."""
        candidates = {kind: processes for kind, processes in self.victims().items() if processes}
        kind = self.chance.choice(sorted(candidates))
        victim = self.chance.choice(candidates[kind])
        lease = self.store.lease(DISPATCHER_LEASE)
        serving = int(lease[2]["pid"]) if lease is not None else 0
        if kind == "dispatcher" and any(each.pid == serving for each in candidates[kind]):
            victim = psutil.Process(serving)
        with suppress(psutil.NoSuchProcess):
            victim.send_signal(signal.SIGKILL)
            self.killed[kind] += 1
        self.deaths[victim.pid] = time.clock_gettime(time.CLOCK_MONOTONIC)

    def end(self) -> None:
        """Nothing is left behind."""
        family = [process for kind in self.victims().values() for process in kind]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)
        for started in self._processes.values():
            started.wait(timeout=10)

    # ---------------------------------------------------------------- the rounds

    def round(self) -> None:
        """Kill at a random moment, in a third of the rounds once a run is at work; look at all."""
        self.keep_alive()
        while self.store.count_runs(states=[RunState.QUEUED]) < ALWAYS_WAITING:
            self.runs.append(submit(self.store, CONFIG, auto_resume=True))
        deadline = time.monotonic() + LONGEST_ROUND_SECONDS
        patient = self.chance.random() < 1 / 3  # else it may strike while workers start
        while patient and not self.store.count_runs(states=[RunState.RUNNING]):
            self.look()
            if time.monotonic() > deadline:
                self.violations.append(f"no run began for {LONGEST_ROUND_SECONDS:.0f} s")
                break
        moment = time.monotonic() + self.chance.uniform(0.0, 1.5)
        while time.monotonic() < moment:
            self.look()
        self.kill_one()
        self.look()
        reopened = open_store(self.store.url)
        reopened.close()

    def finish(self) -> None:
        """Wait until every run is over."""
        deadline = time.monotonic() + 60.0 + 10.0 * len(self._open())
        while self._open() and time.monotonic() < deadline:
            self.keep_alive()
            self.look()
        self.violations += [f"run {run.id} is {run.state.value}" for run in self._open()]

    def _open(self) -> list[RunSummary]:
        return [run for run in self.store.summaries(limit=10_000) if not run.state.is_over]

    def look(self) -> None:
        """No busy run stands still, and no number that was seen is gone."""
        time.sleep(LOOK_SECONDS)
        for run in self.store.summaries(states=BUSY):
            sign = (run.state, run.step, run.attempt)
            silence = self._silence.silence(run.id, sign)
            self.longest_standstill = max(self.longest_standstill, silence)
            if silence > self.stuck_seconds and (run.id, sign) not in self._reported:
                self._reported.add((run.id, sign))
                self.violations.append(f"run {run.id} stood still: {sign}")
            count = len(self.store.metrics(run.id))
            if count < self._seen.get(run.id, 0):
                self.violations.append(f"run {run.id} lost numbers: {self._seen[run.id]}, {count}")
            self._seen[run.id] = count

    # ---------------------------------------------------------------- the verdict

    def verdict(self, reference: Numbers) -> list[str]:
        """Everything that went wrong."""
        found = list(self.violations) + in_two_hands(self.witness.read_text(), self.deaths)
        for run_id in self.runs:
            run = self.store.run(run_id)
            rows = self.store.metrics(run_id)
            numbers: Numbers = {(row.step, row.name): row.value for row in rows}
            if run.state is not RunState.FINISHED:
                found.append(f"run {run_id} ended {run.state.value}: {run.error}")
            elif len(rows) != len(numbers):
                found.append(f"run {run_id} wrote numbers twice")
            elif numbers != reference:
                found.append(f"run {run_id} has other numbers than an undisturbed run")
            if len(rows) < self._seen.get(run_id, 0):
                found.append(f"run {run_id} lost numbers at the end")
        return found


def in_two_hands(witness: str, deaths: dict[int, float]) -> list[str]:
    """Runs that two workers had at the same time, by their own words.

    A worker has a run from ``begin`` to ``end``, or to its death.
    """
    spans: dict[str, list[tuple[float, float, int]]] = {}
    begun: dict[tuple[str, int], float] = {}
    for line in witness.splitlines():
        word, run_id, pid, moment = line.split()
        if word == "begin":
            begun[run_id, int(pid)] = float(moment)
        else:
            start = begun.pop((run_id, int(pid)))
            spans.setdefault(run_id, []).append((start, float(moment), int(pid)))
    for (run_id, pid), start in begun.items():
        spans.setdefault(run_id, []).append((start, deaths.get(pid, float("inf")), pid))
    return [
        f"run {run_id} was in the hands of {before[2]} and {after[2]} at once"
        for run_id, times in spans.items()
        for before, after in zip(sorted(times), sorted(times)[1:], strict=False)
        if after[0] < before[1]
    ]


def undisturbed(home: Path) -> Numbers:
    """The numbers of the same run, trained in a process that nobody kills."""
    words = ["-m", "vcr_core", "run", "digits-parity", "--json"]
    flat = CONFIG.model_dump(mode="json")
    for section, name in (
        ("model", "hidden"),
        ("training", "epochs"),
        ("transfer", "probes"),
        ("execution", "device"),
        ("execution", "threads"),
        ("telemetry", "snapshots"),
    ):
        value = flat[section][name]
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += ["--set", f"{section}.{name}={text}"]
    url = f"sqlite:///{home / 'reference.sqlite'}"
    environment = {**os.environ, "VCR_LAB_HOME": str(home), "VCR_LAB_STORE": url}
    environment["PYTHONPATH"] = str(ROOT)
    subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True)
    store = open_store(url)
    (run,) = store.runs()
    if run.config != CONFIG:
        raise ValueError(f"expected the soak's own configuration, got {run.config}")
    numbers: Numbers = {(row.step, row.name): row.value for row in store.metrics(run.id)}
    store.close()
    return numbers


def soak(url: str, home: Path, *, rounds: int, seconds: float, seed: int) -> dict[str, Any]:
    """Attack a store for some rounds or seconds, whichever is over first."""
    os.environ["VCR_LAB_HOME"] = str(home)
    reference = undisturbed(home)
    attack = Soak(open_store(url), home, random.Random(seed))
    start = time.monotonic()
    done = 0
    try:
        while done < rounds and time.monotonic() - start < seconds:
            attack.round()
            done += 1
        attack.finish()
        found = attack.verdict(reference)
        attempts = [attack.store.run(run_id).attempt for run_id in attack.runs]
    finally:
        attack.end()
        attack.store.close()
    return {
        "made": datetime.now(tz=UTC).isoformat(timespec="minutes"),
        "seed": seed,
        "rounds": done,
        "seconds": round(time.monotonic() - start),
        "killed": dict(attack.killed),
        "runs": len(attack.runs),
        "runs_interrupted": sum(attempt > 1 for attempt in attempts),
        "most_attempts_of_a_run": max(attempts, default=0),
        "longest_standstill_seconds": round(attack.longest_standstill, 1),
        "violations": found,
    }


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def main() -> None:
    """Attack, and add what came of it to the result file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1400.0)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server of its own")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))  # end our processes
    limits = {"rounds": options.rounds, "seconds": options.seconds, "seed": options.seed}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if options.postgres:
            sys.path.insert(0, str(ROOT / "tests"))
            from postgres_server import PostgresServer, find_programs

            programs = find_programs()
            if programs is None:
                sys.exit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
            server = PostgresServer(programs)
            try:
                part = soak(server.new_database(), Path(folder), **limits)
            finally:
                server.remove()
        else:
            part = soak(f"sqlite:///{Path(folder) / 'soak.sqlite'}", Path(folder), **limits)
    part = {"store": "PostgreSQL" if options.postgres else "SQLite", **part}
    print(json.dumps(part, indent=1))
    write(options.output, part)
    sys.exit(1 if part["violations"] else 0)


def write(output: Path, part: dict[str, Any]) -> None:
    """Add a part to the result file and sum up."""
    known = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {"parts": []}
    parts: Sequence[dict[str, Any]] = [*known["parts"], part]
    sums = {
        store: {
            name: sum(each[name] for each in parts if each["store"] == store)
            for name in ("rounds", "seconds", "runs", "runs_interrupted")
        }
        | {"violations": sum(len(e["violations"]) for e in parts if e["store"] == store)}
        for store in sorted({each["store"] for each in parts})
    }
    result = {"machine": machine(), "sums": sums, "parts": parts}
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
