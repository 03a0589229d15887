"""Pay for the first step before anybody waits for it."""

from __future__ import annotations

import torch

from vcr_core.config import RunConfig
from vcr_core.training.experiment import prepare
from vcr_core.transfer import extract_features


def warm_up(config: RunConfig, *, threads: int) -> None:
    """Prepare a configuration's data and take one step, so that the next run starts at once.

    The data stay in the data sets' cache; model and step are thrown away.
    """
    torch.set_num_threads(threads)
    experiment = prepare(config)
    rows = torch.arange(config.training.batch_size, device=experiment.device)
    images = experiment.train_images[rows]
    loss = experiment.task_loss(rows, 1)
    (loss + experiment.penalty()).backward()  # type: ignore[no-untyped-call]
    experiment.optimizer.step()
    extract_features(experiment.measured, images)
    experiment.remove()
