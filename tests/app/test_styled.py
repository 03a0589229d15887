"""Pages leave the server with our styles; everything else passes untouched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

import app.styled
from app.styled import StyledPages, is_styled, styles

PAGE = {"accept": "text/html,application/xhtml+xml"}
STATIC = Path(streamlit.__file__).parent / "static"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Streamlit's own files, served as its server does."""
    monkeypatch.setattr(app.styled, "_served", set())
    assert not is_styled()
    files = Mount("/", StaticFiles(directory=STATIC, html=True))
    return TestClient(Starlette(routes=[files], middleware=[Middleware(StyledPages)]))


def test_a_page_ends_with_the_styles(client: TestClient) -> None:
    answer = client.get("/", headers=PAGE)
    assert answer.status_code == 200
    body = answer.text[answer.text.index("<body") :]
    assert body.count(f"<style>{styles()}</style></body>") == 1
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert is_styled()


def test_a_browser_that_has_the_page_gets_it_with_the_styles_all_the_same(
    client: TestClient,
) -> None:
    first = client.get("/index.html")
    kept = {"if-none-match": first.headers["etag"], "range": "bytes=0-9"}
    answer = client.get("/", headers={**PAGE, **kept})
    assert answer.status_code == 200
    assert styles() in answer.text


def test_scripts_of_the_page_pass_untouched(client: TestClient) -> None:
    index = (STATIC / "index.html").read_text("utf-8")
    name = re.findall(r'static/js/index[^"]+', index)[0]
    for accept in ("*/*", "text/html"):
        answer = client.get(f"/{name}", headers={"accept": accept})
        assert answer.content == (STATIC / name).read_bytes()


def test_what_is_not_there_is_no_page(client: TestClient) -> None:
    answer = client.get("/static/nothing.js", headers=PAGE)
    assert answer.status_code == 404
    assert styles() not in answer.text
