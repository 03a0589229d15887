"""What a study of evidence is: settings, each with arms that are tuned alike and compared by seed.

    Study     one question, answered by several settings
    Setting   a base configuration: data, network, length of training
    Arm       one side of the comparison in a setting: the changes among which it may choose

Where an arm has several candidates, each is tried on the tuning seeds with accuracies measured on
a fifth of the training images; the one with the highest mean transfer accuracy there is then run
on the study's own seeds and measured on the test images. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vcr_core.config import RunConfig, override
from vcr_core.errors import ConfigError

Phase = Literal["tuning", "final"]
SEEDS = (0, 1, 2, 3, 4)
TUNING_SEEDS = (100,)
ON_VALIDATION = {"data.measured_on": "validation"}
#: Settings of every run: numbers that one core of any machine repeats, and few reports.
FRUGAL: Mapping[str, Any] = {
    "execution.device": "cpu",
    "execution.threads": 1,
    "telemetry.reports": 2,
    "telemetry.snapshots": 1,
    "transfer.probes": 1,
}

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """One side of a comparison: the changes of the setting among which it chooses."""

    name: str
    candidates: tuple[Changes, ...] = ({},)


@dataclass(frozen=True)
class Setting:
    """One base configuration with its arms. ``tags`` say what kind it is, to group by."""

    name: str
    base: RunConfig
    arms: tuple[Arm, ...]
    tags: Mapping[str, str] = field(default_factory=dict)

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)


@dataclass(frozen=True)
class Job:
    """One run that a study wants."""

    setting: str
    arm: str
    phase: Phase
    candidate: int
    changes: Changes
    config: RunConfig

    @property
    def key(self) -> tuple[str, str, Phase, int, int]:
        """What tells it from every other run of the study."""
        return self.setting, self.arm, self.phase, self.candidate, self.config.seed

    @property
    def label(self) -> str:
        """Which run this is, in a few words."""
        return f"{self.setting} · {self.arm} · {self.phase} · seed {self.config.seed}"


@dataclass(frozen=True)
class Study:
    """A question and the settings that answer it. ``baseline`` is the arm that others are compared
    with; ``quick`` names the settings of the ten-minute version."""

    name: str
    title: str
    question: str
    settings: tuple[Setting, ...]
    baseline: str
    seeds: tuple[int, ...] = SEEDS
    tuning_seeds: tuple[int, ...] = TUNING_SEEDS
    quick: tuple[str, ...] = ()

    def setting(self, name: str) -> Setting:
        """The setting of that name.

        Raises:
            ConfigError: there is none; the message lists those there are.
        """
        for setting in self.settings:
            if setting.name == name:
                return setting
        known = ", ".join(setting.name for setting in self.settings)
        raise ConfigError(f"expected a setting of '{self.name}' ({known}), got '{name}'")

    def shortened(self) -> Study:
        """The quick version: a few settings on three seeds, in a result file of its own."""
        chosen = self.quick or tuple(setting.name for setting in self.settings[:2])
        return replace(
            self,
            name=f"{self.name}-quick",
            settings=tuple(self.setting(name) for name in chosen),
            seeds=self.seeds[:3],
        )

    def arms(self) -> Iterator[tuple[Setting, Arm]]:
        """Every arm of every setting."""
        return ((setting, arm) for setting in self.settings for arm in setting.arms)

    def jobs(self) -> Iterator[Job]:
        """Every run that the study could ever want, whichever candidates are chosen."""
        for setting, arm in self.arms():
            for candidate in range(len(arm.candidates)):
                if len(arm.candidates) > 1:
                    for seed in self.tuning_seeds:
                        yield make_job(setting, arm, "tuning", candidate, seed)
                for seed in self.seeds:
                    yield make_job(setting, arm, "final", candidate, seed)


def make_job(setting: Setting, arm: Arm, phase: Phase, candidate: int, seed: int) -> Job:
    """One run of a setting's arm.

    Raises:
        ConfigError: changes that the setting's configuration cannot take.
    """
    changes = arm.candidates[candidate]
    measured = ON_VALIDATION if phase == "tuning" else {}
    config = override(setting.base, {**FRUGAL, **changes, **measured, "seed": seed})
    return Job(setting.name, arm.name, phase, candidate, changes, config)
