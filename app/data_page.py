"""The page that shows the data: facts, samples with their labels, how the classes are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import links
from app.answers import with_answers
from app.data_choice import PLAIN, Choice, choose_data
from app.data_parts import catalog_table, class_bars, facts, how_to_get
from app.forms import folder_problems, newest
from app.pictures import Tile, show_points, show_skeleton, show_tiles
from app.texts import plain, tr, tr_class
from app.texts.errors import told
from vcr_core.datasets.catalog import DATASETS, Target, dataset_info, parse_target
from vcr_core.datasets.corruption_names import CORRUPTIONS, FOR_POINTS, SEVERITIES
from vcr_core.errors import StoreError
from vcr_core.execution.questions import SamplesQuestion, View
from vcr_core.presets import PRESETS
from vcr_core.store import Answer

MOST_NAMED = 60  # classes that are named in the box; with more one looks at all of them
TILES, ROWS = 48, 10
EVERYTHING = "all"
VIEWS = {
    "train": "Training images",
    "test": "Test images",
    "augmented": "As training varies them",
    "target": "As a probe sees them",
    "corrupted": "Corrupted",
}
VIEWS_OF_POINTS = {"train": "Training points", "test": "Test points"}


def data_page() -> None:
    """One data set at a time, and a table of all."""
    st.markdown(
        tr(
            "Every image has several labels. A network learns **one** of these tasks and is then "
            "asked about the others: that is how this lab sees what its features still know."
        )
    )
    links.say_problems(_known())
    try:
        choice = choose_data()
        info = dataset_info(choice.name)
        st.markdown(f"**{tr(info.title)}.** {tr(info.description)}")
        samples, about = st.columns([7, 3], gap="large")
        with about:
            facts(choice)
        with samples, st.container(key="data-pictures"):
            _pictures(choice, about)
    except StoreError as error:
        st.error(plain(told(error)), icon=":material/error:")
        st.button(tr("Try again"), icon=":material/refresh:")
    st.subheader(tr("All data sets"), anchor=False)
    catalog_table()


def _known() -> dict[str, Sequence[str]]:
    """What a link to this page may say, by parameter; classes depend on the data set it names."""
    known: dict[str, Sequence[str]] = {
        "dataset": tuple(DATASETS),
        "preset": tuple(PRESETS),
        "view": tuple(dict.fromkeys([*VIEWS, *VIEWS_OF_POINTS])),
        "corruption": tuple(dict.fromkeys([*CORRUPTIONS, *FOR_POINTS])),
        "severity": tuple(map(str, SEVERITIES)),
    }
    named = st.query_params.get("dataset", "")
    if named in DATASETS:
        factors = DATASETS[named].factors
        known["task"] = tuple(factors)
        known["class"] = (EVERYTHING, *dict.fromkeys(chain.from_iterable(factors.values())))
    return known


def _pictures(choice: Choice, about: DeltaGenerator) -> None:
    """Controls and samples, or what to do to have some; how full the classes are goes ``about``."""
    if choice.name == "folder":
        problems = folder_problems(choice.config.data.folder) if choice.config.data.folder else {}
        if problems or not choice.config.data.folder:
            text = next(iter(problems.values()), "")
            st.info(
                plain(told(text)) if text else tr("Type a folder above to see your images."),
                icon=":material/folder:",
            )
            return
    if not choice.is_here:
        how_to_get(choice)
        return
    question = _asked(choice)
    wide = question.view == "augmented" or _is_clips(choice)
    count = 8 if _is_points(choice) else ROWS if wide else TILES
    with about:
        bars = st.empty()
    with_answers(
        [question],
        partial(_show, question, bars),
        partial(show_skeleton, count, wide=wide),
        key="data:samples",
    )


def _asked(choice: Choice) -> SamplesQuestion:
    """What the controls ask for; they live in the link."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="data-boxes"):
        words = VIEWS | (VIEWS_OF_POINTS if _is_points(choice) else {})
        view = _box("show", tr("Show"), _views(choice), words)
        target, task = _target_and_task(choice, view)
        label = _class(task)
        st.button(
            tr("Show others"),
            icon=":material/shuffle:",
            key="data:others",
            on_click=_turn,
            disabled=_is_points(choice),
        )
    return SamplesQuestion(
        data=choice.config.data,
        seed=choice.config.seed,
        augmentation=choice.config.augmentation,
        view="target" if target else _plain_view(view),
        target=target,
        factor=task.factor,
        label=label,
        page=_page(),
        count=ROWS if view == "augmented" else TILES,
        changed=newest(choice.config.data.folder) if choice.name == "folder" else 0.0,
    )


