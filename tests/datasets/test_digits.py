"""Scikit-learn's scanned digits."""

from __future__ import annotations

import importlib.machinery
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from vcr_core.datasets import digits


def test_the_scans_are_scikit_learns_whether_its_file_is_found_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.column_stack([load_digits().data, load_digits().target])
    np.testing.assert_array_equal(digits.read_scans(), expected)
    moved = importlib.machinery.ModuleSpec("sklearn", None)
    moved.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(digits, "find_spec", lambda _: moved)
    np.testing.assert_array_equal(digits.read_scans(), expected)


def test_scikit_learn_is_not_imported_to_train_on_digits() -> None:
    """It takes a worker seconds, while somebody waits."""
    code = (
        "import sys; from vcr_core.datasets import load;"
        "load('digits', cache_folder='unused'); sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
