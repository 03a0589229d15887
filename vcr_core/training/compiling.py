"""``torch.compile`` for a network's blocks, one by one.

What a block computes is compiled; the regulariser's hooks around it are not, so that reports,
resting steps and turned knobs never compile anything again. Evaluations go on uncompiled: they
see other batches, and give the same numbers as without.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vcr_core.errors import ConfigError
from vcr_core.models import Model

BACKEND = "inductor"
#: Blocks of one class share their code, and every shape of block is compiled once.
MOST_SHAPES = 64


def compile_blocks(model: Model) -> None:
    """Compile the forward of every block that has weights, for training.

    Raises:
        ConfigError: none of the blocks has weights.
    """
    found = [model.get_submodule(name) for name in model.block_names]
    blocks = [block for block in found if any(True for _ in block.parameters())]
    if not blocks:
        raise ConfigError(
            "expected a network whose blocks have weights of their own, this one's have none: "
            "choose another, or do without compiling",
            field="training.compile",
        )
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, MOST_SHAPES)
    for block in blocks:
        block.__class__ = _compiled(type(block))


def _compiled(kind: type[nn.Module]) -> type[nn.Module]:
    """A class of block whose forward is compiled in training; copies of a block keep it."""
    plain = kind.forward
    fast = torch.compile(plain, dynamic=False, backend=BACKEND)

    def forward(self: nn.Module, *inputs: Any, **options: Any) -> Any:
        return (fast if self.training else plain)(self, *inputs, **options)

    return type(f"Compiled{kind.__name__}", (kind,), {"forward": forward})