def _views(choice: Choice) -> list[str]:
    views = ["train", "test"]
    if choice.config.augmentation.is_on:
        views.append("augmented")
    if choice.settings != PLAIN and choice.config.transfer.targets:
        views.append("target")
    return [*views, "corrupted"]


def _plain_view(view: str) -> View:
    return "test" if view == "test" else "augmented" if view == "augmented" else "train"


def _target_and_task(choice: Choice, view: str) -> tuple[str, Target]:
    """The transfer target that is looked at, empty for plain images; and the labelling shown."""
    if view == "target":
        target = _box("target", tr("Probe"), choice.config.transfer.targets)
        parts = parse_target(target)
        return target, parts._replace(dataset=parts.dataset or choice.name)
    factors = choice.config.data.factors
    factor = _box("task", tr("Task"), factors, start=factors.index(choice.config.data.source))
    task = Target(choice.name, factor, "")
    if view != "corrupted":
        return "", task
    kinds = FOR_POINTS if _is_points(choice) else tuple(CORRUPTIONS)
    kind = _box("corruption", tr("Corruption"), kinds, CORRUPTIONS)
    severity = _box("severity", tr("Severity"), [str(each) for each in SEVERITIES], start=2)
    return f"{factor}@{kind}-{severity}", task


def _class(task: Target) -> int | None:
    """The one class to show; None for all, and where there are too many to choose from."""
    names = dataset_info(task.dataset).factors.get(task.factor, ())
    if not 0 < len(names) <= MOST_NAMED:
        return None
    words = {name: tr_class(task.factor, name) for name in names}
    chosen = _box(
        "class", tr("Class"), [EVERYTHING, *names], {**words, EVERYTHING: tr("All classes")}
    )
    return None if chosen == EVERYTHING else names.index(chosen)


def _box(
    name: str,
    label: str,
    options: Sequence[str],
    words: Mapping[str, str] | None = None,
    start: int = 0,
) -> str:
    """A select box whose choice is kept in the link."""
    linked = links.choice(name, options, options[start])
    chosen = st.selectbox(
        label,
        options,
        index=list(options).index(linked),
        format_func=lambda value: tr((words or {}).get(str(value), str(value))),
        key=f"data:{name}:{'|'.join(options)[:200]}",
        width=190,
        on_change=_turn_back,
    )
    links.choose(name, chosen, default=options[start])
    return chosen


def _page() -> int:
    text = st.query_params.get("page", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _turn() -> None:
    links.choose("page", str(_page() + 1))


def _turn_back() -> None:
    links.choose("page", "")


def _is_points(choice: Choice) -> bool:
    return dataset_info(choice.name).image_shape == (2, 1, 1)


def _is_clips(choice: Choice) -> bool:
    return dataset_info(choice.name).kind == "clips"


def _show(question: SamplesQuestion, bars: DeltaGenerator, answer: Answer) -> None:
    """The samples of an answer, and how many images each class has."""
    names, counts = answer.facts["classes"], answer.facts["counts"]
    factor = question.factor
    st.caption(_how_many(question, answer))
    if "points" in answer.arrays:
        groups = np.asarray(answer.arrays[f"labels/{factor}"])
        show_points(
            answer.arrays["points"], groups, [tr_class(factor, name) for name in names[factor]]
        )
    else:
        show_tiles(
            _tiles(question, answer),
            label=tr(VIEWS.get(question.view, question.view)),
            wide=question.view == "augmented",
        )
    with bars.container():
        class_bars(tr(factor), [tr_class(factor, name) for name in names[factor]], counts[factor])


def _how_many(question: SamplesQuestion, answer: Answer) -> str:
    shown = len(answer.arrays["rows"])
    if "points" in answer.arrays:
        return tr(
            "{shown} of {total} points.", shown=f"{shown:,}", total=f"{answer.facts['total']:,}"
        )
    text = tr("{shown} of {total} images.", shown=f"{shown:,}", total=f"{answer.facts['total']:,}")
    if dataset_info(question.data.dataset).kind == "clips":
        text += " " + tr("Of each clip some frames are shown, from its first to its last.")
    if question.view == "augmented":
        text += " " + tr(
            "First the image itself, then five of the views that training makes of it."
        )
    return text


def _tiles(question: SamplesQuestion, answer: Answer) -> list[Tile]:
    classes = answer.facts["classes"]
    tiles = []
    for place, views in enumerate(answer.arrays["images"]):
        told = {
            factor: tr_class(factor, names[int(answer.arrays[f"labels/{factor}"][place])])
            for factor, names in classes.items()
        }
        others = [f"{name}" for factor, name in told.items() if factor != question.factor]
        whole = ", ".join(f"{tr(factor)}: {name}" for factor, name in told.items())
        tiles.append(Tile(views, told[question.factor], (" · ".join(others),), whole))
    return tiles
