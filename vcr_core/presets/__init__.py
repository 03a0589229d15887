"""Ready-made experiments: one click, one claim to see with your own eyes. No torch here.

``first`` ones are measured over five seeds; ``small`` and ``paper`` ones ask the questions of the
paper's tables, in minutes on two cores and at full size.
"""

from __future__ import annotations

from collections.abc import Mapping

from vcr_core.errors import ConfigError
from vcr_core.presets.first import FIRST
from vcr_core.presets.paper import PAPER
from vcr_core.presets.preset import Preset
from vcr_core.presets.small import SMALL

PRESETS: Mapping[str, Preset] = {preset.name: preset for preset in (*FIRST, *SMALL, *PAPER)}
DEFAULT_PRESET = FIRST[0].name
#: Those whose results over five seeds are committed and shown in the README.
MEASURED = tuple(preset.name for preset in FIRST)

__all__ = ["DEFAULT_PRESET", "MEASURED", "PRESETS", "Preset", "find_preset"]


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise ConfigError(f"expected one of {', '.join(PRESETS)}, got '{name}'", field="preset")
    return PRESETS[name]
