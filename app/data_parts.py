"""Parts of the data page: facts about a set, how to get it, how full its classes are, all sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from urllib.parse import urlencode

import streamlit as st

from app.data_choice import DATASET, Choice
from app.pictures import show_styled
from app.texts import tr
from vcr_core import paths
from vcr_core.config.editing import as_text
from vcr_core.datasets.catalog import DATASETS, dataset_info
from vcr_core.datasets.info import DatasetInfo
from vcr_core.datasets.places import whereabouts
from vcr_core.models.catalog import FIRST_CHOICE

MOST_BARS = 40


def facts(choice: Choice) -> None:
    """Size, tasks, licence, source, and where the images are."""
    info = dataset_info(choice.name)
    rows = {
        tr("Images"): _sizes(info),
        tr("Picture"): _picture(info, choice.config.data.frames),
        tr("Tasks"): ", ".join(_task(info, factor) for factor in choice.config.data.factors),
        tr("Licence"): tr(info.licence),
        tr("Made by"): tr(info.source),
        tr("On this machine"): _where(choice),
    }
    terms = "".join(
        f"<p><b>{escape(name)}</b><br>{escape(text)}</p>" for name, text in rows.items() if text
    )
    show_styled(f'<div class="vcr-facts">{terms}</div>')


def _sizes(info: DatasetInfo) -> str:
    if not info.train_size:
        return ""
    return tr(
        "{train} to train on, {test} to test on",
        train=f"{info.train_size:,}",
        test=f"{info.test_size:,}",
    )


def _picture(info: DatasetInfo, frames: int) -> str:
    """What a picture is; ``frames`` of a clip are asked for where videos lie on disk."""
    channels, height, width = info.image_shape
    if height == 1:
        return tr("points of the plane")
    if info.frames:
        count = frames if info.resized else info.frames
        still = _picture(replace(info, frames=0), frames)
        return tr("clips of {count} frames; {still}", count=count, still=still)
    kind = tr("in colour") if channels == 3 else tr("in grey")
    if info.resized or not info.train_size:
        return tr("{kind}, of many sizes, scaled to the image size that is chosen", kind=kind)
    return tr("{kind}, {width} × {height} pixels", kind=kind, width=width, height=height)


def _task(info: DatasetInfo, factor: str) -> str:
    count = info.num_classes(factor)
    return (
        tr("{task} ({count} classes)", task=tr(factor), count=f"{count:,}") if count else tr(factor)
    )


def _where(choice: Choice) -> str:
    if made_here := dataset_info(choice.name).made_here:
        return choice.config.data.folder or tr(made_here)
    return choice.found.place if choice.is_here else tr("not yet")


def how_to_get(choice: Choice) -> None:
    """What to do where the images are not on this machine."""
    info = dataset_info(choice.name)
    place = choice.found.place
    if info.fetched:
        text = tr(
            "These images are not on this machine yet. A run that uses them downloads them once "
            "({size}) into `{place}`. Without internet, put {files} there.",
            size=_megabytes(info.megabytes),
            place=place,
            files=f"`{info.files}`",
        )
    else:
        text = tr(
            "These images are not on this machine, and too large or not free to be downloaded "
            "unasked ({size}). Get them from their authors and put {files} into `{place}`, or name "
            "the folder that holds them in the setting **Folder**.",
            size=_megabytes(info.megabytes),
            place=place,
            files=f"`{info.files}`",
        )
    st.info(text, icon=":material/download:")
    changes = {"data.dataset": info.name, "data.source": info.default_source}
    if info.kind == "clips":
        changes["model.name"] = FIRST_CHOICE[info.kind]
    st.page_link(
        "../pages/lab.py",
        label=tr("To the lab, with these data"),
        icon=":material/science:",
        query_params={name: as_text(value) for name, value in changes.items()},
    )


def _megabytes(count: int) -> str:
    return f"{count / 1000:.1f} GB" if count >= 1000 else f"{count} MB"


def class_bars(task: str, names: Sequence[str], counts: Sequence[int]) -> None:
    """How many images each class of a task has; the smallest and largest of many classes."""
    if not sum(counts):
        return
    st.markdown(f"**{tr('Images of each class: {task}', task=task)}**")
    many = len(counts) > MOST_BARS
    if many:
        st.caption(
            tr(
                "{count} classes with {least} to {most} images each; the first {shown}:",
                count=f"{len(counts):,}",
                least=f"{min(counts):,}",
                most=f"{max(counts):,}",
                shown=MOST_BARS,
            )
        )
    most = max(counts)
    bars = "".join(
        f'<span class="name">{escape(name)}</span>'
        f'<span><i class="bar" style="width:{100 * count / most:.1f}%"></i></span>'
        f'<span class="number">{count:,}</span>'
        for name, count in list(zip(names, counts, strict=True))[:MOST_BARS]
    )
    show_styled(f'<div class="vcr-bars">{bars}</div>')


def catalog_table() -> None:
    """Every data set there is, each a link to itself."""
    head = [
        tr("Data set"),
        tr("Training images"),
        tr("Test images"),
        tr("Tasks"),
        tr("Licence"),
        tr("On this machine"),
    ]
    columns = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    rows = "".join(_catalog_row(info) for info in DATASETS.values())
    label = escape(tr("All data sets"))
    st.html(
        f'<div class="vcr-table" role="region" tabindex="0" aria-label="{label}">'
        f"<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _catalog_row(info: DatasetInfo) -> str:
    found = whereabouts(info.name, paths.data_folder())
    kept = {name: value for name, value in st.query_params.items() if name == "lang"}
    link = f"?{urlencode({DATASET: info.name, **kept})}"
    here = tr("yes") if found.is_here else _missing(info)
    cells = [
        f"{info.train_size:,}" if info.train_size else "",
        f"{info.test_size:,}" if info.test_size else "",
        ", ".join(_task(info, factor) for factor in info.factors),
        tr(info.licence),
        here,
    ]
    told = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    title = f'<a href="{escape(link)}" target="_self">{escape(tr(info.title))}</a>'
    return f'<tr><th scope="row">{title}</th>{told}</tr>'


def _missing(info: DatasetInfo) -> str:
    if info.made_here:
        return tr(info.made_here)
    size = _megabytes(info.megabytes)
    if info.fetched:
        return tr("no: downloaded on first use ({size})", size=size)
    return tr("no: to be placed by hand ({size})", size=size)
