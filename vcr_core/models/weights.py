"""Pretrained weights from a file of the user's. Nothing in the file is executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vcr_core.errors import ConfigError
from vcr_core.models.base import Model

FIELD = "model.pretrained"
#: What a checkpoint may wrap its weights in, and what data-parallel training puts before names.
WRAPPERS, PREFIX = ("state_dict", "model", "model_state_dict"), "module."
#: A classifier for other classes, by the names that torchvision, timm and we give it.
CLASSIFIERS = ("fc.", "heads.", "head.", "classifier.", "projector.")
INSIDE = ("", "network.")


def load_pretrained(model: Model, path: str | Path) -> None:
    """Load weights under torchvision's, timm's or our own names; the classifier stays new.

    Args:
        model: the network; it is changed only once everything fits.
        path: a ``.safetensors`` file, or one that ``torch.save`` wrote of a state dict.

    Raises:
        ConfigError: a file that is not there or cannot be read, or weights of another network.
    """
    place = Path(path).expanduser()
    state, own = _read(place), model.state_dict()
    fitted = getattr(model, "fitted", None)
    if fitted is not None:
        state = fitted(state)
    wanted = {name for name in own if not name.startswith(CLASSIFIERS)}
    found = _renamed(state, wanted)
    missing = sorted(wanted - set(found))
    if missing:
        raise ConfigError(
            f"expected the weights of this network in '{place}', {len(missing)} of "
            f"{len(wanted)} are not there, first '{missing[0]}': "
            f"it holds {', '.join(sorted(state)[:5])}, …",
            field=FIELD,
        )
    unknown = [name for name in _unused(state, found) if not name.startswith(CLASSIFIERS)]
    if unknown:
        raise ConfigError(
            f"expected the weights of this network in '{place}', it holds others too, first "
            f"'{unknown[0]}': choose the network that they belong to",
            field=FIELD,
        )
    for name, value in found.items():
        if value.shape != own[name].shape:
            raise ConfigError(
                f"expected '{name}' of shape {tuple(own[name].shape)}, got {tuple(value.shape)} "
                f"in '{place}': weights made for large images need images above 64 pixels and as "
                "many channels",
                field=FIELD,
            )
    model.load_state_dict(own | found)


def _renamed(state: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The weights that are wanted, under our names."""
    return {
        prefix + name: value
        for prefix in INSIDE
        for name, value in state.items()
        if prefix + name in wanted
    }


def _unused(state: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    return [name for name in state if not any(prefix + name in found for prefix in INSIDE)]


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"expected a file of weights, '{path}' is none", field=FIELD)
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[:1]
        raise ConfigError(
            f"expected weights in '{path}', which cannot be read ({''.join(reason)}): give a "
            ".safetensors file, or a state dict written by torch.save",
            field=FIELD,
        ) from error
    while isinstance(content, dict):
        inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), dict)), 0)
        if not inner:
            break
        content = inner
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"expected a table of named weights in '{path}'", field=FIELD)
    return {
        str(name).removeprefix(PREFIX): value
        for name, value in content.items()
        if isinstance(value, Tensor)
    }
