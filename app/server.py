"""The server: ``streamlit run app/server.py``, as ``vcr-lab app`` does."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # streamlit puts this file's folder on the path, not its parent
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from app.plotly_script import PlotlyScript  # noqa: E402
from app.styled import StyledPages  # noqa: E402

FIRST_PAGE = ("app.live_page", "app.setup", "app.welcome")
M_ARENA_MAX, ARENAS = -8, 2  # of glibc's mallopt(3)


@asynccontextmanager
async def ready_for_visitors(_server: object) -> AsyncIterator[None]:
    """What the first page needs is made ready while the first browser still loads its scripts.

    Streamlit takes a thread for every second of every visitor. In glibc each may get memory of its
    own, which fills with holes: the server would grow by a megabyte a minute.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    Thread(target=_prepare, daemon=True).start()
    yield


def _prepare() -> None:
    for name in FIRST_PAGE:
        import_module(name)


app = st.App(
    ROOT / "app" / "main.py",
    middleware=[Middleware(StyledPages), Middleware(PlotlyScript)],
    lifespan=ready_for_visitors,
)
