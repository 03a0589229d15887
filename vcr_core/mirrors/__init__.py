"""Mirrors: the numbers and matrices of runs in TensorBoard, MLflow or Weights & Biases.

A mirror reads the store by cursor, in a process of its own: it works for live and for finished
runs, never slows training, and goes on where it was when it is started again.
"""

from __future__ import annotations

from vcr_core.mirrors.copying import MIRRORS, Mirror, mirror_runs, open_mirror

__all__ = ["MIRRORS", "Mirror", "mirror_runs", "open_mirror"]
