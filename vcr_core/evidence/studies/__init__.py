"""Every study by its name. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vcr_core.errors import ConfigError
from vcr_core.evidence.design import Study
from vcr_core.evidence.studies import networks, real, sprites, when

STUDIES: Mapping[str, Callable[[], Study]] = {
    "terms": sprites.terms,
    "dose": sprites.dose,
    "size": sprites.size,
    "real-images": real.real_images,
    "objectives": real.objectives,
    "rivals": networks.rivals,
    "architectures": networks.architectures,
    "price": real.price,
    "when": when.study,
}


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    if name not in STUDIES:
        raise ConfigError(f"expected one of {', '.join(STUDIES)}, got '{name}'", field="study")
    return STUDIES[name]()
