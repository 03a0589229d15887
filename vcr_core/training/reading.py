"""How training reads images that stay on disk: ahead, in the order of its steps, cut as asked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from torch import Tensor

from vcr_core.config import RunConfig
from vcr_core.datasets.batches import batch_indices
from vcr_core.datasets.streaming import Following, Images, StreamedImages

VIEWS = {"simclr": 2, "vicreg": 2}


def in_order(images: Images, config: RunConfig) -> Images:
    """The images themselves; those on disk will be read ahead, random crops cut by the readers."""
    if not isinstance(images, StreamedImages):
        return images
    size, repeats = config.training.batch_size, config.training.repeats
    total = len(images)

    def rows_from(step: int) -> Iterator[Tensor]:
        first, within = divmod(step - 1, total // size)
        for epoch in count(first):  # a run may be extended
            batches = batch_indices(total, size, epoch, config.seed, repeats=repeats)
            yield from batches[within if epoch == first else 0 :]

    amounts = config.augmentation
    part = images.random_part(amounts.smallest_crop, amounts.crop_size)
    views = VIEWS.get(config.objective.name, 1)
    images.follow(Following(rows_from, part, views=views, seed=config.seed))
    return images
