"""What workers answer: samples as settings have them, predictions that add up, clear refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from vcr_core.config import AugmentationConfig, DataConfig, RunConfig, override
from vcr_core.errors import CheckpointError, ConfigError, DataError
from vcr_core.execution.answers import ANSWERS, answer, find_answer
from vcr_core.execution.questions import (
    ImagesQuestion,
    PredictionsQuestion,
    Question,
    SamplesQuestion,
)
from vcr_core.execution.runner import execute
from vcr_core.store import Answer, RequestState, RunState, Store, open_store
from vcr_core.training.experiment import load_data

DIGITS = DataConfig(dataset="digits", source="digit")


def find(store: Store, question: Question) -> Answer:
    return find_answer(store, question.kind, question.arguments())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, str]]:
    """A store with a run that has learned odd or even, and was probed for digits and sprites."""
    changes = {
        "data.dataset": "digits",
        "data.source": "parity",
        "transfer.targets": ("digit", "digit@noise-2", "parity"),
        "transfer.train_size": 300,
        "model.name": "mlp",
        "model.hidden": (24, 12),
        "training.epochs": 2,
        "transfer.probes": 2,
        "execution.device": "cpu",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VCR_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        store = open_store()
        run = store.create_run(override(RunConfig(), changes))
        store.move_run(run, before=RunState.QUEUED, after=RunState.STARTING)
        execute(store, run)
        yield store, run
        store.close()


def predictions_of(store: Store, run_id: str) -> PredictionsQuestion:
    run = store.run(run_id)
    step = run.checkpoint_step or 0
    return PredictionsQuestion(run=run_id, step=step, data=run.config.data, seed=run.config.seed)


def test_predictions_are_those_that_the_run_was_measured_by(trained: tuple[Store, str]) -> None:
    store, run = trained
    found = find(store, predictions_of(store, run))
    result = store.run(run).result
    measured = {"": result["source_accuracy"], **result["transfer"]}
    names = [task["name"] for task in found.facts["tasks"]]
    assert names == ["", "digit", "digit@noise-2", "parity"]
    for place, name in enumerate(names):
        hits = found.arrays[f"predicted/{place}"] == found.arrays[f"truth/{place}"]
        assert hits.mean() == pytest.approx(measured[name], abs=1e-6)
        assert len(hits) == 500
    assert found.facts["step"] == store.run(run).checkpoint_step
    assert found.facts["tasks"][1]["classes"] == [str(digit) for digit in range(10)]


def test_test_images_are_those_that_predictions_are_about(trained: tuple[Store, str]) -> None:
    store, run_id = trained
    run = store.run(run_id)
    data = load_data(run.config.data, seed=run.config.seed)
    common = {"run": run_id, "data": run.config.data, "seed": run.config.seed}
    rows = (7, 3, 499)
    found = find(store, ImagesQuestion(task="", rows=rows, **common))
    expected = data.as_pixels(data.test.images[list(rows)])
    np.testing.assert_array_equal(found.arrays["images"][:, 0, :, :, 0], expected[:, 0])
    same = find(store, ImagesQuestion(task="digit", rows=rows, **common))
    np.testing.assert_array_equal(same.arrays["images"], found.arrays["images"])
    noisy = find(store, ImagesQuestion(task="digit@noise-2", rows=rows, **common))
    assert (noisy.arrays["images"] != found.arrays["images"]).mean() > 0.3
    with pytest.raises(ConfigError, match="expected places below 500"):
        find(store, ImagesQuestion(task="", rows=(500,), **common))
    with pytest.raises(ConfigError, match="expected one of digit, digit@noise-2, parity, got 'x'"):
        find(store, ImagesQuestion(task="x", rows=(0,), **common))


def test_questions_about_the_same_images_go_to_the_worker_that_has_them() -> None:
    def subject(**changes: Any) -> str:
        data = DIGITS.model_copy(update=changes)
        return SamplesQuestion(data=data, factor="digit").subject

    assert subject(imbalance=20.0) == subject(measured_on="validation") == subject()
    assert subject(train_size=100) != subject()
    assert SamplesQuestion(data=DIGITS, factor="digit", seed=1).subject != subject()


def test_samples_are_as_the_settings_have_them(store: Store) -> None:
    plain = find(store, SamplesQuestion(data=DIGITS, factor="digit", count=10))
    assert plain.facts["total"] == plain.facts["size"] == 1297
    assert sum(plain.facts["counts"]["digit"]) == 1297
    held_out = find(store, SamplesQuestion(data=DIGITS, factor="digit", view="test"))
    assert held_out.facts["size"] == 500
    tail = DIGITS.model_copy(update={"imbalance": 20.0})
    thinned = find(store, SamplesQuestion(data=tail, factor="digit")).facts["counts"]["digit"]
    assert thinned == sorted(thinned, reverse=True)
    assert thinned[0] == pytest.approx(20 * thinned[-1], rel=0.2)
    varied = find(
        store,
        SamplesQuestion(
            data=DIGITS,
            factor="digit",
            view="augmented",
            augmentation=AugmentationConfig(crop_padding=1),
            count=4,
        ),
    )
    assert varied.arrays["images"].shape == (4, 6, 8, 8, 1)


def test_a_target_is_shown_as_a_probe_sees_it(store: Store) -> None:
    noisy, plain = (
        find(
            store,
            SamplesQuestion(data=DIGITS, factor="parity", view="target", target=target, count=12),
        )
        for target in ("parity@noise-4", "parity")
    )
    assert plain.facts["classes"] == {"parity": ["even", "odd"]}
    np.testing.assert_array_equal(plain.arrays["rows"], noisy.arrays["rows"])
    gap = plain.arrays["images"].astype(float) - noisy.arrays["images"].astype(float)
    assert 10 < gap.std() < 100
    sprites = DataConfig(train_size=20, test_size=10)
    moved = SamplesQuestion(data=sprites, factor="digit", view="target", target="digits:digit")
    assert find(store, moved).arrays["images"].shape == (48, 1, 32, 32, 3)  # scaled, in colours


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (
            "nonsense",
            {},
            "expected a question of samples, predictions, test-images, got 'nonsense'",
        ),
        ("samples", {"factor": "digit"}, "data"),
        (
            "samples",
            {"data": DIGITS.model_dump(), "factor": "digit", "count": 10**6},
            "expected 200 or less",
        ),
        ("samples", {"data": DIGITS.model_dump(), "factor": "<b>"}, "expected one of digit"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    store: Store, kind: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        find_answer(store, kind, arguments)


def test_a_look_never_downloads(store: Store) -> None:
    data = DataConfig(dataset="cifar10", source="object")
    with pytest.raises(DataError, match="it is not there: a run that uses it downloads it"):
        find(store, SamplesQuestion(data=data, factor="object"))
    data = DataConfig(dataset="imagenet", source="class")
    with pytest.raises(DataError, match="place train/ and val/ with one sub-folder a class"):
        find(store, SamplesQuestion(data=data, factor="class"))


def test_a_run_without_a_network_cannot_be_asked(store: Store) -> None:
    run = store.create_run(RunConfig())
    with pytest.raises(ConfigError, match="expected a run that has ended"):
        find(store, predictions_of(store, run))
    store.update_run(run, state=RunState.STOPPED.value)
    with pytest.raises(CheckpointError, match="expected a checkpoint"):
        find(store, predictions_of(store, run))


def test_the_row_says_why_there_is_no_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_store: Store, _arguments: object) -> Answer:
        raise RuntimeError("out of memory")

    monkeypatch.setitem(ANSWERS, "samples", broken)  # type: ignore[arg-type]
    for kind, words in (("samples", "RuntimeError: out of memory"), ("x", "expected a question")):
        request = store.ask(kind, {}, patience=1.0)
        answer(store, request)
        found = store.request(request)
        assert found is not None
        assert found.state is RequestState.FAILED
        assert words in (found.error or "")
    answer(store, 12345)  # thrown away meanwhile: nothing happens
