"""A study's result file: one line of JSON a finished run, written the moment it is finished.

The first line says which study it is and which fields a configuration had; lines of kind
``environment`` describe a machine; all others are runs. A file is only ever added to. One that
does not fit, because it was half written or belongs to another version of the study, is refused
by name and left as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vcr_core.config import RunConfig, fields
from vcr_core.errors import ResultFileError
from vcr_core.evidence.design import Arm, Job, Setting, Study

FORMAT = 1


@dataclass(frozen=True)
class Row:
    """What came out of one run. ``config`` is the digest of its configuration.

    Accuracies are shares of 1; ``features`` and ``trust`` as in
    :mod:`vcr_core.training.measurables`; ``seconds`` of training on one core; ``environment``
    counts the file's environments from 0.
    """

    config: str
    setting: str
    arm: str
    phase: str
    candidate: int
    seed: int
    source: float
    transfer: Mapping[str, float]
    features: Mapping[str, float]
    trust: Mapping[str, float]
    seconds: float
    environment: int = 0
    error: str = ""

    @property
    def mean_transfer(self) -> float:
        """The mean accuracy over the transfer targets."""
        return sum(self.transfer.values()) / len(self.transfer)


@dataclass
class ResultFile:
    """The rows of one study by the digest of their configuration, and every run it could want."""

    path: Path
    study: Study
    fields: Mapping[str, Any]
    rows: dict[str, Row] = field(default_factory=dict)
    environments: list[Mapping[str, Any]] = field(default_factory=list)
    jobs: dict[tuple[Any, ...], tuple[Job, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.jobs = {job.key: (job, self.digest(job.config)) for job in self.study.jobs()}

    def tuning(self, setting: Setting, arm: Arm) -> list[tuple[Job, str]]:
        """The runs that choose an arm's candidate, with digests; none where it has only one."""
        if len(arm.candidates) == 1:
            return []
        return [
            self.jobs[setting.name, arm.name, "tuning", candidate, seed]
            for candidate in range(len(arm.candidates))
            for seed in self.study.tuning_seeds
        ]

    def final(self, setting: Setting, arm: Arm, candidate: int) -> list[tuple[Job, str]]:
        """The runs that an arm's candidate is judged by, with digests."""
        name = setting.name, arm.name
        return [self.jobs[*name, "final", candidate, seed] for seed in self.study.seeds]

    def digest(self, config: RunConfig) -> str:
        """Equal for configurations that differ in nothing the file knows of.

        A field that came to the program later counts only where it is not at its default.
        """
        defaults = plain_fields(RunConfig())
        values = plain_fields(config)
        told = {
            name: value
            for name, value in values.items()
            if name in self.fields or value != defaults[name]
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]

    def add(self, job: Job, result: Mapping[str, Any], environment: Mapping[str, Any]) -> Row:
        """Write a finished run down, and the machine it ran on where that is new."""
        row = make_row(self.digest(job.config), job, result, self._environment(environment))
        self._append({"kind": "run", **asdict(row)})
        self.rows[row.config] = row
        return row

    def _environment(self, environment: Mapping[str, Any]) -> int:
        known = dict(environment)
        if known not in self.environments:
            self._append({"kind": "environment", **known})
            self.environments.append(known)
        return self.environments.index(known)

    def _append(self, entry: Mapping[str, Any]) -> None:
        append_line(self.path, entry)


def make_row(digest: str, job: Job, result: Mapping[str, Any], environment: int) -> Row:
    """The row of a run's result; one without accuracies keeps its error."""
    return Row(
        config=digest,
        setting=job.setting,
        arm=job.arm,
        phase=job.phase,
        candidate=job.candidate,
        seed=job.config.seed,
        source=_short(result.get("source_accuracy", 0.0)),
        transfer=_shortened(result.get("transfer", dict.fromkeys(job.config.targets, 0.0))),
        features=_shortened(
            {"effective_rank": result["effective_rank"], **result.get("features", {})}
            if "effective_rank" in result
            else {}
        ),
        trust=_shortened(result.get("trust", {})),
        seconds=round(float(result.get("seconds", 0.0)), 3),
        environment=environment,
        error=str(result.get("error", "")),
    )


