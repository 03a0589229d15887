"""CKA: high for the same features, about 0 for strangers, however few the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vcr_core.diagnostics import cka_null, linear_cka
from vcr_core.errors import FeatureError


def noise(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed)).double()


def pairs_apart(k: np.ndarray, m: np.ndarray) -> float:
    """Mean of K_ab M_ab − 2 K_ab M_ac + K_ab M_cd over all different a, b, c, d: HSIC by hand."""
    found, places = 0.0, range(len(k))
    orders = [
        (a, b, c, d)
        for a in places
        for b in places
        for c in places
        for d in places
        if len({a, b, c, d}) == 4
    ]
    for a, b, c, d in orders:
        found += k[a, b] * (m[a, b] - 2 * m[a, c] + m[c, d])
    return found / len(orders)


@pytest.mark.parametrize("size", [3, 12])
def test_cka_is_the_mean_over_different_images(size: int) -> None:
    x = noise(7, size) + 5
    y = x[:, :3] + noise(7, 3, seed=1)
    k, m = (x @ x.T).numpy(), (y @ y.T).numpy()
    expected = pairs_apart(k, m) / np.sqrt(pairs_apart(k, k) * pairs_apart(m, m))
    assert linear_cka(x, y).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "size"), [(2000, 6), (64, 300)])
def test_a_rotation_and_scaling_is_the_same_and_a_constant_is_nothing(
    count: int, size: int
) -> None:
    x = noise(count, size)
    rotation = torch.linalg.qr(noise(size, size, seed=1)).Q
    assert linear_cka(x, 3 * x @ rotation + 5).item() == pytest.approx(1.0)
    assert linear_cka(x, torch.full((count, 3), -7.3)) == 0
    assert linear_cka(torch.full((count, size), 0.1), x) == 0


@pytest.mark.parametrize(("count", "size"), [(256, 2048), (2000, 6), (64, 300)])
def test_strangers_are_not_alike_however_few_they_are(count: int, size: int) -> None:
    assert abs(linear_cka(noise(count, size), noise(count, size, seed=1))) < 0.03


def test_the_null_is_about_zero_and_real_likeness_is_above_it() -> None:
    x = noise(100, 150)
    y = x @ noise(150, 40, seed=1) + 5 * noise(100, 40, seed=2)
    null = cka_null(x, y)
    assert abs(null.mean) < 0.02
    assert null.mean < null.high < linear_cka(x, y)
    assert cka_null(x, y, seed=1).high != null.high


def test_chance_is_wider_where_images_are_few() -> None:
    few, many = (cka_null(noise(n, 10), noise(n, 10, seed=1)).high for n in (8, 400))
    assert few > 5 * many


def test_the_null_uses_no_other_random_numbers_and_repeats_itself() -> None:
    x, y = noise(20, 5), noise(20, 5, seed=1)
    before = torch.random.get_rng_state()
    first, second = cka_null(x, y, permutations=5), cka_null(x, y, permutations=5)
    assert first == second
    assert torch.equal(before, torch.random.get_rng_state())


def test_features_that_are_not_finite_are_like_nothing() -> None:
    x = noise(20, 5)
    x[3, 2] = torch.nan
    assert linear_cka(x, noise(20, 5, seed=1)).isnan()


def test_other_or_too_few_images_are_refused() -> None:
    with pytest.raises(FeatureError, match="of the same N >= 4 images"):
        linear_cka(torch.randn(5, 2), torch.randn(6, 2))
    with pytest.raises(FeatureError, match="of the same N >= 4 images"):
        linear_cka(torch.randn(3, 2), torch.randn(3, 2))
    with pytest.raises(FeatureError, match="2 permutations"):
        cka_null(noise(5, 2), noise(5, 2), permutations=1)
