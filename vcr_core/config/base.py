"""What every part of the configuration is made of. Nothing here imports torch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def setting(
    default: Any, title: str, help_text: str, *, unit: str = "", live: bool = False, **limits: Any
) -> Any:
    """A field with its title, help text, unit and limits; ``live`` fields may change mid-run."""
    return Field(
        default,
        title=title,
        description=help_text,
        json_schema_extra={"unit": unit, "live": live},
        **limits,
    )


class Section(BaseModel):
    """Base of every part of the tree: immutable, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
