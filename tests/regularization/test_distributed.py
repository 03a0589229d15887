"""Statistics over processes: two and four do what one does on the union of their batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from vcr_core.errors import ConfigError
from vcr_core.regularization import VCRLayer, attach

BATCH = 24
MEAN = 300.0


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)
    ).double()


def batch() -> Tensor:
    x = torch.randn(BATCH, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x + torch.linspace(0, 2, BATCH, dtype=torch.float64)[:, None]  # unlike on every rank


def step(model: nn.Module, x: Tensor, *, ranks: str) -> tuple[Tensor, list[Tensor]]:
    """The penalty's value and the gradients of one training step."""
    bare = model.module if isinstance(model, DistributedDataParallel) else model
    handle = attach(bare, variance_weight=0.7, covariance_weight=2.5, ranks=ranks)  # type: ignore[arg-type]
    handle.record = True
    penalty_of = model(x).square().mean()
    penalty = handle.penalty()
    (penalty_of + penalty).backward()
    moments = handle.moments()["1"]
    assert int(moments.count) == BATCH
    handle.remove()
    return penalty.detach(), [p.grad for p in bare.parameters() if p.grad is not None]


def compiled_step(x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The same, compiled."""
    model = network()
    handle = attach(model, variance_weight=0.7, covariance_weight=2.5, ranks="global")
    run = torch.compile(DistributedDataParallel(model), backend="aot_eager")
    task = run(x).square().mean()
    penalty = handle.penalty()
    (task + penalty).backward()
    return penalty.detach(), [p.grad for p in model.parameters() if p.grad is not None]


def one_of_several(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
    )
    model = DistributedDataParallel(network())
    penalty, gradients = step(model, batch().chunk(world)[rank], ranks="global")
    layer_input = (batch().chunk(world)[rank] + MEAN).requires_grad_()
    VCRLayer(0.7, 2.5, ranks="global")(layer_input).sum().backward()
    traced = compiled_step(batch().chunk(world)[rank])
    torch.save((penalty, gradients, layer_input.grad, *traced), Path(folder) / f"rank{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_have_the_gradient_of_one_on_the_union_of_their_batches(
    world: int, tmp_path: Path
) -> None:
    multiprocessing.spawn(one_of_several, args=(world, str(tmp_path)), nprocs=world)
    penalty, gradients = step(network(), batch(), ranks="local")
    whole = (batch() + MEAN).requires_grad_()
    VCRLayer(0.7, 2.5)(whole).sum().backward()
    assert whole.grad is not None
    for rank in range(world):
        found = torch.load(tmp_path / f"rank{rank}.pt")
        torch.testing.assert_close(found[0], penalty)
        torch.testing.assert_close(found[1], gradients, rtol=1e-6, atol=1e-10)
        torch.testing.assert_close(found[3], penalty)
        torch.testing.assert_close(found[4], gradients, rtol=1e-6, atol=1e-10)
        part = whole.grad.chunk(world)[rank] - 1
        torch.testing.assert_close((found[2] - 1) / world, part, rtol=1e-6, atol=1e-10)


def test_global_statistics_without_a_process_group_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"ranks: .*init_process_group\(\) first"):
        VCRLayer(1, 1, ranks="global")(torch.randn(4, 3, requires_grad=True))
