"""What a run is: one tree of validated, frozen models.

This is the single source for the form on the page, the options of the command line, the link in
the address bar and what the store keeps. Every field says what it means, its unit, its limits and
whether it may be changed while the run trains (``live``).

    RunConfig
    ├── data         DataConfig          which images, which factor is learned, how many
    ├── augmentation AugmentationConfig  how images are varied each time they are seen
    ├── objective    ObjectiveConfig     what is minimised: naming a factor, SimCLR, VICReg
    ├── model        ModelConfig         which network
    ├── regularizer  RegularizerConfig   the two weights of VCR and where it acts
    ├── optimizer    OptimizerConfig     AdamW or SGD, learning rate and schedule
    ├── training     TrainingConfig      epochs, batch size, precision
    ├── transfer     TransferConfig      which factors are probed, how often
    ├── telemetry    TelemetryConfig     how often numbers and matrices are reported
    ├── execution    ExecutionConfig     device and threads
    └── seed

Nothing here imports torch.
"""

from __future__ import annotations

from vcr_core.config.base import Section
from vcr_core.config.by_layer import BY_LAYER, split_name
from vcr_core.config.data import DataConfig
from vcr_core.config.editing import (
    as_text,
    differences,
    fields,
    get_value,
    is_live,
    live_fields,
    override,
    parse_text,
    title_of,
    validate,
)
from vcr_core.config.learning import AugmentationConfig, ObjectiveConfig
from vcr_core.config.sections import (
    SECTIONS,
    ExecutionConfig,
    ModelConfig,
    RegularizerConfig,
    RunConfig,
    TelemetryConfig,
    TransferConfig,
)
from vcr_core.config.steps import OptimizerConfig, TrainingConfig

__all__ = [
    "BY_LAYER",
    "SECTIONS",
    "AugmentationConfig",
    "DataConfig",
    "ExecutionConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "RegularizerConfig",
    "RunConfig",
    "Section",
    "TelemetryConfig",
    "TrainingConfig",
    "TransferConfig",
    "as_text",
    "differences",
    "fields",
    "get_value",
    "is_live",
    "live_fields",
    "override",
    "parse_text",
    "split_name",
    "title_of",
    "validate",
]
