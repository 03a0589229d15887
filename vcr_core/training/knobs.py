"""Settings that take effect while a run trains: what to do with an experiment when one is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from vcr_core.config import BY_LAYER, RunConfig, get_value, live_fields, split_name
from vcr_core.errors import ConfigError
from vcr_core.training.experiment import Experiment


def turn(experiment: Experiment, live: RunConfig, field: str) -> None:
    """Let an experiment follow the setting ``field`` of ``live`` from the next step on.

    Raises:
        ConfigError: this experiment has nothing that the setting could act on.
    """
    field, _ = split_name(field)
    section, _, name = field.partition(".")
    value = get_value(live, field)
    if field in BY_LAYER:
        experiment.regularization.set_factors(live.layer_factors)
    elif section == "regularizer":
        experiment.regularization.set_weights(**{name: value})
    elif field in TURNS:
        TURNS[field](experiment, value)


def turn_all(experiment: Experiment, live: RunConfig) -> None:
    """Follow every live setting of ``live``, whatever the experiment followed before."""
    for field in live_fields():
        turn(experiment, live, field)


def _weight_decay(experiment: Experiment, value: float) -> None:
    for group in experiment.optimizer.param_groups:
        if group["decays"]:
            group["weight_decay"] = value


def _dropout(experiment: Experiment, value: float) -> None:
    found = [each for each in experiment.model.head.modules() if isinstance(each, nn.Dropout)]
    if not found and value != experiment.config.model.dropout:
        raise ConfigError(
            f"the network '{experiment.config.model.name}' drops no features before its "
            "classifier: choose another network to use dropout",
            field="model.dropout",
        )
    for dropout in found:
        dropout.p = value


#: The learning rate is read at every step; these are told to where they act.
TURNS: Mapping[str, Callable[[Experiment, float], None]] = {
    "optimizer.weight_decay": _weight_decay,
    "model.dropout": _dropout,
}
