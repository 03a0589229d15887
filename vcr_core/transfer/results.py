"""What a protocol measured on a target, as plain data. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from vcr_core.errors import ConfigError
from vcr_core.transfer.intervals import Interval

Protocol = Literal["linear", "knn", "few-shot", "ncm", "fine-tune"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

TITLES: Mapping[Protocol, str] = {
    "linear": "linear probe, strength chosen on held-out training images",
    "knn": "vote of the nearest neighbours",
    "few-shot": "linear probe from a few images a class",
    "ncm": "nearest class mean",
    "fine-tune": "the whole network goes on learning",
}


@dataclass(frozen=True)
class TargetResult:
    """Accuracy on a target as a share of 1, with its 95 % interval.

    ``samples`` are what the accuracy is the mean of, in an order that is the same for every run on
    the same data: 1 or 0 for each test image, or the accuracies of the draws of few-shot. Pairs of
    them give the interval of a difference between two runs.
    """

    target: str
    interval: Interval
    samples: tuple[float, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        return self.interval.mean

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON and the store, without the samples."""
        return {
            **self.interval.as_dict(),
            "samples": len(self.samples),
            **self.details,
        }


def find_protocol(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    for protocol in PROTOCOLS:
        if protocol == name:
            return protocol
    raise ConfigError(f"expected one of {', '.join(PROTOCOLS)}, got '{name}'", field="protocol")
