"""Images, and clips, that stay on disk and are decoded when a step needs them.

A set whose tensor would be too large for the device keeps this in the tensor's place. It offers
what runs use of a tensor: length, shape, rows by index, a move to a device, parts in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import tee
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vcr_core.datasets.pictures import Chance
from vcr_core.device_copies import send
from vcr_core.errors import DataError

#: Largest set, in bytes of float32, that becomes a tensor.
TENSOR_BYTES = 2 << 30
READ_AHEAD = 4  # pieces that a worker prepares
PIECE = 128  # images, or frames of clips, that a worker decodes at a time
#: Which picture, and what decides the part of it; None for the middle.
Key = tuple[int, Chance | None]
Order = Callable[[int], Iterator[Tensor]]
#: What PIL raises for pictures that are broken, or would fill the memory.
BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


class Part(Protocol):
    """A random part of a picture, or of a video, of which ``chance`` decides."""

    def __call__(self, picture: Any, chance: Chance, /) -> Tensor: ...


class Middle(Protocol):
    """The middle of a picture (3, S, S), or of a video (3, T, S, S), as uint8 pixels."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __call__(self, picture: Any, /) -> Tensor: ...
    def random_part(self, smallest: float, size: int | None = None) -> Part | None: ...


@dataclass(frozen=True)
class _Unreadable:
    """What a worker returns for pictures that do not decode: an error there loses its words."""

    why: str


class _Pixels(Dataset[Tensor | _Unreadable]):
    """The pictures of a torchvision data set, decoded and cut, without their labels."""

    def __init__(self, pictures: Any, middle: Middle, part: Part | None = None) -> None:
        self.pictures, self.middle, self.part = pictures, middle, part

    def __getitem__(self, key: Key) -> Tensor | _Unreadable:
        place, chance = key
        try:
            picture = self.pictures[place][0]
            if chance is None or self.part is None:
                return self.middle(picture)
            return self.part(picture, chance)
        except DataError as error:  # it names the file
            return _Unreadable(str(error))
        except BROKEN as error:
            return _Unreadable(
                f"expected an image that can be decoded, number {place} of "
                f"{type(self.pictures).__name__} is none ({error}): place its files again"
            )


def _stacked(found: list[Tensor | _Unreadable]) -> Tensor | _Unreadable:
    for each in found:
        if isinstance(each, _Unreadable):
            return each
    return torch.stack([each for each in found if isinstance(each, Tensor)])


@dataclass(frozen=True)
class Following:
    """How training reads: ``order(step)`` gives the rows of that step and of all after it.

    With ``part`` every step cuts ``views`` random parts of each picture, of its own chance.
    """

    order: Order
    part: Part | None = None
    views: int = 1
    seed: int = 0
    rank: int = 0

    def chances(self, step: int, count: int) -> list[list[Chance | None]]:
        """What decides the parts of a step's ``count`` images, view by view."""
        if self.part is None:
            return [[None] * count]
        return [
            [(self.seed, self.rank, step, view, image) for image in range(count)]
            for view in range(self.views)
        ]


