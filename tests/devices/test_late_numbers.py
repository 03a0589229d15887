"""Numbers that come to the host by themselves, and what the regulariser does with them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from lagging_device import Device, lagging_device
from torch import nn

from vcr_core.errors import FeatureError
from vcr_core.regularization import Regularization, attach
from vcr_core.regularization.later import MOST_ON_THEIR_WAY, PATIENCE, LateNumbers


def keep_busy(x: torch.Tensor, operations: int) -> None:
    for _ in range(operations):
        x = x + 1


def test_a_number_of_the_cpu_is_there_at_once() -> None:
    late = LateNumbers[str]()
    late.add(torch.tensor(2.0, requires_grad=True), "two")
    assert list(late.arrived()) == [(2.0, "two")]
    assert list(late.arrived()) == []


def test_a_number_arrives_when_the_device_has_come_as_far_and_nobody_waits(device: Device) -> None:
    late, x = LateNumbers[int](), torch.ones((), device=device.name)
    device.forget()
    late.add(x, 1)
    late.add(2 * x, 2)
    assert list(late.arrived()) == []
    keep_busy(x, device.lag)
    late.add(3 * x, 3)
    assert list(late.arrived()) == [(1.0, 1), (2.0, 2)]
    keep_busy(x, device.lag)
    assert list(late.arrived()) == [(3.0, 3)]
    assert not device.waits


def test_whoever_wants_all_numbers_waits_for_them(device: Device) -> None:
    late, x = LateNumbers[int](), torch.ones((), device=device.name)
    late.add(x, 1)
    late.add(2 * x, 2)
    assert list(late.all()) == [(1.0, 1), (2.0, 2)]
    assert list(late.arrived()) == []


def test_a_device_far_behind_is_waited_for_so_that_numbers_do_not_pile_up() -> None:
    with lagging_device(lag=10**9) as device:
        late, x = LateNumbers[int](), torch.ones((), device=device.name)
        found = []
        for step in range(MOST_ON_THEIR_WAY + 3):
            late.add(x * step, step)
            found += list(late.arrived())
    assert found[0] == (0.0, 0)
    assert [value for value, _ in found] == [about for _, about in found]


def test_a_device_without_events_has_some_steps_to_deliver(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_stream(_: Any = None) -> None:
        raise RuntimeError("this device has no streams")

    with lagging_device(lag=PATIENCE, strict=False) as device:
        monkeypatch.setattr(torch.accelerator, "current_stream", no_stream)
        late, x = LateNumbers[int](), torch.ones((), device=device.name)
        found = []
        for step in range(PATIENCE + 3):
            late.add(x * (step + 1), step)
            found += list(late.arrived())
        assert found == [(1.0, 0), (2.0, 1), (3.0, 2)]
        assert not device.waits


def steps(device: Device, broken: int | None, **options: Any) -> tuple[int, Regularization]:
    """Train a small network, with a NaN in the input of step ``broken``; the steps it took."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).to(device.name)
    options = {"variance_weight": 1.0, "covariance_weight": 1.0, "layers": ["0", "2"], **options}
    handle = attach(model, **options)
    x = torch.randn(16, 6).to(device.name)
    lost = torch.full_like(x, math.nan)
    device.forget()
    for step in range(1, 40):
        loss = model(lost if step == broken else x).square().mean() + handle.penalty()
        if step != broken:  # a step in vain, so that the weights stay what they were
            loss.backward()
            model.zero_grad()
        else:
            handle.discard()
    return step, handle


def test_features_that_are_not_finite_are_told_with_their_step_and_nothing_waits(
    device: Device,
) -> None:
    with pytest.raises(
        FeatureError, match=r"NaN or Inf at training step 3 in layer '0' and 1 more"
    ):
        steps(device, 3)
    complaint = ("handle.py", "penalty.py")  # by then training has ended, and may wait
    assert [place for place in device.places() if not place.split()[1].startswith(complaint)] == []


def test_finite_features_are_never_told_as_lost_and_nothing_waits(device: Device) -> None:
    assert steps(device, None)[0] == 39
    assert not device.waits
    assert not device.staged


def test_skipped_features_are_no_error_and_nothing_waits(device: Device) -> None:
    assert steps(device, 3, nonfinite="skip")[0] == 39
    assert not device.waits


def test_whoever_asks_hears_of_the_last_step_as_well(device: Device) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8)).to(device.name)
    handle = attach(model, variance_weight=1.0, covariance_weight=1.0, layers=["0"])
    handle.check_finite()  # nothing has run yet
    model(torch.full((16, 6), math.nan).to(device.name))
    handle.penalty()
    with pytest.raises(FeatureError, match="NaN or Inf at training step 1 in layer '0'"):
        handle.check_finite()
