"""What the penalty of one layer depends on, apart from its two weights."""

from __future__ import annotations

import math
import operator
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args

from vcr_core.errors import ConfigError

Scale = Literal["exact", "published", "vicreg"]
Tokens = Literal["all", "patches", "class"]
Ranks = Literal["local", "global"]
NonFinite = Literal["raise", "skip"]


class PenaltyOptions(NamedTuple):
    """Options of one layer's penalty; ``checked`` says what they may be.

    ``target_std``   γ, in the units of the features
    ``eps``          added to the variances inside the root
    ``threshold``    δ of the smooth-L1 covariance term, ``None`` for the square
    ``scale``        convention of the weights, see ``conventions.py``
    ``tokens``       of (N, T, D): every token, all but the first ("patches"), or the first alone
    ``pooled``       average over locations or tokens first: one sample an image
    ``max_samples``  a fresh random subset of this many samples each step; ``None`` for all
    ``ranks``        statistics of this process, or of all processes of ``torch.distributed``
    ``every``        take the penalty at every k-th step only, k times as strong; 1 for every step
    ``nonfinite``    on NaN or Inf features stop with an error, or leave that layer's penalty out
    """

    target_std: float = 1.0
    eps: float = 1e-4
    threshold: float | None = None
    scale: Scale = "exact"
    tokens: Tokens = "all"
    pooled: bool = False
    max_samples: int | None = None
    ranks: Ranks = "local"
    nonfinite: NonFinite = "raise"
    every: int = 1


def checked(options: PenaltyOptions) -> PenaltyOptions:
    """``options`` with plain numbers; raises ``ConfigError``, naming the field that is bad."""
    require_one_of("scale", options.scale, get_args(Scale))
    require_one_of("tokens", options.tokens, get_args(Tokens))
    require_one_of("ranks", options.ranks, get_args(Ranks))
    require_one_of("nonfinite", options.nonfinite, get_args(NonFinite))
    require_flag("pooled", options.pooled)
    threshold = options.threshold
    return options._replace(
        target_std=_positive("target_std", options.target_std),
        eps=_positive("eps", options.eps),
        threshold=None if threshold is None else _positive("threshold", threshold),
        max_samples=checked_max_samples(options.max_samples),
        every=checked_count("every", options.every),
    )


def require_flag(name: str, value: object) -> None:
    """Raise ``ConfigError`` unless ``value`` is ``True`` or ``False``."""
    if not isinstance(value, bool):
        raise ConfigError(f"expected True or False, got {value!r}", field=name)


def require_axis(value: object) -> None:
    """Raise ``ConfigError`` unless ``value`` can name an axis, or is ``None``."""
    if value is not None and not _is_whole(value):
        raise ConfigError(
            f"expected the number of an axis, or None to find it, got {value!r}",
            field="feature_axis",
        )


def checked_max_samples(value: int | None) -> int | None:
    """A number of samples as an int; ``None`` for all; raises ``ConfigError`` otherwise."""
    if value is None:
        return None
    if not _is_whole(value) or value < 2:
        raise ConfigError(
            f"expected a whole number of at least 2, or None for all, got {value!r}",
            field="max_samples",
        )
    return operator.index(value)


def checked_count(name: str, value: int) -> int:
    """``value`` as an int of at least 1; raises ``ConfigError`` otherwise."""
    if not _is_whole(value) or value < 1:
        raise ConfigError(f"expected a whole number of at least 1, got {value!r}", field=name)
    return operator.index(value)


def checked_seed(value: int) -> int:
    """``value`` as an int from 0 to 2⁶⁴ − 1; raises ``ConfigError`` otherwise."""
    if not _is_whole(value) or not 0 <= value < 2**64:
        raise ConfigError(
            f"expected a whole number from 0 to 2**64 - 1, got {value!r}", field="seed"
        )
    return operator.index(value)


def checked_weight(name: str, value: float) -> float:
    """``value`` as a float of at least 0; raises ``ConfigError`` otherwise."""
    number = _number(name, value)
    if not math.isfinite(number) or number < 0:
        raise ConfigError(
            f"expected a finite number of at least 0, got {value!r}: use 0 to switch the term off",
            field=name,
        )
    return number


def _positive(name: str, value: float) -> float:
    number = _number(name, value)
    if not math.isfinite(number) or number <= 0:
        raise ConfigError(f"expected a finite number above 0, got {value!r}", field=name)
    return number


def _number(name: str, value: Any) -> float:
    """``value`` as a float: Python's numbers and NumPy's, no arrays, tensors or truth values."""
    if isinstance(value, bool) or not isinstance(value, Real):
        hint = ": take its number out with .item()" if hasattr(value, "item") else ""
        raise ConfigError(f"expected a number, got {value!r}{hint}", field=name)
    try:
        return float(value)
    except OverflowError as error:
        raise ConfigError(
            f"expected a number that a float can hold, got {value!r}", field=name
        ) from error


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def require_one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"expected one of {', '.join(known)}, got {value!r}", field=name)
