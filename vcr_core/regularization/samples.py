"""What counts as a sample: rows of features, whatever the layout of a layer's output.

    (N, D)          vectors: every row is a sample
    (N, T, D)       tokens: every token, every patch, or the class token alone
    (N, C, H, W)    maps: every location is a sample, and so for (N, C, T, H, W)

or, pooled, the average over tokens or locations: one sample an image.
"""

from __future__ import annotations

import hashlib

import numpy
import torch
from torch import Tensor

from vcr_core.device_copies import send
from vcr_core.errors import FeatureError
from vcr_core.regularization.options import PenaltyOptions
from vcr_core.regularization.terms import statistics_dtype


def on_host(tensor: Tensor) -> bool:
    """Whether a number can be read at once: there is no device to wait for, no graph to break."""
    return tensor.is_cpu and not torch.compiler.is_compiling()


def to_rows(z: Tensor) -> Tensor:
    """The samples of ``z`` as rows (n, D); a view where the memory layout allows it."""
    if z.ndim == 2:
        return z
    return (z.movedim(1, -1) if z.ndim > 3 else z).flatten(0, -2)


def from_rows(rows: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The inverse of ``to_rows``: rows (n, D) as a tensor of ``shape``."""
    if len(shape) == 2:
        return rows
    if len(shape) == 3:
        return rows.view(shape)
    return rows.view(shape[0], *shape[2:], shape[1]).movedim(-1, 1)


def sample_count(z: Tensor) -> int:
    """Number of samples n in ``z``, when every location or token is one."""
    return z.numel() // feature_count(z)


def feature_count(z: Tensor) -> int:
    """Number of features D in ``z``."""
    return z.shape[1] if z.ndim > 3 else z.shape[-1]


def takes_all(z: Tensor, options: PenaltyOptions) -> bool:
    """Whether the penalty is taken over every location or token of ``z``."""
    if options.max_samples is None and options.tokens == "all" and not options.pooled:
        return True
    is_pooled = options.pooled and z.ndim > 2
    leaves_tokens = options.tokens != "all" and z.ndim == 3
    if is_pooled or leaves_tokens:
        return False
    return options.max_samples is None or sample_count(z) <= options.max_samples


def draw(z: Tensor, options: PenaltyOptions, seed: Tensor | None) -> Tensor | None:
    """Which samples this step uses, (max_samples,) without repetition; ``None`` for all.

    Drawn by a generator of its own, made from ``seed``, a whole number as a tensor () on the CPU:
    training's random numbers stay untouched, and a checkpoint's recomputation draws the same
    samples again. A tensor, so that compiled code does not take it for a constant.
    """
    if options.max_samples is None:
        return None
    total = _candidates(z, options)
    if total <= options.max_samples:
        return None
    seed = torch.zeros((), dtype=torch.int64) if seed is None else seed
    make = draw_indices if torch.compiler.is_compiling() else _draw_indices
    index: Tensor = make(seed, total, options.max_samples, z.device)
    return index


def draw_seed(seed: int, step: int) -> int:
    """What chooses the samples of a step: a whole number that int64 holds, for ``draw``.

    Args:
        seed: from 0 on, as large as it likes.
        step: from 0 on.

    Below 2³¹ and 2³² it is ``seed`` · 2³² + ``step``, each pair its own. Beyond it is a hash,
    always negative, so that it meets none of those.
    """
    if seed < 2**31 and step < 2**32:
        return (seed << 32) + step
    digest = hashlib.blake2b(f"{seed} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % 2**63 - 2**63


def _draw_indices(seed: Tensor, total: int, size: int, device: torch.device) -> Tensor:
    """``size`` different numbers below ``total``, the same on every device."""
    generator = numpy.random.Generator(numpy.random.PCG64(int(seed) % 2**64))
    index = generator.choice(total, size, replace=False, shuffle=False)  # torch would shuffle all
    return send(torch.from_numpy(index), device)


@torch.library.custom_op("vcr_core::draw_indices", mutates_args=())
def draw_indices(seed: Tensor, total: int, size: int, device: torch.device) -> Tensor:
    """The same, which a compiler takes as one step."""
    return _draw_indices(seed, total, size, device)


@draw_indices.register_fake
def _(seed: Tensor, total: int, size: int, device: torch.device) -> Tensor:
    return torch.empty(size, dtype=torch.int64, device=device)


def drawn_count(z: Tensor, options: PenaltyOptions) -> int:
    """How many samples of ``z`` a step uses."""
    total = _candidates(z, options)
    return min(total, options.max_samples or total)


def gather(z: Tensor, options: PenaltyOptions, index: Tensor | None) -> Tensor:
    """The samples of ``z`` that the penalty is about, in one of the layouts above.

    Averages come in the type of the statistics: rounded to half precision again they would lose
    what averaging has gained. Drawn samples too, so that their gradient is rounded only once.
    """
    chosen = _select(z, options)
    if options.pooled and chosen.ndim > 2:
        chosen = chosen.mean(dim=_pooled_axes(chosen), dtype=statistics_dtype(z.dtype))
    if index is None:
        return chosen
    view, places = _locate(chosen, index)
    found = view.index_select(0, index) if len(places) == 1 else view[places]
    return found.to(statistics_dtype(z.dtype))


def scatter(
    gradient: Tensor,
    grad_output: Tensor | None,
    z: Tensor,
    options: PenaltyOptions,
    index: Tensor | None,
) -> Tensor:
    """``grad_output`` plus ``gradient``, which is with respect to ``gather(z, options, index)``.

    Added in the type of ``gradient``, and then rounded to that of ``z``.
    """
    total = torch.zeros_like(z) if grad_output is None else grad_output.clone()
    chosen = _select(total, options)
    if options.pooled and chosen.ndim > 2:
        chosen += _spread(gradient, chosen, index)
    elif index is None:
        chosen += gradient
    else:
        view, places = _locate(chosen, index)
        if len(places) > 1:
            view[places] = (view[places] + gradient).to(view.dtype)
        elif gradient.dtype == view.dtype:
            view.index_add_(0, index, gradient)
        else:
            view.index_copy_(0, index, (view.index_select(0, index) + gradient).to(view.dtype))
    return total


def require_floats(z: Tensor, *, layer: str = "") -> None:
    """Raise ``FeatureError``, naming ``layer``, unless ``z`` is a plain tensor of real numbers."""
    where = f"layer {layer!r}: " if layer else ""
    if z.is_nested or z.layout != torch.strided:
        kind = "a nested tensor" if z.is_nested else f"a tensor of layout {z.layout}"
        raise FeatureError(
            f"{where}expected an ordinary tensor, got {kind}: attach to a layer before it, or to "
            "one that gives padded or dense features"
        )
    if not z.is_floating_point():
        raise FeatureError(
            f"{where}expected floating-point features, got {z.dtype}: "
            "attach to a layer that computes features"
        )


def require_features(z: Tensor, *, layer: str = "") -> None:
    """Raise ``FeatureError``, naming ``layer``, unless ``z`` has 2 samples of 2 features."""
    require_floats(z, layer=layer)
    if 2 <= z.ndim <= 5 and z.numel() >= 2 * feature_count(z) >= 4:
        return
    where = f"layer {layer!r}: " if layer else ""
    if not 2 <= z.ndim <= 5:
        raise FeatureError(
            f"{where}expected features of shape (N, D), (N, T, D) or (N, C, H, W), "
            f"got {tuple(z.shape)}: attach to a layer whose output has a feature axis"
        )
    if feature_count(z) < 2:
        raise FeatureError(
            f"{where}expected at least 2 features to compare, got shape {tuple(z.shape)}: "
            "attach to a wider layer"
        )
    raise FeatureError(
        f"{where}expected at least 2 samples, got shape {tuple(z.shape)}: "
        "use a batch of at least 2 (drop_last=True in the data loader)"
    )


def _select(z: Tensor, options: PenaltyOptions) -> Tensor:
    """A view of ``z`` without the images and tokens that do not count."""
    if z.ndim != 3 or options.tokens == "all":
        return z
    return z[:, :1] if options.tokens == "class" else z[:, 1:]


def _candidates(z: Tensor, options: PenaltyOptions) -> int:
    chosen = _select(z, options)
    return chosen.shape[0] if options.pooled else sample_count(chosen)


def _pooled_axes(z: Tensor) -> tuple[int, ...]:
    return (1,) if z.ndim == 3 else tuple(range(2, z.ndim))


def _spread(gradient: Tensor, z: Tensor, index: Tensor | None) -> Tensor:
    """The gradient of a mean over locations or tokens: equal shares that broadcast to ``z``."""
    images = gradient
    if index is not None:
        images = gradient.new_zeros(z.shape[0], feature_count(z))
        images[index] = gradient
    images = images * (z.shape[0] / sample_count(z))
    for axis in _pooled_axes(z):
        images = images.unsqueeze(axis)
    return images


def _locate(z: Tensor, index: Tensor) -> tuple[Tensor, tuple[Tensor | slice, ...]]:
    """A view of ``z`` and indices that read the samples ``index`` from it as rows (m, D)."""
    if z.ndim == 2:
        return z, (index,)
    if z.ndim == 3 and z.is_contiguous():
        return z.view(-1, z.shape[-1]), (index,)
    if z.ndim == 4 and z.is_contiguous(memory_format=torch.channels_last):
        return z.permute(0, 2, 3, 1).view(-1, z.shape[1]), (index,)
    sizes = z.shape[1:-1] if z.ndim == 3 else z.shape[2:]
    places: list[Tensor] = []
    for size in reversed(sizes):
        places.insert(0, index % size)
        index = index // size
    return z, (index, *places) if z.ndim == 3 else (index, slice(None), *places)
