"""The list of runs as one component: a table that updates in place, also while somebody edits."""

from __future__ import annotations

from app.run_list.component import Edit, run_list
from app.run_list.rows import describe_rows, title_of

__all__ = ["Edit", "describe_rows", "run_list", "title_of"]
