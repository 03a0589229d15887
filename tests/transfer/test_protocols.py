"""Every protocol agrees with scikit-learn where it has one, and refuses what it cannot use."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from vcr_core.datasets import TransferTask
from vcr_core.errors import ConfigError, DataError, FeatureError, TrainingDivergedError
from vcr_core.models import Model, build
from vcr_core.transfer import (
    PROTOCOLS,
    FineTuning,
    Options,
    choose_probes,
    few_shot_curve,
    fine_tune,
    fit_path,
    fit_probe,
    measure,
    nearest_class_mean,
    nearest_neighbours,
)
from vcr_core.transfer.few_shot import draw_rows
from vcr_core.transfer.results import find_protocol

SINGLE_HELD_OUT = 2  # a seed that holds out the only image of a class of five
TRAIN, TEST = slice(0, 1000), slice(1000, None)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """Pixels (1797, 64) with a large common offset, and digits (1797,)."""
    found = load_digits()
    return torch.from_numpy(found.data) + 100.0, torch.from_numpy(found.target)


@pytest.fixture
def network() -> Model:
    return build("mlp", in_shape=(1, 8, 8), num_classes=2, hidden=(32, 16), seed=0, dropout=0.5)


def task_of(digits: tuple[Tensor, Tensor], *, size: int = 400, name: str = "digit") -> TransferTask:
    images = ((digits[0] - 104.0) / 6).float().view(-1, 1, 8, 8)
    labels = digits[1]
    names = tuple(str(k) for k in range(10))
    held = slice(size, size + 200)
    moments = torch.zeros(1), torch.ones(1)
    return TransferTask(
        name, images[:size], labels[:size], images[held], labels[held], names, *moments
    )


# ------------------------------------------------------------------ strengths


def test_the_path_gives_the_probes_that_separate_fits_give(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0][TRAIN], digits[1][TRAIN]
    strengths = [1e-1, 1e-2, 1e-3, 1e-4]
    paths = fit_path(x, [y, y % 2], num_classes=[10, 2], strengths=strengths)
    for labels, classes, path in zip([y, y % 2], [10, 2], paths, strict=True):
        assert [probe.l2 for probe in path] == strengths
        for probe in path[:3]:
            alone = fit_probe(x, labels, num_classes=classes, l2=probe.l2)
            assert probe.converged
            torch.testing.assert_close(probe.weights, alone.weights, atol=2e-3, rtol=0)


def test_the_path_takes_fewer_evaluations_than_separate_fits(
    digits: tuple[Tensor, Tensor],
) -> None:
    x, y = digits[0][TRAIN].float(), digits[1][TRAIN]
    path = fit_path(x, [y], num_classes=[10])[0]
    alone = [fit_probe(x, y, num_classes=10, l2=probe.l2) for probe in path]
    assert sum(p.iterations for p in path) < 0.7 * sum(p.iterations for p in alone)


def test_the_chosen_strength_does_best_on_the_images_held_out() -> None:
    """Few images in many noisy dimensions need a strong hold; the oracle is scikit-learn's fit."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (600,), generator=draws)
    x = torch.randn(600, 40, generator=draws, dtype=torch.float64)
    x[:, :3] += 1.2 * torch.eye(3, dtype=torch.float64)[labels]
    (chosen,) = choose_probes(x[:300], [labels[:300]], num_classes=[3])
    place = chosen.strengths.index(chosen.probe.l2)
    assert chosen.validation[place] == max(chosen.validation)
    assert chosen.probe.l2 > 1e-3
    z = StandardScaler().fit(x[:300]).transform(x)
    oracle = LogisticRegression(C=1 / (chosen.probe.l2 * 300), tol=1e-8, max_iter=1000)
    oracle.fit(z[:300], labels[:300])
    assert chosen.probe.accuracy(x[300:], labels[300:]) == pytest.approx(
        oracle.score(z[300:], labels[300:]), abs=1e-9
    )


def test_choosing_depends_on_the_seed_alone_and_not_on_random_state(
    digits: tuple[Tensor, Tensor],
) -> None:
    x, y = digits[0][:300], digits[1][:300]
    torch.manual_seed(1)
    first = choose_probes(x, [y], num_classes=[10])[0]
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = choose_probes(x, [y], num_classes=[10])[0]
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.probe.weights, second.probe.weights)
    assert first.validation == second.validation


