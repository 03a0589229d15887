"""What guessing gets right."""

from __future__ import annotations

import pytest

from vcr_core.datasets.catalog import chance


def test_guessing_gets_one_in_as_many_as_there_are_classes() -> None:
    shares = chance("fashion-mnist", ["clothing", "garment", "digits:digit"])
    assert shares == pytest.approx({"clothing": 0.5, "garment": 0.1, "digits:digit": 0.1})


def test_classes_that_are_not_known_beforehand_have_no_chance_level() -> None:
    assert chance("folder", ["class"]) == {}
