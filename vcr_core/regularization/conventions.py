"""Three conventions for the scale of the penalty, and how to translate weights between them.

    "exact"      α · l_var + β · l_cov as written in ``terms.py`` (1/(D(D − 1))); the default
    "published"  the covariance gradient without its 1/(n − 1), as in the public listing of the
                 paper's Algorithm 1: (n − 1) times the gradient of the stated loss
    "vicreg"     Bardes et al., arXiv 2105.04906 and its code: covariance divided by D, not
                 D(D − 1), and the variance term halved

A weight means nothing without the name of its convention: at D = 512 the covariance weight of
"vicreg" counts 511 times that of "exact", and "published" grows with the number of samples.
"""

from __future__ import annotations

from typing import NamedTuple, get_args

from vcr_core.errors import ConfigError
from vcr_core.regularization.options import Scale

VICREG_WEIGHTS = (25, 1)  # of its variance and covariance terms


class Weights(NamedTuple):
    """The weight α of the variance term and β of the covariance term."""

    variance: float
    covariance: float


def exact_factors(scale: Scale, *, features: int, samples: int) -> Weights:
    """What the two weights of ``scale`` are multiplied by to become exact ones.

    Args:
        scale: the convention.
        features: D of the layer.
        samples: n behind the covariance: N·H·W for maps, N·T for tokens, or ``max_samples``.

    Raises ``ConfigError`` for a convention that does not exist.
    """
    if scale == "exact":
        return Weights(1, 1)
    if scale == "published":
        return Weights(1, samples - 1)
    if scale == "vicreg":
        return Weights(0.5, features - 1)
    known = ", ".join(get_args(Scale))
    raise ConfigError(f"expected one of {known}, got {scale!r}", field="scale")


def equivalent_weights(
    weights: Weights | tuple[float, float],
    *,
    source: Scale,
    target: Scale,
    features: int,
    samples: int,
) -> Weights:
    """The weights that, in the convention ``target``, do what ``weights`` do in ``source``.

    For one layer with D = ``features`` and n = ``samples``: the translation differs from layer to
    layer, so no single pair of weights carries over to a whole network.
    """
    variance, covariance = weights
    before = exact_factors(source, features=features, samples=samples)
    after = exact_factors(target, features=features, samples=samples)
    return Weights(
        variance * before.variance / after.variance,
        covariance * before.covariance / after.covariance,
    )


def hint_of_convention(
    variance_weight: float, covariance_weight: float, scale: Scale
) -> str | None:
    """A word for whoever types VICReg's 25 : 25 : 1 under another convention, else ``None``."""
    if scale != "exact" or (variance_weight, covariance_weight) != VICREG_WEIGHTS:
        return None
    return (
        "the weights 25 and 1 look like VICReg's coefficients, but in scale='exact' they mean "
        "something else: the variance term counts twice and the covariance term 1/(D - 1) as much "
        "as there; use scale='vicreg' for VICReg's own meaning"
    )
