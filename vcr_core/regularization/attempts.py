"""A forward that does not reach its end leaves nothing behind: tried again, it counts once.

It may fail inside (out of memory, a batch of a wrong shape), or be interrupted from outside, as
when a notebook's cell is stopped. What the layers below noted until then belongs to no step.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from vcr_core.regularization.compiled import OUTSIDE, leave_to_python, never_traced
from vcr_core.regularization.function import Visit
from vcr_core.regularization.hook import AttachedLayer

FORWARD_OF_MODULES = "_call_impl"  # torch's own, around every module's forward


def is_nested(module: nn.Module) -> bool:
    """Whether a forward of ``module`` that now begins lies inside another one of the same."""
    running, frame = 0, sys._getframe(1)
    while frame is not None and running < 2:
        own = frame.f_code.co_name == FORWARD_OF_MODULES and frame.f_locals.get("self") is module
        running, frame = running + own, frame.f_back  # type: ignore[assignment]
    return running > 1


def failed(output: Any) -> bool:
    """In a forward hook that is always called: whether it is called because of an error."""
    return output is None and sys.exc_info()[0] is not None


#: What a layer held when a forward began: penalties, visits, whether it ran, the last visit.
Mark = tuple[int, int, bool, Visit | None]


def _go_back(layers: Sequence[AttachedLayer], marks: Sequence[Mark]) -> None:
    """Drop what the layers noted since."""
    for layer, (pending, visits, ran, last) in zip(layers, marks, strict=True):
        del layer.pending[pending:], layer.visits[visits:]
        layer.ran, layer.last_visit = ran, last


class Attempts:
    """Hooks of a module above attached layers; ``outermost`` for the model itself.

    Inside of compiled code no hook is called after an error. There the layers note their penalties
    in a list that the model's forward begins anew, and that counts once the forward has ended.
    """

    def __init__(self, layers: Sequence[AttachedLayer], *, outermost: bool) -> None:
        self.layers = tuple(layers)
        self.outermost = outermost
        self.marks: list[list[Mark]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers, "outermost": self.outermost, "marks": []}

    def begin(self, module: nn.Module, inputs: Any) -> None:
        """Forward pre-hook."""
        if not torch.compiler.is_compiling():
            self._begin(module)
        elif self.outermost:
            for layer in self.layers:
                layer.attempt = []

    def end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Forward hook, called while an error passes as well."""
        if not torch.compiler.is_compiling():
            self._end(output)
        elif self.outermost:
            for layer in self.layers:
                layer.count_attempt()

    @never_traced(OUTSIDE)
    def _begin(self, module: nn.Module) -> None:
        if self.marks and not is_nested(module):  # the last forward was interrupted
            _go_back(self.layers, self.marks[0])
            self.marks.clear()
        marks = []
        for layer in self.layers:
            if self.outermost:
                layer.attempt = None
            marks.append((len(layer.pending), len(layer.visits), layer.ran, layer.last_visit))
        self.marks.append(marks)

    @never_traced(OUTSIDE)
    def _end(self, output: Any) -> None:
        if self.marks:
            marks = self.marks.pop()
            if failed(output):
                _go_back(self.layers, marks)


def watch_attempts(model: nn.Module, layers: Sequence[AttachedLayer]) -> list[RemovableHandle]:
    """Watch every module that has attached layers below it."""
    leave_to_python(Attempts.begin, Attempts.end, Attempts._begin)
    below: dict[str, list[AttachedLayer]] = {}
    for layer in layers:
        path = layer.name.split(".")
        for depth in range(len(path)):
            below.setdefault(".".join(path[:depth]), []).append(layer)
    handles: list[RemovableHandle] = []
    for name, inside in below.items():
        module, attempts = model.get_submodule(name), Attempts(inside, outermost=not name)
        handles.append(module.register_forward_pre_hook(attempts.begin))
        handles.append(module.register_forward_hook(attempts.end, always_call=True))
    return handles
