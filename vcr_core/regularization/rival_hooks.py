"""What a rival hangs on a model: hooks that a copy of the model does not obey, and their notes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vcr_core.errors import ConfigError, FeaturesOverwrittenError
from vcr_core.regularization.contract import Unmeasured
from vcr_core.regularization.outputs import called


class RivalHook:
    """A hook that does what its rival says, and nothing in a copy of the model alone.

    ``act`` is what to do. It is left out of copies and pickles: a rival that is copied along with
    its model gives it back.
    """

    def __init__(self, rival: str) -> None:
        self.rival = rival
        self.act: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        return None if self.act is None else self.act(*arguments)

    def __getstate__(self) -> dict[str, Any]:
        return {"rival": self.rival, "act": None}


@dataclass
class RivalLayer:
    """A layer as ``contract.py`` sees it."""

    name: str
    optional: bool
    active: bool = True
    ran: bool = False
    unmeasured: Unmeasured | None = None


class Visit:
    """One forward of one layer: whether a backward came by, and whether with the penalty.

    Known from gradients alone, so that nothing waits for an accelerator.
    """

    def __init__(self, z: Tensor, penalty: Tensor) -> None:
        self.missed = self.received = False
        z.register_hook(self._pass)  # type: ignore[no-untyped-call]
        penalty.register_hook(self._join)  # type: ignore[no-untyped-call]

    @property
    def lost(self) -> bool:
        """Whether its penalty was in no loss that was stepped back from."""
        return self.missed and not self.received

    def _pass(self, _: Tensor) -> None:
        self.missed = True

    def _join(self, _: Tensor) -> None:
        self.received = True


def require_free(module: nn.Module, rival: str, layer: str) -> None:
    """Raise ``ConfigError`` where ``module`` obeys this rival already."""
    for hook in module._forward_hooks.values():
        if isinstance(hook, RivalHook) and hook.rival == rival and hook.act is not None:
            raise ConfigError(
                f"{rival!r} is already attached to {called(layer)}: call remove() on the first, "
                "or use it as a context manager, before attaching again",
                field="layers",
            )


def out_of_checkpoints() -> AbstractContextManager[object]:
    """Keep what is saved here out of a checkpoint's count.

    Activation checkpointing drops what a block saves, computes the block again in the backward and
    expects the same number of tensors. A penalty is not computed again; so its tensors are kept.
    """
    if torch.compiler.is_compiling():
        return nullcontext()
    return torch.autograd.graph.saved_tensors_hooks(_keep, _give)


def _keep(tensor: Tensor) -> tuple[Tensor, int]:
    return tensor.detach(), tensor._version


def _give(kept: tuple[Tensor, int]) -> Tensor:
    tensor, version = kept
    if tensor._version != version:
        raise FeaturesOverwrittenError(
            "features were overwritten by an in-place operation after a rival had seen them, so "
            "its gradient cannot be formed: use the out-of-place form there (for example "
            "nn.ReLU(inplace=False))"
        )
    return tensor
