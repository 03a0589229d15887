"""``vcr-lab dispatcher``: serve the store's queue without the page."""

from __future__ import annotations

import logging
import os
from typing import Annotated

import typer

from vcr_core.execution.limits import load_limits
from vcr_core.execution.ray_cluster import VARIABLE as RAY_VARIABLE
from vcr_core.execution.ray_cluster import check_cluster
from vcr_core.store import Store, open_store

RAY_HELP = "Train on the Ray cluster at this address: host:6379, ray://host:10001 or auto."


def use_cluster(address: str, store: Store) -> None:
    """Let the dispatcher of this process, or one that it starts, train on a cluster.

    Raises:
        ClusterError: the cluster does not answer.
    """
    if address:
        check_cluster(address, store.url)
        os.environ[RAY_VARIABLE] = address


def dispatcher(
    ray: Annotated[str, typer.Option(help=RAY_HELP, envvar=RAY_VARIABLE)] = "",
) -> None:
    """Give queued runs to workers until Ctrl-C, without a page; waits where another one does."""
    import psutil

    from vcr_core.execution.dispatcher import Dispatcher, make_crew, serve_until_told

    store = open_store()
    use_cluster(ray, store)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    crew = make_crew(store.url, ray)
    try:
        serve_until_told(Dispatcher(store, crew, psutil.Process(), limits=load_limits()))
    except KeyboardInterrupt:
        typer.echo("vcr-lab: runs in work go on to their end", err=True)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dispatcher")(dispatcher)
