"""The live view: charts of running experiments that update without being rebuilt."""

from __future__ import annotations

from app.live_view.component import live_view
from app.live_view.spec import Choice, Network, View

__all__ = ["Choice", "Network", "View", "live_view"]