class StreamedImages:
    """Rows of a torchvision data set as standardised images (N, 3, S, S), decoded on demand.

    ``pictures[row][0]`` is a PIL picture, of which the middle is taken (see ``ScaledPixels``), or
    the file of a video, which becomes a clip (3, T, S, S) (see ``MiddleClip``); training may ask
    for random parts of other size. ``rows`` (N,) says which rows these are.
    ``workers`` processes decode ahead of the training loop; 0 decodes in this one.
    """

    def __init__(self, pictures: Any, rows: Tensor, *, middle: Middle, workers: int = 0) -> None:
        self._pixels, self._rows, self._workers = _Pixels(pictures, middle), rows, workers
        self.mean, self.std = torch.zeros(3), torch.ones(3)
        self.device = torch.device("cpu")
        self._following: Following | None = None
        self._coming: Iterator[list[Tensor]] | None = None
        self._last: tuple[int, Tensor, list[Tensor]] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> torch.Size:
        """(N, 3, S, S), of clips (N, 3, T, S, S)."""
        return torch.Size((len(self), *self._pixels.middle.shape))

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
        return self._handed_out(self._read(self._middles(rows)))

    def parts(self, size: int) -> Iterator[Tensor]:
        """All images in order, ``size`` at a time."""
        rows = torch.split(torch.arange(len(self)), size)
        yield from map(self._handed_out, self._loader(self._middles(each) for each in rows))

    # -------------------------------------------------------------------- training

    def random_part(self, smallest: float, size: int | None) -> Part | None:
        """What cuts random parts of these images for training; None where the middle is taken."""
        return self._pixels.middle.random_part(smallest, size)

    def follow(self, following: Following) -> None:
        """Read ahead in the order in which training steps will ask."""
        self._following = following
        self._pixels.part = following.part

    def shared(self, part: Callable[[Tensor], Tensor], rank: int) -> StreamedImages:
        """The same for one of several processes, which reads its own ``part`` of every batch."""
        mine, following = self._with(self._rows), self._following
        if following is not None:
            mine.follow(
                replace(following, order=lambda step: map(part, following.order(step)), rank=rank)
            )
        return mine

    def at(self, step: int, rows: Tensor, *, view: int = 0) -> Tensor:
        """A view of the images of a training step; read ahead where steps follow each other."""
        if self._last is None or self._last[0] != step or self._last[1] is not rows:
            self._last = (step, rows, self._next(step, rows))
        views = self._last[2]
        return views[min(view, len(views) - 1)]

    def _next(self, step: int, rows: Tensor) -> list[Tensor]:
        following = self._following
        if following is None:
            return [self[rows]]
        goes_on = self._last is not None and self._last[0] == step - 1
        if self._coming is None or not goes_on:
            if not torch.equal(next(following.order(step)).cpu(), rows.cpu()):
                return [
                    self._handed_out(self._read(list(zip(self._places(rows), each, strict=True))))
                    for each in following.chances(step, len(rows))
                ]
            self._coming = self._read_ahead(following, step)
        return next(self._coming)

    def _read_ahead(self, following: Following, step: int) -> Iterator[list[Tensor]]:
        """The views of every step from ``step`` on; workers decode pieces of them."""
        ahead, here = tee(following.order(step))
        piece = max(1, PIECE // self.shape[2:-2].numel())

        def pieces() -> Iterator[list[Key]]:
            for at, rows in enumerate(ahead, start=step):
                places = self._places(rows)
                for chances in following.chances(at, len(rows)):
                    keys = list(zip(places, chances, strict=True))
                    yield from (keys[i : i + piece] for i in range(0, len(keys), piece))

        found = iter(self._loader(pieces()))
        views = len(following.chances(step, 0))
        for rows in here:
            count = -(-len(rows) // piece)
            yield [
                torch.cat([self._handed_out(next(found)) for _ in range(count)])
                for _ in range(views)
            ]

    # --------------------------------------------------------------------- reading

    def _read(self, keys: list[Key]) -> Tensor | _Unreadable:
        return _stacked([self._pixels[key] for key in keys])

    def _loader(self, keys: Iterable[list[Key]]) -> DataLoader[Any]:
        return DataLoader(
            self._pixels,
            batch_sampler=keys,
            collate_fn=_stacked,
            num_workers=self._workers,
            prefetch_factor=READ_AHEAD if self._workers else None,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else the loader draws from the training's chance
        )

    def _middles(self, rows: Tensor) -> list[Key]:
        return [(place, None) for place in self._places(rows)]

    def _places(self, rows: Tensor) -> list[int]:
        places: list[int] = self._rows[rows.cpu()].tolist()
        return places

    def _handed_out(self, pixels: Tensor | _Unreadable) -> Tensor:
        if isinstance(pixels, _Unreadable):
            raise DataError(pixels.why)
        images = send(pixels, self.device).float().div_(255)
        around = (1, 3, *[1] * (images.ndim - 2))
        mean, std = (send(value, self.device).view(around) for value in (self.mean, self.std))
        return images.sub_(mean).div_(std)

    def _with(self, rows: Tensor) -> StreamedImages:
        pixels = self._pixels
        same = StreamedImages(pixels.pictures, rows, middle=pixels.middle, workers=self._workers)
        same.mean, same.std, same.device = self.mean, self.std, self.device
        return same


Images = Tensor | StreamedImages


def parts_of(images: Images, size: int) -> Iterator[Tensor]:
    """Images in order, ``size`` at a time, whether they lie on the device or on disk."""
    if isinstance(images, Tensor):
        yield from torch.split(images, size)
    else:
        yield from images.parts(size)
