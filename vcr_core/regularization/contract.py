"""What a training step owes its regulariser, and what to say where it is not kept.

In training every attached layer with a weight is measured between one ``penalty()`` and the next.
Where that is not so, nothing would look wrong: the loss falls, and the network is not regularised.
So each way in which it happens has its words here.

A step that fails midway and is tried again is one step: what the failed forward left is dropped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vcr_core.regularization.function import Visit
from vcr_core.regularization.hook import AttachedLayer, Unmeasured

Missing = Literal["raise", "ignore"]

SHOWN_NAMES = 3
ALLOW = (
    "a layer that runs at some steps only is named in attach(..., sometimes=[...]), and "
    "missing='ignore' allows all of it"
)
COMPILED = (
    "torch.compile had compiled it, or another model of its class, before attach(): call "
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


def not_measured(layers: Sequence[AttachedLayer]) -> str:
    """What is wrong with a step that measured some layers, but not these."""
    reasons = {
        "eval": "in eval() while others train: call .train() on it",
        "no_grad": (
            "under no_grad, or torch.utils.checkpoint(use_reentrant=True), while others have "
            "gradients: let it have them too, or pass use_reentrant=False"
        ),
        None: f"not called by the model's forward, or {COMPILED}",
    }
    said = [
        f"{_names([layer.name for layer in layers if layer.unmeasured == reason])} was {words}"
        for reason, words in reasons.items()
        if any(layer.unmeasured == reason for layer in layers)
    ]
    return (
        "expected every attached layer with a weight to be measured in this step: layer "
        f"{'; layer '.join(said)}. Take it out of layers=[...] if it is never used; {ALLOW}"
    )


def never_called(layers: Sequence[str]) -> str:
    """What can be wrong where no attached layer has run since the last step."""
    return (
        "expected a training forward of the attached model before penalty(), and none came by at "
        f"layer {_names(layers)}. Either another copy of the model trains: attach to that one, or "
        f"copy the model together with its handle; or {COMPILED}; or the model's forward does not "
        f"call its layers; or penalty() comes before the forward. {ALLOW[0].upper()}{ALLOW[1:]}"
    )


def backward_without(reason: Unmeasured, layers: Sequence[str]) -> str:
    """What is wrong with training on a loss whose penalty is a zero for want of measuring."""
    return (
        "expected the loss that is trained to carry a penalty, and no attached layer "
        f"({_names(layers)}) was measured: {WHY_IN_BACKWARD[reason]}. {ALLOW[0].upper()}{ALLOW[1:]}"
    )


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    more = len(names) - SHOWN_NAMES
    return shown + (f" and {more} more" if more > 0 else "")


class _Mark:
    """What the layers below a module held when its forward began."""

    def __init__(self, layers: Sequence[AttachedLayer]) -> None:
        self.kept: list[tuple[int, int, bool, Visit | None]] = [
            (len(x.pending), len(x.visits), x.ran, x.last_visit) for x in layers
        ]

    def restore(self, layers: Sequence[AttachedLayer]) -> None:
        """Drop what came since."""
        for layer, (pending, visits, ran, last) in zip(layers, self.kept, strict=True):
            del layer.pending[pending:], layer.visits[visits:]
            layer.ran, layer.last_visit = ran, last


class ForwardWatch:
    """Hooks of a module above attached layers: a forward that fails leaves nothing behind."""

    def __init__(self, layers: Sequence[AttachedLayer]) -> None:
        self.layers = tuple(layers)
        self.marks: list[_Mark] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers, "marks": []}

    def begin(self, module: nn.Module, inputs: Any) -> None:
        """Forward pre-hook."""
        if not torch.compiler.is_compiling():
            self.marks.append(_Mark(self.layers))

    def end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Forward hook, called while an error passes as well: then there is no output."""
        if torch.compiler.is_compiling() or not self.marks:
            return
        mark = self.marks.pop()
        if output is None and sys.exc_info()[0] is not None:
            mark.restore(self.layers)


def watch_forwards(model: nn.Module, layers: Sequence[AttachedLayer]) -> list[RemovableHandle]:
    """Watch every module that has attached layers below it."""
    below: dict[str, list[AttachedLayer]] = {}
    for layer in layers:
        path = layer.name.split(".")
        for depth in range(len(path)):
            below.setdefault(".".join(path[:depth]), []).append(layer)
    handles: list[RemovableHandle] = []
    for name, inside in below.items():
        module, watch = model.get_submodule(name), ForwardWatch(inside)
        handles.append(module.register_forward_pre_hook(watch.begin))
        handles.append(module.register_forward_hook(watch.end, always_call=True))
    return handles
