"""The device that the other tests of this folder rely on sees what it is there to see."""

from __future__ import annotations

import math

import pytest
import torch
from lagging_device import Device, lagging_device
from torch import nn

from vcr_core.device_copies import fetch, send


def kinds(device: Device) -> list[str]:
    return [wait.kind for wait in device.waits]


def test_tensors_of_the_device_refuse_those_of_the_cpu(device: Device) -> None:
    there = torch.ones(3, device=device.name)
    with pytest.raises(RuntimeError, match="expected all tensors on lagging:0"):
        there + torch.ones(3)
    assert (there + torch.ones(())).sum().item() == 6  # numbers may take part, as on a GPU


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: bool(x.any()),
        lambda x: torch.zeros(4).copy_(x),
        lambda x: torch.zeros(4).copy_(x, non_blocking=True),  # to memory that is not pinned
    ],
)
def test_every_way_of_reading_a_number_is_written_down(look: object, device: Device) -> None:
    x = torch.ones(4, device=device.name)
    device.forget()
    assert callable(look)
    look(x)
    assert kinds(device) == ["read"]
    assert "test_lagging_device.py" in device.waits[0].place


@pytest.mark.parametrize(
    ("kind", "look"),
    [
        ("shape", lambda x: x[x > 0]),
        ("shape", lambda x: x.nonzero()),
        ("shape", lambda x: torch.linalg.eigvalsh(x @ x.T)),
        ("send", lambda x: x.new_tensor([1.0])),
        ("send", lambda x: torch.tensor([1.0], device=x.device)),
        ("send", lambda x: x[torch.tensor([1, 0])]),
        ("send", lambda x: torch.ones(4).to(x.device)),
    ],
)
def test_what_else_makes_the_host_wait_is_written_down(
    kind: str, look: object, device: Device
) -> None:
    x = torch.ones(4, 4, device=device.name)
    device.forget()
    assert callable(look)
    look(x)
    assert kinds(device) == [kind]


def test_a_copy_from_pinned_memory_waits_for_nothing_and_one_from_other_memory_is_told(
    device: Device,
) -> None:
    there = send(torch.arange(3), torch.device(device.name))
    assert not device.waits
    assert not device.staged
    torch.arange(3).to(device.name, non_blocking=True)
    assert len(device.staged) == 1
    assert there.tolist() == [0, 1, 2]


def test_a_number_that_is_read_before_its_event_is_nonsense(device: Device) -> None:
    x = torch.full((), 3.0, device=device.name)
    host = torch.zeros((), pin_memory=True)
    host.copy_(x, non_blocking=True)
    event = torch.accelerator.current_stream(x.device).record_event()
    assert math.isnan(host.item())
    assert not event.query()
    for _ in range(device.lag + 1):
        x = x + 1
    assert math.isnan(host.item())  # it may have come, but nobody has asked
    assert event.query()
    assert host.item() == 3
    assert not device.waits


def test_pinned_memory_must_not_change_while_it_is_copied(device: Device) -> None:
    host = torch.zeros(3).pin_memory()
    there = host.to(device.name, non_blocking=True)
    host.fill_(1)
    with pytest.raises(RuntimeError, match="pinned memory changed while it was copied"):
        there + 1


def test_a_network_learns_there_what_it_learns_on_the_cpu() -> None:
    def weights(place: str) -> torch.Tensor:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        model.append(nn.Linear(64, 2))
        x, y = torch.randn(8, 3, 6, 6).to(place), torch.arange(8).remainder(2).to(place)
        optimizer = torch.optim.AdamW(model.to(place).parameters(), fused=True)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return torch.cat([each.detach().reshape(-1).cpu() for each in model.parameters()])

    here = weights("cpu")
    with lagging_device() as device:
        assert torch.equal(weights(device.name), here)


def test_several_tensors_are_fetched_in_one_transfer(device: Device) -> None:
    x = torch.arange(6.0, device=device.name).view(2, 3)
    device.forget()
    found = fetch({"matrix": x, "count": x.sum().long(), "here": torch.ones(2)})
    assert kinds(device) == ["read"]
    assert found["matrix"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["count"].item() == 15
    assert found["here"].tolist() == [1, 1]
    assert list(found) == ["matrix", "count", "here"]


def test_a_fetched_tensor_is_a_copy_and_keeps_double_precision() -> None:
    x = torch.tensor([1 / 3], dtype=torch.float64)
    found = fetch({"x": x})["x"]
    x.zero_()
    assert found.item() == 1 / 3
