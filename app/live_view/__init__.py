"""The live view: charts of running experiments that update without being rebuilt."""

from __future__ import annotations

from app.live_view.component import live_view, make_ready
from app.live_view.spec import Choice, Network, View

__all__ = ["Choice", "Network", "View", "live_view", "make_ready"]
