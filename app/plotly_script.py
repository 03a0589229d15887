"""Plotly's script as our server sends it: packed once, and for a browser to keep.

Streamlit's own route packs the 5 MB anew for every visitor and says nothing by which a browser may
keep them: a class of thirty would cost the server seconds.
"""

from __future__ import annotations

import gzip
from asyncio import to_thread
from functools import cache
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING

from vcr_core.figures import plotly_folder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "vcr-lab/plotly.min.js"
FOR_A_YEAR = b"public, max-age=31536000, immutable"  # another version has another address
_served: set[str] = set()
_packing = Lock()


def address() -> str:
    """Below the address of the app."""
    return f"{PATH}?v={version('plotly')}"


def is_served() -> bool:
    """Whether this server sends the script from :func:`address`: else Streamlit's route has it."""
    return "plotly" in _served


class PlotlyScript:
    """ASGI middleware around Streamlit's server."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        _served.add("plotly")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = scope.get("method") == "GET" and scope["path"].endswith(f"/{PATH}")
        if not is_asked:
            return await self.app(scope, receive, send)
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        takes_packed = b"gzip" in accepted
        body = await to_thread(packed if takes_packed else whole)
        headers = [
            (b"content-type", b"text/javascript; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", FOR_A_YEAR),
            (b"vary", b"accept-encoding"),
        ]
        if takes_packed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def packed() -> bytes:
    """The script in gzip, a third of its size; of many that ask at once, the first packs it."""
    with _packing:
        return _packed()


@cache
def _packed() -> bytes:
    return gzip.compress(whole(), compresslevel=4)


def whole() -> bytes:
    """The script as the Plotly package has it."""
    return (plotly_folder() / "plotly.min.js").read_bytes()