@pytest.mark.parametrize("strengths", [(), (0.1, 1.0), (1.0, 0.0), (1.0, 1.0)])
def test_strengths_that_do_not_fall_are_refused(strengths: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="expected positive strengths that fall"):
        fit_path(torch.randn(6, 2), [torch.arange(6) % 2], num_classes=[2], strengths=strengths)


def test_too_few_images_to_hold_some_out_are_refused() -> None:
    labels = torch.tensor([0, 0, 0, 0, 1])
    with pytest.raises(DataError, match="a fifth is held out to choose"):
        choose_probes(torch.randn(5, 2), [labels], num_classes=[2], seed=SINGLE_HELD_OUT)


# ----------------------------------------------------------- neighbours and means


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_neighbours_are_scikit_learns(digits: tuple[Tensor, Tensor], metric: str, k: int) -> None:
    x, y = digits
    assert metric in ("cosine", "euclidean")
    predicted = nearest_neighbours(x[TRAIN], y[TRAIN], x[TEST], num_classes=10, k=k, metric=metric)
    oracle = KNeighborsClassifier(k, metric=metric).fit(x[TRAIN], y[TRAIN])
    assert (predicted.numpy() == oracle.predict(x[TEST])).mean() > 0.998  # equal distances


def test_the_nearest_class_mean_is_scikit_learns(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    x = x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    predicted = nearest_class_mean(x[TRAIN], y[TRAIN], x[TEST], num_classes=10)
    np.testing.assert_array_equal(
        predicted.numpy(), NearestCentroid().fit(x[TRAIN], y[TRAIN]).predict(x[TEST])
    )


def test_float32_neighbours_far_from_the_origin_are_found(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    far = (x[:400] - 100).float() + 3e4
    same = nearest_neighbours(far, y[:400], far, num_classes=10, k=1, metric="euclidean")
    assert float((same == y[:400]).float().mean()) == 1.0


def test_a_class_without_features_is_never_predicted() -> None:
    x = torch.randn(30, 4)
    labels = torch.arange(30) % 2 * 2
    assert 1 not in nearest_class_mean(x, labels, x, num_classes=3)


def test_more_neighbours_than_images_are_refused() -> None:
    x = torch.randn(6, 2)
    with pytest.raises(ConfigError, match=r"expected 1 to 6 neighbours, .* got 7"):
        nearest_neighbours(x, torch.arange(6) % 2, x, num_classes=2, k=7)


def test_queries_of_another_width_are_refused() -> None:
    with pytest.raises(FeatureError, match="expected features of 2 dimensions, got 3"):
        nearest_class_mean(torch.randn(6, 2), torch.arange(6) % 2, torch.randn(1, 3), num_classes=2)


# -------------------------------------------------------------------- few shots


def test_few_shot_probes_are_scikit_learns_at_its_default_strength(
    digits: tuple[Tensor, Tensor],
) -> None:
    x, y = digits
    points = few_shot_curve(
        x[TRAIN], y[TRAIN], x[TEST], y[TEST], num_classes=10, shots=[2, 10], draws=4
    )
    z = StandardScaler().fit(x[TRAIN]).transform(x)
    for point in points:
        rows = draw_rows(y[TRAIN], 10, shots=point.shots, draws=4, seed=0)
        for accuracy, chosen in zip(point.accuracies, rows, strict=True):
            oracle = LogisticRegression(tol=1e-8, max_iter=5000).fit(z[chosen], y[chosen])
            assert accuracy == pytest.approx(oracle.score(z[TEST], y[TEST]), abs=2.6e-3)
    assert points[0].interval.mean < points[1].interval.mean


def test_draws_have_the_shots_of_every_class_and_differ() -> None:
    labels = torch.arange(200) % 4
    rows = draw_rows(labels, 4, shots=5, draws=10, seed=0)
    assert rows.shape == (10, 20)
    for draw in rows:
        assert torch.equal(torch.bincount(labels[draw], minlength=4), torch.full((4,), 5))
        assert len(set(draw.tolist())) == 20
    assert len({tuple(draw.tolist()) for draw in rows}) == 10


def test_more_shots_than_images_are_refused_with_the_most_there_are() -> None:
    labels = torch.tensor([0] * 20 + [1] * 7)
    x = torch.randn(27, 3)
    with pytest.raises(DataError, match=r"expected at most 7 shots, .*\(class 1\), got 8"):
        few_shot_curve(x, labels, x, labels, num_classes=2, shots=[8])


@pytest.mark.parametrize(("shots", "draws"), [((), 10), ((0,), 10), ((1,), 0)])
def test_no_shots_and_no_draws_are_refused(shots: tuple[int, ...], draws: int) -> None:
    x, labels = torch.randn(8, 3), torch.arange(8) % 2
    with pytest.raises(ConfigError, match="expected shots and draws of 1 or more"):
        few_shot_curve(x, labels, x, labels, num_classes=2, shots=shots, draws=draws)


# ------------------------------------------------------------------- fine-tuning


def test_fine_tuning_learns_and_leaves_the_model_and_chance_alone(
    digits: tuple[Tensor, Tensor], network: Model
) -> None:
    task = task_of(digits)
    before, chance = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    settings = FineTuning(epochs=20, batch_size=32, learning_rate=3e-3)
    predicted = fine_tune(network, task, settings=settings)
    assert float((predicted == task.test_labels).float().mean()) > 0.7
    assert all(torch.equal(v, before[name]) for name, v in network.state_dict().items())
    assert torch.equal(chance, torch.get_rng_state())
    assert torch.equal(predicted, fine_tune(network, task, settings=settings))


def test_fine_tuning_that_diverges_says_so(digits: tuple[Tensor, Tensor], network: Model) -> None:
    with pytest.raises(TrainingDivergedError, match="while fine-tuning for 'digit'"):
        fine_tune(network, task_of(digits), settings=FineTuning(learning_rate=1e30))


def test_fine_tuning_for_no_epoch_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected 1 epoch"):
        FineTuning(epochs=0)


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_beats_guessing_and_touches_nothing(
    protocol: str, digits: tuple[Tensor, Tensor], network: Model
) -> None:
    task = task_of(digits)
    parity = replace(
        task,
        name="parity",
        train_labels=task.train_labels % 2,
        test_labels=task.test_labels % 2,
        class_names=("even", "odd"),
    )
    before, chance = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    options = Options(shots=(1, 5), draws=3, fine_tuning=FineTuning(epochs=2, batch_size=32))
    results = measure(find_protocol(protocol), network, [task, parity], options=options)
    assert [result.target for result in results] == ["digit", "parity"]
    for result, guessing in zip(results, (0.1, 0.5), strict=True):
        assert result.interval.low < result.accuracy < result.interval.high
        assert result.accuracy > guessing
        assert result.accuracy == pytest.approx(sum(result.samples) / len(result.samples))
    assert all(torch.equal(v, before[name]) for name, v in network.state_dict().items())
    assert torch.equal(chance, torch.get_rng_state())


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ConfigError, match="protocol: expected one of linear, knn, few-shot, ncm"):
        find_protocol("zero-shot")


def test_test_images_of_a_class_without_training_images_are_refused(
    digits: tuple[Tensor, Tensor], network: Model
) -> None:
    task = task_of(digits)
    kept = task.train_labels != 7
    partial = replace(
        task, train_images=task.train_images[kept], train_labels=task.train_labels[kept]
    )
    with pytest.raises(DataError, match="every class that 'digit' is tested on, got none of '7'"):
        measure("ncm", network, [partial])


@pytest.mark.parametrize(
    ("weight", "said"), [(0.0, "the network has collapsed"), (torch.nan, "got NaN or infinity")]
)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_features_that_say_nothing_are_refused(
    protocol: str, weight: float, said: str, digits: tuple[Tensor, Tensor], network: Model
) -> None:
    for value in network.parameters():
        value.data.fill_(weight)
    with pytest.raises(FeatureError, match=said):
        measure(find_protocol(protocol), network, [task_of(digits)])