def _shortened(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: _short(value) for name, value in numbers.items()}


def _short(value: float) -> float:
    """Six digits: more than the spread over seeds leaves meaning in."""
    return float(f"{float(value):.6g}")


def plain_fields(config: RunConfig) -> dict[str, Any]:
    """Every field of a configuration by its dotted name, as plain data."""
    tree = config.model_dump(mode="json")
    found = {}
    for name in fields():
        section, _, last = name.rpartition(".")
        found[name] = tree[section][last] if section else tree[last]
    return found


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one line, whole or not at all as far as the system allows, and wait for the disk."""
    line = (json.dumps(entry, sort_keys=False) + "\n").encode()
    with path.open("ab", buffering=0) as file:
        file.write(line)
        os.fsync(file.fileno())


def open_results(path: Path, study: Study) -> ResultFile:
    """The study's result file, made where there is none.

    Raises:
        ResultFileError: a file that is half written, of another study, or of another version of
            this one. It is left as it is.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        start = {"kind": "study", "format": FORMAT, "study": study.name}
        append_line(path, {**start, "fields": plain_fields(RunConfig())})
    entries = _entries(path)
    header = _header(path, entries, study)
    _check_fields(path, header)
    results = ResultFile(path, study, header)
    for number, entry in enumerate(entries[1:], start=2):
        _take(results, entry, number)
    _check_configs(results)
    return results


def _entries(path: Path) -> list[dict[str, Any]]:
    entries = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line:
            continue
        try:
            entries.append(json.loads(line))
        except ValueError as error:
            raise ResultFileError(
                f"expected a line of JSON, got half of one in {path}, line {number}: a run was "
                "cut off while it was written. Delete that line and start again; all others stay"
            ) from error
    return entries


def _header(path: Path, entries: Sequence[Mapping[str, Any]], study: Study) -> Mapping[str, Any]:
    first = entries[0] if entries else {}
    if first.get("kind") != "study" or first.get("format") != FORMAT:
        raise ResultFileError(
            f"expected a result file of a study in format {FORMAT}, got something else in {path}: "
            "move it away, or name another folder with --out"
        )
    if first["study"] != study.name:
        raise ResultFileError(
            f"expected results of '{study.name}', got those of '{first['study']}' in {path}: "
            "move the file away, or name another folder with --out"
        )
    known: Mapping[str, Any] = first["fields"]
    return known


def _check_fields(path: Path, known: Mapping[str, Any]) -> None:
    """No setting that the file's configurations were told by has gone since."""
    gone = [name for name in known if name not in fields()]
    if gone:
        raise _other_version(path, f"there is no setting {gone[0]} any more")


def _take(results: ResultFile, entry: dict[str, Any], number: int) -> None:
    kind = entry.pop("kind", None)
    if kind == "environment":
        results.environments.append(entry)
        return
    try:
        row = Row(**entry)
    except TypeError as error:
        raise ResultFileError(
            f"expected a run with {', '.join(Row.__dataclass_fields__)} in {results.path}, line "
            f"{number}: {error}. Delete that line, or move the file away"
        ) from error
    results.rows[row.config] = row


def _check_configs(results: ResultFile) -> None:
    """Every row is of a configuration that the study of today has."""
    known = {digest for _, digest in results.jobs.values()}
    strange = [row for row in results.rows.values() if row.config not in known]
    if strange:
        row = strange[0]
        raise _other_version(
            results.path,
            f"{len(strange)} of {len(results.rows)} runs have configurations that the study no "
            f"longer has, the first in setting '{row.setting}', arm '{row.arm}', {row.phase}, "
            f"seed {row.seed}",
        )


def _other_version(path: Path, why: str) -> ResultFileError:
    return ResultFileError(
        f"expected results of this version of the study in {path}, got another's: {why}. Nothing "
        "was changed: move the file away to measure anew, or read it with the version it names"
    )
