"""Our styles in the page that the server sends, so that the first words stand where they stay.

Styles that a script sends come a few tenths of a second later than its first words, which then
jump. They stand at the end of the body: Streamlit adds its own to the head while the page is drawn,
and of equal rules the last one counts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_ENDS = b"</body>"
# What makes a server answer with a part of the page, "not modified", or a packed page.
UNWANTED = (b"accept-encoding", b"if-modified-since", b"if-none-match", b"range")
_served: set[str] = set()


@cache
def styles() -> str:
    """The style rules of all pages."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def is_styled() -> bool:
    """Whether this server writes the styles into the page: else the script has to send them."""
    return "page" in _served


class StyledPages:
    """ASGI middleware around Streamlit's server: HTML pages leave it with our styles."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        _served.add("page")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        wants_page = scope.get("method") == "GET" and b"text/html" in headers.get(b"accept", b"")
        if not wants_page:
            return await self.app(scope, receive, send)
        whole = [(name, value) for name, value in scope["headers"] if name not in UNWANTED]
        await self.app({**scope, "headers": whole}, receive, _Styled(send))


class _Styled:
    """Takes a response apart: an HTML page is kept until it is complete, anything else passes."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.start: Message | None = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self.start = message
        elif message["type"] != "http.response.body" or self.start is None:
            await self.send(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_styled(self.start)

    async def _send_styled(self, start: Message) -> None:
        style = f"<style>{styles()}</style>".encode()
        body = self.body.replace(BODY_ENDS, style + BODY_ENDS, 1)
        size = (b"content-length", str(len(body)).encode())
        headers = [pair for pair in start["headers"] if pair[0].lower() not in (size[0], b"etag")]
        await self.send({**start, "headers": [*headers, size]})
        await self.send({"type": "http.response.body", "body": body})


def _is_page(message: Message) -> bool:
    kind: bytes = dict(message.get("headers", ())).get(b"content-type", b"")
    return kind.startswith(b"text/html") and message["status"] == 200
