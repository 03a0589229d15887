"""What a training step owes its regulariser, and what to say where it is not kept.

In training every attached layer with a weight is measured between one ``penalty()`` and the next.
Where that is not so, nothing would look wrong: the loss falls, and the network is not regularised.
So each way in which it happens has its words here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from vcr_core.errors import LayerNotMeasuredError
from vcr_core.regularization.outputs import called

Missing = Literal["raise", "ignore"]

#: Why a forward of a layer was not measured.
Unmeasured = Literal["eval", "no_grad", "frozen"]

SHOWN_NAMES = 3
ALLOW = (
    "a layer that runs at some steps only is named by sometimes=[...] when attaching, and "
    "missing='ignore' allows all of it"
)
COMPILED = (
    "torch.compile had compiled it, or another model of its class, before: call "
    "torch._dynamo.reset() after attaching"
)
WHY_IN_BACKWARD: dict[Unmeasured, str] = {
    "eval": "its layers were in eval(): call model.train() before the forward",
    "no_grad": (
        "its layers ran under no_grad, or under torch.utils.checkpoint(use_reentrant=True), "
        "which hides them as well: let them have gradients, or pass use_reentrant=False"
    ),
    "frozen": (
        "nothing at or below its layers trains, so that there is nothing to regularise: unfreeze "
        "them, attach to later layers, or set the weights to 0 meanwhile"
    ),
}
NEVER_CALLED = (
    "Either another copy of the model trains: attach to that one, or copy the model together with "
    f"its handle; or {COMPILED}; or the model's forward does not call its layers; or penalty() "
    "comes before the forward"
)
WHY_BESIDE_OTHERS: dict[Unmeasured | None, str] = {
    "eval": "in eval() while others train: call .train() on it",
    "no_grad": (
        "under no_grad, or torch.utils.checkpoint(use_reentrant=True), while others have "
        "gradients: let it have them too, or pass use_reentrant=False"
    ),
    None: (
        "not called by the model's forward (a module put in its place since is not attached to), "
        f"or {COMPILED}"
    ),
}


class Watched(Protocol):
    """A layer as the contract sees it.

    ``active``      whether it has a weight
    ``optional``    whether it runs at some steps only, by intent
    ``ran``         whether a training forward of this step came by, with gradients
    ``unmeasured``  why the last forward of this step that was not measured was not
    """

    name: str
    optional: bool
    ran: bool
    unmeasured: Unmeasured | None

    @property
    def active(self) -> bool:
        """See above."""


def why_unmeasured(module: nn.Module, output: Any) -> Unmeasured:
    """Why a forward in ``eval()`` or without gradients is not measured.

    A layer that could not learn anyway is frozen, whatever mode it is in.
    """
    if not torch.is_grad_enabled():
        weights = [parameter.requires_grad for parameter in module.parameters()]
        return "frozen" if weights and not any(weights) else "no_grad"
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    return "eval" if isinstance(first, Tensor) and first.requires_grad else "frozen"


class StepContract:
    """Holds the layers of one regulariser to being measured in every step."""

    def __init__(self, layers: Sequence[Watched], missing: Missing) -> None:
        self.layers = tuple(layers)
        self.missing = missing
        self.attached = True
        self.spent = False  # whether a zero that was rightly given has been trained on

    @property
    def holds(self) -> bool:
        """Whether a step without a penalty is a mistake."""
        owing = any(layer.active and not layer.optional for layer in self.layers)
        return owing and self.attached and self.missing == "raise"

    def end_step(self) -> str:
        """Close a step in which some layers were measured; says what is wrong, if anything."""
        self.spent = False
        missed = [layer for layer in self.layers if self.holds and _misses(layer)]
        if not missed:
            return ""
        said = [
            f"{_names([layer.name for layer in missed if layer.unmeasured == reason])} was {words}"
            for reason, words in WHY_BESIDE_OTHERS.items()
            if any(layer.unmeasured == reason for layer in missed)
        ]
        return (
            "expected every attached layer with a weight to be measured in this step: "
            f"{'; '.join(said)}. Take it out of layers=[...] if it is never used; {ALLOW}"
        )

    def without_forward(self, last: Tensor | None) -> Tensor:
        """The penalty where no training forward came by since the ``last`` one was asked for.

        Raises ``LayerNotMeasuredError`` where none ever did.
        """
        if not self.holds:
            return torch.zeros(()) if last is None else last
        reasons = [layer.unmeasured for layer in self.layers if layer.unmeasured]
        for layer in self.layers:
            layer.unmeasured = None
        if reasons:
            return self.zero(reasons[0])
        if last is None:
            raise LayerNotMeasuredError(self._never_called())
        return self._refusing(self._never_called()) if self.spent else last

    def zero(self, reason: Unmeasured) -> Tensor:
        """A zero that may be looked at; an error in the backward of a loss that has it in it."""
        if not self.holds:
            return torch.zeros(())
        return self._refusing(
            f"expected the loss that is trained to carry a penalty, and {self._all()} was not "
            f"measured: {WHY_IN_BACKWARD[reason]}. {ALLOW[0].upper()}{ALLOW[1:]}"
        )

    def rightful_zero(self, device: torch.device) -> Tensor:
        """The zero of a step that owes nothing; once it was trained on, the next one owes again.

        On the ``device`` of the layers, so that its gradient has no way to go.
        """
        self.spent = False
        return _hooked(torch.zeros((), device=device, requires_grad=True), self._spend)

    def _spend(self, _: Tensor) -> None:
        self.spent = True

    def _refusing(self, message: str) -> Tensor:
        return _hooked(torch.zeros((), requires_grad=True), partial(_refuse, message))

    def _never_called(self) -> str:
        return (
            "expected a training forward of the attached model before penalty(), and none came by "
            f"at {self._all()}. {NEVER_CALLED}. {ALLOW[0].upper()}{ALLOW[1:]}"
        )

    def _all(self) -> str:
        return _names([layer.name for layer in self.layers])


def _hooked(zero: Tensor, hook: Callable[[Tensor], None]) -> Tensor:
    zero.register_hook(hook)  # type: ignore[no-untyped-call]
    return zero


def _misses(layer: Watched) -> bool:
    """Whether a layer should have been measured in a step in which others were."""
    needed = layer.active and not layer.optional
    return needed and not layer.ran and layer.unmeasured != "frozen"


def _refuse(message: str, _: Tensor) -> None:
    raise LayerNotMeasuredError(message)


def _names(names: Sequence[str]) -> str:
    if not any(names):
        return called("")
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return f"layer {shown}" + (f" and {more} more" if more > 0 else "")
