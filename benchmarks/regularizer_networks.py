"""A training step of large networks: nothing at the blocks, naive autograd, ours, or batch norm.

python benchmarks/regularizer_networks.py --out docs/results/regularizer_networks.json
python benchmarks/regularizer_networks.py --device cuda --dtype bfloat16 --batch 256 --out …

The four rows are those of the paper's table of times. Every network is torchvision's, at 224 px,
with the four variants on all its blocks in turns.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from regularizer import machine
from torch import Tensor, nn
from torch.nn import functional

from vcr_core.regularization import attach, covariance_penalty, variance_penalty
from vcr_core.regularization.bench import take_turns
from vcr_core.regularization.samples import to_rows
from vcr_core.regularization.where import resolve_layers

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ViT-B/32": torchvision.models.vit_b_32,
    "ConvNeXt-T": torchvision.models.convnext_tiny,
    "ResNet-50": torchvision.models.resnet50,
}
IMAGE = (3, 224, 224)
CLASSES = 1000


def blocks(model: nn.Module) -> list[nn.Module]:
    """The modules after which the variants differ."""
    return [model.get_submodule(name) for name in resolve_layers(model, "blocks")]


def identity(model: nn.Module) -> Callable[[], Tensor | float]:
    """Nothing at the blocks."""
    return lambda: 0.0


def naive(model: nn.Module) -> Callable[[], Tensor | float]:
    """The plain formulas at every block, by autograd."""
    found: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, z: Tensor) -> None:
        rows = to_rows(z)
        found.append(variance_penalty(rows) + covariance_penalty(rows))

    for module in blocks(model):
        module.register_forward_hook(keep)

    def penalty() -> Tensor:
        total = torch.stack(found).sum()
        found.clear()
        return total

    return penalty


def ours(model: nn.Module) -> Callable[[], Tensor | float]:
    """``attach`` at its defaults."""
    return attach(model, variance_weight=1.0, covariance_weight=1.0).penalty


def light(model: nn.Module) -> Callable[[], Tensor | float]:
    """``attach`` with the light budget."""
    return attach(model, variance_weight=1.0, covariance_weight=1.0, budget="light").penalty


def batch_norm(model: nn.Module) -> Callable[[], Tensor | float]:
    """Batch normalisation after every block, over the same samples."""
    device = next(model.parameters()).device

    def add_to(module: nn.Module, width: int) -> None:
        norm = nn.BatchNorm1d(width).to(device)

        def apply(module: nn.Module, inputs: Any, z: Tensor) -> Tensor:
            rows = z.movedim(1, -1) if z.ndim == 4 else z
            out = norm(rows.reshape(-1, width)).view(rows.shape)
            return out.movedim(-1, 1) if z.ndim == 4 else out

        module.register_forward_hook(apply)

    for module, width in _widths(model).items():
        add_to(module, width)
    return lambda: 0.0


VARIANTS = {
    "identity": identity,
    "naive": naive,
    "ours": ours,
    "light": light,
    "batch norm": batch_norm,
}


def _widths(model: nn.Module) -> dict[nn.Module, int]:
    widths: dict[nn.Module, int] = {}
    handles = [
        module.register_forward_hook(
            lambda module, inputs, z: widths.update({module: z.shape[1 if z.ndim == 4 else -1]})
        )
        for module in blocks(model)
    ]
    with torch.no_grad():
        model(torch.zeros(2, *IMAGE, device=next(model.parameters()).device))
    for handle in handles:
        handle.remove()
    return widths


def training_step(
    model: nn.Module, variant: str, options: argparse.Namespace
) -> Callable[[], object]:
    """One step of AdamW on a fixed random batch, a few times over."""
    model = copy.deepcopy(model).to(options.device, memory_format=torch.channels_last).train()
    penalty = VARIANTS[variant](model)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(options.batch, *IMAGE, generator=generator).to(
        options.device, memory_format=torch.channels_last
    )
    y = torch.randint(0, CLASSES, (options.batch,), generator=generator).to(options.device)
    dtype = getattr(torch, options.dtype)
    kind = torch.device(options.device).type

    def run() -> None:
        for _ in range(options.steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(kind, dtype=dtype, enabled=dtype != torch.float32):
                loss = functional.cross_entropy(model(x), y)
                loss = loss + penalty()
            loss.backward()
            optimizer.step()

    return run


def peak_memory(step: Callable[[], object], device: str) -> float | None:
    """Mebibytes allocated at the peak of one step; ``None`` where the device does not tell."""
    if torch.device(device).type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    step()
    return round(torch.cuda.max_memory_allocated() / 2**20, 1)


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One network's row."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    steps = {variant: training_step(model, variant, options) for variant in options.variants}
    times = take_turns(steps, trials=options.trials, device=options.device)
    row: dict[str, Any] = {
        "network": name,
        "batch": options.batch,
        "dtype": options.dtype,
        "trials": options.trials,
        "steps_per_trial": options.steps,
        "milliseconds": {
            k: round(statistics.median(v) / options.steps, 2) for k, v in times.items()
        },
        "over_identity": {k: _ratio(v, times["identity"]) for k, v in times.items()},
        "peak_mib_of_all_models_and_this_step": {
            variant: peak_memory(step, options.device) for variant, step in steps.items()
        },
    }
    print(name, row["milliseconds"], row["over_identity"], flush=True)
    return row


def _ratio(times: Sequence[float], base: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(
        [one / other for one, other in zip(times, base, strict=True)], n=4
    )
    return {"median": round(middle, 3), "low": round(low, 3), "high": round(high, 3)}


def main() -> None:
    """Parse, measure, write after every network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--steps", type=int, default=4, help="in one trial; the light budget has a round of 4"
    )
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = []
    for name in options.networks:
        rows.append(measure(name, options))
        if options.out:
            result = {"machine": machine(options.device), "networks": rows}
            options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
