"""The server: ``streamlit run app/server.py``, as ``vcr-lab app`` does."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # streamlit puts this file's folder on the path, not its parent
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from app.styled import StyledPages  # noqa: E402

app = st.App(ROOT / "app" / "main.py", middleware=[Middleware(StyledPages)])
