"""``attach``: the regulariser on the layers of any model, in one line.

handle = attach(model, variance_weight=1.0, covariance_weight=1.0)
loss = task_loss(model(x), y) + handle.penalty()
loss.backward()
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import get_args

from torch import nn

from vcr_core.errors import ConfigError
from vcr_core.regularization.axes import stated_sizes
from vcr_core.regularization.budgets import Budget, resolve_budget
from vcr_core.regularization.compiled import let_compilers_see_hooks
from vcr_core.regularization.contract import Missing
from vcr_core.regularization.conventions import hint_of_convention
from vcr_core.regularization.handle import Regularization
from vcr_core.regularization.hook import AttachedLayer, Axes
from vcr_core.regularization.options import (
    NonFinite,
    PenaltyOptions,
    Ranks,
    Scale,
    Tokens,
    checked_seed,
    require_axis,
    require_flag,
    require_one_of,
)
from vcr_core.regularization.settings import Factor, Strength
from vcr_core.regularization.where import Layers, factors_of, matching_names, resolve_layers


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
    every: int | None = None,
    ranks: Ranks = "local",
    nonfinite: NonFinite = "raise",
    layer_factors: Mapping[str, Factor] | None = None,
    feature_axis: int | None = None,
    batch_first: bool | None = None,
    missing: Missing = "raise",
    sometimes: Sequence[str] = (),
    replace: bool = False,
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
            of its own; ``None`` for all. Their covariance is unbiased; the covariance term grows by
            ``handle.noise_floors()``, and its gradient is too long on average, the more so the
            fewer samples (``docs/cost.md``).
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
        feature_axis: the axis of the layers' outputs that holds the features, from 0 at the front
            or −1 at the end; ``None`` finds it from the sizes that the network states (``axes``).
        batch_first: whether sequences are (N, T, D), not (T, N, D); ``None`` asks the network.
        missing: what to do where a step goes past a layer with a weight: "raise" an error, or
            "ignore" it, see ``Regularization.penalty``.
        sometimes: names or patterns of layers that run at some steps only, by intent.
        replace: take off what is attached to these layers already; without, that is an error.
        seed: of the generator that draws the samples, 0 ≤ seed < 2⁶⁴.

    Returns a handle whose ``penalty()`` is to be added to the loss. Raises ``ConfigError`` for bad
    settings and ``LayerNotFoundError`` for layers that the model does not have. Warns where the
    weights look like those of another convention.
    """
    max_samples, every = resolve_budget(budget, max_samples, every)
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
    hint = hint_of_convention(variance_weight, covariance_weight, scale)
    if hint is not None:
        warnings.warn(hint, stacklevel=2)
    seed = checked_seed(seed)
    require_axis(feature_axis)
    if batch_first is not None:
        require_flag("batch_first", batch_first)
    names = resolve_layers(model, layers)
    factors = factors_of(names, layer_factors or {})
    optional = matching_names(names, sometimes)
    require_one_of("missing", missing, get_args(Missing))
    _make_room(model, names, replace=replace)
    hooks = [
        AttachedLayer(
            name,
            Strength(variance_weight, covariance_weight, options, factor=factors[name]),
            Axes(stated_sizes(model, name), feature_axis, batch_first),
            seed=seed * len(names) + place,
            optional=name in optional,
        )
        for place, name in enumerate(names)
    ]
    let_compilers_see_hooks()
    return Regularization(model, hooks, missing=missing)


def _make_room(model: nn.Module, names: Sequence[str], *, replace: bool) -> None:
    """Refuse what would regularise a layer twice, or take the first regulariser off.

    Two on one layer, as after a notebook's cell has run again, would both ask for a penalty.
    """
    for name in names:
        for hook in list(model.get_submodule(name)._forward_hooks.values()):
            if not isinstance(hook, AttachedLayer) or hook.dormant:
                continue
            if not replace:
                raise ConfigError(
                    f"expected layers without a regulariser, and one is attached to layer {name!r} "
                    "already: call .remove() on its handle first, or pass replace=True"
                )
            owner = hook.owner()
            if owner is None:
                hook.dormant = True
            else:
                owner.remove()
