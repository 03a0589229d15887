"""A form says where weights look like those of another convention, and lets them pass."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def page(weight: float, scale: str) -> None:
    from app.forms import config_form
    from vcr_core.config import RunConfig, override

    changes = {"variance_weight": weight, "covariance_weight": 1.0, "scale": scale}
    base = override(RunConfig(), {f"regularizer.{name}": value for name, value in changes.items()})
    assert config_form(base, key="test") is not None


@pytest.mark.parametrize(
    ("weight", "scale", "count"), [(25.0, "exact", 1), (25.0, "vicreg", 0), (1.0, "exact", 0)]
)
def test_vicregs_weights_under_the_exact_scale_get_a_note(
    weight: float, scale: str, count: int
) -> None:
    shown = AppTest.from_function(page, default_timeout=30, args=(weight, scale)).run()
    assert not shown.exception
    assert len(shown.info) == count
    assert all("scale='vicreg'" in note.value for note in shown.info)
