"""``attach``: the regulariser on the layers of any model, in one line.

handle = attach(model, variance_weight=1.0, covariance_weight=1.0)
loss = task_loss(model(x), y) + handle.penalty()
loss.backward()
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from vcr_core.regularization.budgets import Budget, shares_of
from vcr_core.regularization.handle import Regularization
from vcr_core.regularization.hook import AttachedLayer
from vcr_core.regularization.options import NonFinite, PenaltyOptions, Ranks, Scale, Tokens
from vcr_core.regularization.settings import Factor, Strength
from vcr_core.regularization.where import Layers, factors_of, resolve_layers


def attach(
    model: nn.Module,
    *,
    variance_weight: float,
    covariance_weight: float,
    layers: Layers = "blocks",
    target_std: float = 1.0,
    eps: float = 1e-4,
    threshold: float | None = None,
    scale: Scale = "exact",
    tokens: Tokens = "all",
    pooled: bool = False,
    max_samples: int | None = None,
    budget: Budget | None = None,
    every: int = 1,
    ranks: Ranks = "local",
    nonfinite: NonFinite = "raise",
    layer_factors: Mapping[str, Factor] | None = None,
    seed: int = 0,
) -> Regularization:
    """Regularise layers of ``model`` through forward hooks; its forward stays bit-identical.

    Args:
        model: any module.
        variance_weight: α ≥ 0 in the convention ``scale``.
        covariance_weight: β ≥ 0 in the convention ``scale``.
        layers: ``"blocks"``, ``"last"``, names or patterns, or a function of a name and a module
            that says whether to take it (see ``resolve_layers``).
        target_std: γ, in the units of the features.
        eps: added to the variances inside the root.
        threshold: δ of the smooth-L1 form of the covariance term; ``None`` for the square.
        scale: convention of the weights: "exact", "published" or "vicreg" (see ``conventions``).
        tokens: of (N, T, D) take "all" tokens, the "patches" after the first, or the "class" token.
        pooled: average over locations or tokens first, so that each image is one sample.
        max_samples: use a fresh random subset of this many samples each step, drawn by a generator
            of its own; ``None`` for all. The covariance stays unbiased; the covariance term grows
            by ``handle.noise_floors()``.
        budget: "full" is all samples at every step, "light" is ``BUDGETS["light"]``: most of the
            gain for a few per cent of the step's time, at some cost of source accuracy (see
            ``docs/cost.md``). Sets ``max_samples`` and ``every``.
        every: take the penalty at every k-th step only, k times as strong; the steps between cost
            nothing.
        ranks: "global" takes statistics over all processes of ``torch.distributed`` by one
            all-reduce a layer and undoes DistributedDataParallel's averaging; "local" does neither.
        nonfinite: on NaN or Inf features "raise" an error, or "skip" that layer's penalty.
        layer_factors: multiplies both weights at the layers that a name or pattern matches; a pair
            multiplies the variance and the covariance weight.
        seed: of the generator that draws the samples.

    Returns a handle whose ``penalty()`` is to be added to the loss. Raises ``ConfigError`` for bad
    settings and ``LayerNotFoundError`` for layers that the model does not have.
    """
    if budget is not None:
        max_samples, every = shares_of(budget)
    options = PenaltyOptions(
        target_std,
        eps,
        threshold,
        scale,
        tokens,
        pooled,
        max_samples,
        ranks,
        nonfinite,
        every,
    )
    names = resolve_layers(model, layers)
    factors = factors_of(names, layer_factors or {})
    hooks = [
        AttachedLayer(
            name,
            Strength(variance_weight, covariance_weight, options, factor=factors[name]),
            seed=seed * len(names) + place,
        )
        for place, name in enumerate(names)
    ]
    return Regularization(model, hooks)
