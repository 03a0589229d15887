"""What a ready-made experiment is."""

from __future__ import annotations

from dataclasses import dataclass

from vcr_core.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """A named experiment. ``highlights`` are the targets on which the difference is plainest.

    ``seconds`` is what a pair took on two cores, the median of the runs in
    ``docs/results/presets.json`` or ``presets_video.json``; None where it was not measured over
    seeds.
    ``large`` ones want a GPU and data that is downloaded or placed first; their *small* twin asks
    the same question in minutes on two cores: ``twin`` is its name.
    """

    name: str
    title: str
    summary: str
    look_for: str
    highlights: tuple[str, ...]
    config: RunConfig
    large: bool = False
    seconds: int | None = None
    twin: str | None = None
