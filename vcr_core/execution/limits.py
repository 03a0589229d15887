"""What a run and an owner may take, in one validated place. Nothing is limited by default.

A shared server sets limits in ``VCR_LAB_LIMITS``, as JSON or as the path of a JSON file::

    {"epochs": 50, "parameters": 5000000, "minutes": 10, "queued_per_owner": 4}

They are checked where a run is submitted, whatever the page sent, and again before it starts.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from vcr_core.config import RunConfig, Section
from vcr_core.datasets.catalog import dataset_info
from vcr_core.errors import ConfigError, LimitError

VARIABLE = "VCR_LAB_LIMITS"


class Limits(Section):
    """The most that is allowed; ``None`` allows any number."""

    epochs: int | None = Field(None, ge=1, description="Epochs of a run.")
    images: int | None = Field(None, ge=10, description="Training images of a run.")
    parameters: int | None = Field(None, ge=1, description="Parameters of a network.")
    minutes: float | None = Field(None, gt=0, description="Minutes of training of a run.")
    queued_per_owner: int | None = Field(None, ge=1, description="Waiting runs of one owner.")
    running_per_owner: int | None = Field(
        None, ge=1, description="Runs of one owner that train at the same time."
    )
    idle_minutes: float | None = Field(
        20.0, gt=0, description="Minutes without a finished step before a run counts as hung."
    )

    def check(self, config: RunConfig) -> None:
        """See that a run asks for no more than it may; its parameters are counted later.

        Raises:
            ConfigError: names the field that asks for too much.
        """
        if self.epochs is not None and config.training.epochs > self.epochs:
            raise ConfigError(
                f"expected at most {self.epochs} epochs on this server, got "
                f"{config.training.epochs}: choose fewer",
                field="training.epochs",
            )
        images = config.data.train_size or dataset_info(config.data.dataset).train_size
        if self.images is not None and images > self.images:
            raise ConfigError(
                f"expected at most {self.images} training images on this server, got {images}: "
                "choose fewer",
                field="data.train_size",
            )

    def check_parameters(self, count: int) -> None:
        """See that a network is not too large.

        Raises:
            ConfigError: it has more parameters than are allowed.
        """
        if self.parameters is not None and count > self.parameters:
            raise ConfigError(
                f"expected a network of at most {self.parameters:,} parameters on this server, "
                f"got {count:,}: choose a smaller one",
                field="model.name",
            )

    def check_queue(self, owner: str, *, queued: int, adding: int = 1) -> None:
        """See that an owner may queue more runs.

        Raises:
            LimitError: too many of this owner's runs wait already.
        """
        if self.queued_per_owner is not None and queued + adding > self.queued_per_owner:
            whose = f"'{owner}'" if owner else "you"
            raise LimitError(
                f"expected at most {self.queued_per_owner} waiting runs of {whose} on this "
                f"server, got {queued} and {adding} more: wait for one to start, or stop one"
            )


def load_limits() -> Limits:
    """The limits of this server.

    Raises:
        ConfigError: ``VCR_LAB_LIMITS`` holds none.
    """
    chosen = os.environ.get(VARIABLE, "").strip()
    if not chosen:
        return Limits()
    try:
        text = chosen if chosen.startswith("{") else Path(chosen).read_text(encoding="utf-8")
        return Limits.model_validate(_tree(text))
    except OSError as error:
        raise ConfigError(
            f"expected JSON or the path of a JSON file, got '{chosen}' ({error.strerror})",
            field=VARIABLE,
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{name}: {first['msg'].lower()}, got {first['input']!r}; the limits are "
            f"{', '.join(Limits.model_fields)}",
            field=VARIABLE,
        ) from error


def _tree(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"expected JSON, got something else ({error})", field=VARIABLE) from error
