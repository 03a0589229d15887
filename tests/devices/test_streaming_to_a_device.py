"""Pictures that stay on disk reach a device without the host waiting for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy
import torch
from lagging_device import Device
from PIL import Image
from torch import Tensor

from vcr_core.datasets.pictures import ScaledPixels
from vcr_core.datasets.streaming import Following, StreamedImages

STEPS, BATCH = 5, 4


def pictures() -> list[tuple[Image.Image, int]]:
    chance = numpy.random.default_rng(0)
    pixels = chance.integers(0, 256, (STEPS * BATCH, 8, 8, 3), dtype=numpy.uint8)
    return [(Image.fromarray(each), 0) for each in pixels]


def batches(step: int = 1) -> Iterator[Tensor]:
    yield from torch.arange(STEPS * BATCH).view(STEPS, BATCH)[step - 1 :]


def streamed() -> StreamedImages:
    images = StreamedImages(pictures(), torch.arange(STEPS * BATCH), middle=ScaledPixels(8))
    return images.standardised_by(torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4]))


def test_steps_in_their_order_are_handed_out_without_waiting(device: Device) -> None:
    images = streamed().to(torch.device(device.name))
    images.follow(Following(batches))
    there = torch.arange(STEPS * BATCH).view(STEPS, BATCH).to(device.name)
    found, waits = [], []
    for step in range(1, STEPS + 1):
        device.forget()
        found.append(images.at(step, there[step - 1]))
        waits.append(device.places() + [wait.place for wait in device.staged])
    assert len(waits[0]) == 1  # the first step sees whether it is the one that was expected
    assert not any(waits[1:]), waits
    everything = streamed()[torch.arange(STEPS * BATCH)]
    assert torch.equal(torch.cat([part.cpu() for part in found]), everything)
