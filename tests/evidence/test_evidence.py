"""A study of evidence: what it runs, how both sides are tuned, and that nothing is lost."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from vcr_core.commands import evidence as command
from vcr_core.config import override
from vcr_core.errors import ConfigError, ResultFileError
from vcr_core.evidence.conduct import (
    OWNER,
    carry_out,
    done_jobs,
    missing_jobs,
    repeat,
    total_jobs,
    winner,
)
from vcr_core.evidence.design import Arm, Job, Setting, Study
from vcr_core.evidence.findings import MEAN, findings
from vcr_core.evidence.rows import ResultFile, open_results
from vcr_core.evidence.studies import STUDIES, find_study
from vcr_core.evidence.studies.parts import DIGITS, MLP, config, weights
from vcr_core.machines import differing
from vcr_core.store import open_store
from vcr_core.training.environment import environment

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence"
TINY = config(
    DIGITS,
    MLP,
    {
        "data.train_size": 300,
        "data.test_size": 100,
        "model.hidden": (32, 16),
        "training.epochs": 2,
        "transfer.train_size": 200,
    },
)


def tiny(*, seeds: tuple[int, ...] = (0, 1), last_weights: tuple[float, float] = (1, 1)) -> Study:
    arms = (Arm("baseline"), Arm("vcr", (weights(0.1, 0.1), weights(*last_weights))))
    return Study(
        name="tiny",
        title="Tiny",
        question="Is it?",
        settings=(Setting("digits", TINY, arms),),
        baseline="baseline",
        seeds=seeds,
    )


def made_up(job: Job) -> dict[str, object]:
    """A result that rises with the covariance weight and the seed, for tests without training."""
    weight = job.config.regularizer.covariance_weight
    return {
        "source_accuracy": 0.9,
        "transfer": {"digit": 0.5 + 0.1 * weight + 0.01 * job.config.seed},
        "effective_rank": 3.0,
        "features": {"cdnv": 0.1},
        "trust": {},
        "seconds": 2.0,
    }


def fill(results: ResultFile, most: int = 10_000) -> None:
    """Write made-up results down for what is missing, wave by wave."""
    while most and (jobs := missing_jobs(results)):
        for job in list(jobs.values())[:most]:
            results.add(job, made_up(job), {"python": "3"})
            most -= 1


def test_the_candidate_that_does_best_on_validation_is_judged_on_the_test_images(
    tmp_path: Path,
) -> None:
    results = open_results(tmp_path / "tiny.jsonl", tiny())
    first = list(missing_jobs(results).values())
    tuning = [job for job in first if job.phase == "tuning"]
    assert {job.config.data.measured_on for job in tuning} == {"validation"}
    assert not {job.config.seed for job in tuning} & set(tiny().seeds)
    fill(results)
    setting = tiny().settings[0]
    assert winner(results, setting, setting.arm("vcr")) == 1
    final = [job for job, digest in results.final(setting, setting.arm("vcr"), 1)]
    assert {job.config.data.measured_on for job in final} == {"test"}
    assert done_jobs(results) == total_jobs(tiny()) == len(results.rows)


def test_gains_are_paired_by_seed(tmp_path: Path) -> None:
    results = open_results(tmp_path / "tiny.jsonl", tiny())
    fill(results)
    baseline, vcr = findings(results)
    assert baseline.gain is None
    assert vcr.gain is not None
    assert vcr.gain.mean == pytest.approx(0.1)
    assert vcr.gain.standard_error == pytest.approx(0.0, abs=1e-12)  # seeds cancel
    assert vcr.measures[MEAN].standard_error == pytest.approx(np.std([0, 0.01], ddof=1) / 2**0.5)
    assert vcr.chosen == weights(1, 1)


def test_a_study_goes_on_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    results = open_results(path, tiny())
    fill(results, most=3)
    before = path.read_bytes()
    again = open_results(path, tiny())
    assert len(again.rows) == 3
    assert done_jobs(again) == 3
    fill(again)
    assert path.read_bytes().startswith(before)
    assert not missing_jobs(open_results(path, tiny()))


def test_a_half_written_line_is_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    fill(open_results(path, tiny()))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    lines = whole.count(b"\n")
    with pytest.raises(ResultFileError, match=rf"half of one in .*line {lines}"):
        open_results(path, tiny())
    assert path.read_bytes() == whole[:-20]


def test_results_of_another_version_are_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    fill(open_results(path, tiny()))
    whole = path.read_bytes()
    with pytest.raises(ResultFileError, match=r"another's: .* setting 'digits', arm 'vcr'"):
        open_results(path, tiny(last_weights=(2, 2)))
    with pytest.raises(ResultFileError, match="expected results of 'other', got those of 'tiny'"):
        open_results(path, replace(tiny(), name="other"))
    assert path.read_bytes() == whole


def test_a_file_of_something_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    path.write_text('{"a": 1}\n', encoding="utf-8")
    with pytest.raises(ResultFileError, match="got something else"):
        open_results(path, tiny())
    assert path.read_text(encoding="utf-8") == '{"a": 1}\n'


def test_a_setting_that_came_later_leaves_old_results_valid_at_its_default(tmp_path: Path) -> None:
    path = tmp_path / "tiny.jsonl"
    fill(open_results(path, tiny()))
    lines = path.read_text(encoding="utf-8").splitlines()
    header = json.loads(lines[0])
    del header["fields"]["training.averaging"]
    older = ResultFile(path, tiny(), header["fields"])
    plain, averaged = TINY, override(TINY, {"training.averaging": 0.9})
    assert older.digest(plain) != older.digest(averaged)
    newer = ResultFile(path, tiny(), {**header["fields"], "training.averaging": 0.0})
    assert older.digest(plain) != newer.digest(plain)  # each file keeps to its own fields


def test_unknown_studies_are_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"expected one of terms, .* got 'nonsense'"):
        find_study("nonsense")


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_run_and_names_what_its_quick_version_takes(name: str) -> None:
    study = find_study(name)
    jobs = list(study.jobs())
    assert len({job.key for job in jobs}) == len(jobs)
    assert len(study.seeds) >= 5
    quick = study.shortened()
    assert {setting.name for setting in quick.settings} <= {s.name for s in study.settings}
    assert total_jobs(quick) < total_jobs(study)


@pytest.mark.parametrize("name", STUDIES)
def test_committed_results_are_whole_and_of_todays_studies(name: str) -> None:
    results = open_results(EVIDENCE / f"{name}.jsonl", find_study(name))
    assert not missing_jobs(results)


def test_when_has_sixty_settings_of_real_and_rendered_images() -> None:
    study = find_study("when")
    assert len(study.settings) >= 60
    assert {setting.tags["data"] for setting in study.settings} == {"digits", "garments", "sprites"}
    for setting in study.settings:  # both sides tuned with the same number of trials
        assert len({len(arm.candidates) for arm in setting.arms}) == 1


def test_a_study_trains_through_the_queue_and_a_row_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCR_LAB_HOME", str(tmp_path))
    study = tiny(seeds=(0,))
    results = open_results(tmp_path / "tiny.jsonl", study)
    store = open_store()
    seen: list[int] = []
    carry_out(results, store, watch=lambda progress: seen.append(progress.done))
    assert seen[-1] == total_jobs(study) == 4
    assert len(store.runs(owner=OWNER)) == 4
    row = next(iter(results.rows.values()))
    assert row.error == ""
    assert 0 < row.transfer["digit"] < 1
    assert row.features["cdnv"] > 0
    assert results.environments[0]["threads"] == 1
    before = results.path.stat().st_size
    same, elsewhere = repeat(results, store, row)
    assert elsewhere == {}
    assert (same.source, same.transfer, same.features) == (row.source, row.transfer, row.features)
    assert results.path.stat().st_size == before


@pytest.mark.parametrize(
    ("elsewhere", "said"),
    [
        ({}, ["source: {'source': 0.5} before, {'source': 0.75} now"]),
        ({"vectors": (None, "AVX2")}, ["may round differently", "vectors unknown then, AVX2"]),
    ],
)
def test_a_row_that_differs_is_a_failure_only_on_a_machine_that_rounds_alike(
    elsewhere: dict[str, tuple[object, object]],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = open_results(tmp_path / "tiny.jsonl", tiny())
    digest, job = next(iter(results.jobs.values()))[::-1]
    row = results.add(job, {**made_up(job), "source_accuracy": 0.5}, {})
    assert row.config == digest
    monkeypatch.setattr(
        "vcr_core.evidence.conduct.repeat",
        lambda *_: (replace(row, source=0.75), elsewhere),
    )
    with nullcontext() if elsewhere else pytest.raises(typer.Exit):
        command._repeat(results, open_store(), 1)
    out = capsys.readouterr().out
    assert all(part in out for part in said)


def test_machines_differ_in_what_changes_the_last_digits() -> None:
    here = environment(torch.device("cpu"))
    assert differing(here, here) == {}
    assert differing({**here, "vectors": "ENIAC", "cores": 9}, here) == {
        "vectors": ("ENIAC", here["vectors"])
    }
