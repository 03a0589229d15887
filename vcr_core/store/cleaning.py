"""Throw away for good what was deleted: rows first, then the checkpoints that nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vcr_core.errors import StoreError
from vcr_core.store.records import RunSummary
from vcr_core.store.store import Store

EVERYTHING = 1_000_000
DAY = 86_400.0


class Cleaned(NamedTuple):
    """What was thrown away."""

    runs: list[str]
    checkpoints: list[str]


def clean_store(store: Store, *, older_than: float, root: str, dry_run: bool = False) -> Cleaned:
    """Purge runs that were deleted more than ``older_than`` seconds ago, with their checkpoints.

    Folders of this store below ``root`` (``root/<identity of the store>/<run>``) whose run is not
    in the store any more go as well, and old answers to requests. A checkpoint that another run
    started from stays.

    Raises:
        StoreError: a checkpoint cannot be removed; what is left is tried again next time.
    """
    before = {run.id: run for run in store.summaries(include_deleted=True, limit=EVERYTHING)}
    gone = store.purgeable(older_than=older_than) if dry_run else store.purge(older_than=older_than)
    needed = {run.checkpoint for run in before.values() if run.id not in gone}
    own = f"{root.rstrip('/')}/{store.identity}"
    folders = _addresses([before[run_id] for run_id in gone if run_id in before])
    folders += [folder for folder in list_folders(own) if folder.rpartition("/")[2] not in before]
    folders = sorted(set(folders) - needed)
    if not dry_run:
        store.purge_requests()
        for folder in folders:
            remove_folder(folder)
    return Cleaned(gone, folders)


def _addresses(runs: Sequence[RunSummary]) -> list[str]:
    """The folders of runs' checkpoints: each is named after its run, so no other can be meant."""
    addresses = (run.checkpoint.rstrip("/") for run in runs if run.checkpoint)
    ids = {run.id for run in runs}
    return [address for address in addresses if address.rpartition("/")[2] in ids]


def list_folders(address: str) -> list[str]:
    """The folders below an address (a path or any fsspec address); none where it does not exist."""
    import fsspec

    files, path = fsspec.core.url_to_fs(address)
    if not files.isdir(path):
        return []
    found = files.ls(path, detail=True)
    names = [entry["name"].rstrip("/").rpartition("/")[2] for entry in found]
    kinds = [entry["type"] for entry in found]
    return [
        f"{address}/{name}" for name, kind in zip(names, kinds, strict=True) if kind == "directory"
    ]


def remove_folder(address: str) -> None:
    """Remove a folder with what is in it.

    Raises:
        StoreError: it cannot be removed.
    """
    import fsspec

    files, path = fsspec.core.url_to_fs(address)
    try:
        if files.isdir(path):
            files.rm(path, recursive=True)
    except OSError as error:
        raise StoreError(
            f"cannot remove the checkpoints at {address} ({error.strerror or error}): make the "
            "folder writable, then run `vcr-lab gc` again"
        ) from error
