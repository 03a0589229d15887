"""Plotly's script leaves the server packed and for a browser to keep; all else passes untouched."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app import plotly_script
from app.plotly_script import PlotlyScript, address, is_served, whole


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(plotly_script, "_served", set())
    assert not is_served()
    other = Route("/{rest:path}", lambda _: PlainTextResponse("another answer"))
    return TestClient(Starlette(routes=[other], middleware=[Middleware(PlotlyScript)]))


@pytest.mark.parametrize("base", ["", "/lab/below"])
def test_the_script_comes_packed_and_may_be_kept(client: TestClient, base: str) -> None:
    answer = client.get(f"{base}/{address()}")
    assert answer.content == whole()
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(whole()) / 3
    assert "immutable" in answer.headers["cache-control"]
    assert is_served()


def test_who_cannot_unpack_gets_it_as_it_is(client: TestClient) -> None:
    answer = client.get(f"/{address()}", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.content == whole()


def test_everything_else_passes(client: TestClient) -> None:
    assert client.get("/component/plotly.min.js").text == "another answer"
    assert client.post(f"/{address()}").status_code == 405
