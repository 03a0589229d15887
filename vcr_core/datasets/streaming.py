"""Images that stay on disk and are decoded when a step needs them.

A set whose tensor would be too large for the device keeps this in the tensor's place. It offers
what runs use of a tensor: length, shape, rows by index, a move to a device, parts in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional as transforms

from vcr_core.errors import DataError

#: Largest set, in bytes of float32, that becomes a tensor.
TENSOR_BYTES = 2 << 30
READ_AHEAD = 4  # batches a worker prepares


class ScaledPixels:
    """From a picture to (3, S, S) uint8: the shorter side scaled to S, the middle kept."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, picture: Image.Image) -> Tensor:
        """(3, S, S) uint8."""
        resized = transforms.resize(picture.convert("RGB"), [self.size], antialias=True)
        pixels: Tensor = transforms.pil_to_tensor(transforms.center_crop(resized, [self.size]))
        return pixels


class _Pixels(Dataset[Tensor]):
    """The pictures of a torchvision data set, without their labels."""

    def __init__(self, pictures: Any) -> None:
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> Tensor:
        try:
            pixels: Tensor = self.pictures[row][0]
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"expected an image that can be decoded, number {row} of "
                f"{type(self.pictures).__name__} is none ({error}): place its files again"
            ) from error
        return pixels


class StreamedImages:
    """Rows of a torchvision data set as standardised images (N, 3, S, S), decoded on demand.

    ``pictures[row][0]`` is a uint8 tensor (3, S, S). ``rows`` (N,) says which rows these are.
    ``workers`` processes decode ahead of the training loop; 0 decodes in this one.
    """

    def __init__(self, pictures: Any, rows: Tensor, *, size: int, workers: int = 0) -> None:
        self._pixels, self._rows, self._size, self._workers = _Pixels(pictures), rows, size, workers
        self.mean, self.std = torch.zeros(3), torch.ones(3)
        self.device = torch.device("cpu")
        self._order: Callable[[int], Iterator[Tensor]] | None = None
        self._coming: Iterator[Tensor] | None = None
        self._last: tuple[int, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> torch.Size:
        """(N, 3, S, S)."""
        return torch.Size((len(self), 3, self._size, self._size))

    def take(self, rows: Tensor) -> StreamedImages:
        """Some of these images, still on disk."""
        return self._with(self._rows[rows.cpu()])

    def to(self, device: torch.device) -> StreamedImages:
        """The same, handed out on a device."""
        moved = self._with(self._rows)
        moved.device = device
        return moved

    def standardised_by(self, mean: Tensor, std: Tensor) -> StreamedImages:
        """The same, handed out less ``mean`` (3,) and over ``std`` (3,) of pixels in [0, 1]."""
        standardised = self._with(self._rows)
        standardised.mean, standardised.std = mean, std
        return standardised

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Standardised images (M, 3, S, S) float32 of the rows (M,), on the device."""
        return self._handed_out(torch.stack([self._pixels[row] for row in self._places(rows)]))

    def parts(self, size: int) -> Iterator[Tensor]:
        """All images in order, ``size`` at a time."""
        rows = torch.split(torch.arange(len(self)), size)
        yield from map(self._handed_out, self._loader(iter(rows)))

    def follow(self, order: Callable[[int], Iterator[Tensor]]) -> None:
        """Read ahead: ``order(step)`` gives the rows of that training step and all after it."""
        self._order = order

    def at(self, step: int, rows: Tensor) -> Tensor:
        """The images of a training step; read ahead where steps come one after another."""
        if self._last is None or self._last[0] != step or not torch.equal(self._last[1], rows):
            self._last = (step, rows, self._next(step, rows))
        return self._last[2]

    def _next(self, step: int, rows: Tensor) -> Tensor:
        if self._order is None or not torch.equal(next(self._order(step)).cpu(), rows.cpu()):
            return self[rows]
        if self._coming is None or self._last is None or self._last[0] != step - 1:
            self._coming = iter(self._loader(self._order(step)))
        return self._handed_out(next(self._coming))

    def _loader(self, order: Iterator[Tensor]) -> DataLoader[Tensor]:
        return DataLoader(
            self._pixels,
            batch_sampler=map(self._places, order),
            num_workers=self._workers,
            prefetch_factor=READ_AHEAD if self._workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else the loader draws from the training's chance
        )

    def _places(self, rows: Tensor) -> list[int]:
        places: list[int] = self._rows[rows.cpu()].tolist()
        return places

    def _handed_out(self, pixels: Tensor) -> Tensor:
        images = pixels.to(self.device, non_blocking=True).float().div_(255)
        mean, std = (value.to(self.device).view(1, 3, 1, 1) for value in (self.mean, self.std))
        return images.sub_(mean).div_(std)

    def _with(self, rows: Tensor) -> StreamedImages:
        same = StreamedImages(self._pixels.pictures, rows, size=self._size, workers=self._workers)
        same.mean, same.std, same.device = self.mean, self.std, self.device
        return same


Images = Tensor | StreamedImages


def parts_of(images: Images, size: int) -> Iterator[Tensor]:
    """Images in order, ``size`` at a time, whether they lie on the device or on disk."""
    if isinstance(images, Tensor):
        yield from torch.split(images, size)
    else:
        yield from images.parts(size)
