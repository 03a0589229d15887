"""The live view: charts of running experiments that update without being rebuilt."""

from __future__ import annotations

from app.live_view.component import live_view

__all__ = ["live_view"]
