"""The test images that one of two runs gets right and the other does not.

Both are asked for what they say of every test image; the images are then those where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app import links
from app.answers import with_answers
from app.pictures import Tile, show_points, show_skeleton, show_tiles
from app.state import Watched
from app.tables import table
from app.texts import plain, tr, tr_class
from app.words import named
from vcr_core.comparison import Group
from vcr_core.datasets.catalog import dataset_info, parse_target
from vcr_core.execution.questions import ImagesQuestion, PredictionsQuestion
from vcr_core.figures.points import QUIET
from vcr_core.store import Answer, Run, RunState

QUESTION = "Which images does each of them get right?"
SHOWN = 20  # images of each kind
MOST_POINTS = 2000
SOURCE = ""
POINT = (2, 1, 1)
GROUPS = (
    "both right",
    "only {first} right",
    "only {second} right",
    "both wrong",
)
POINT_STYLES = (QUIET, 0, 1, 3)
TASK, PAGE = "task", "others"


@dataclass(frozen=True)
class Side:
    """One of the two runs, by its name and by a short one for captions."""

    run: Run
    name: str
    short: str

    @property
    def source(self) -> str:
        """The task that it was trained on."""
        return self.run.config.data.source

    @property
    def question(self) -> PredictionsQuestion:
        """What to ask for its predictions."""
        config = self.run.config
        step = self.run.checkpoint_step or 0
        return PredictionsQuestion(run=self.run.id, step=step, data=config.data, seed=config.seed)


@dataclass(frozen=True)
class Told:
    """What two runs say of a task's N test images: places in the ``classes`` of a factor, (N,)."""

    factor: str
    classes: tuple[str, ...]
    truth: NDArray[np.int32]
    first: NDArray[np.int32]
    second: NDArray[np.int32]

    @property
    def groups(self) -> NDArray[np.int64]:
        """0 both right, 1 only the first, 2 only the second, 3 both wrong; (N,)."""
        first, second = self.first == self.truth, self.second == self.truth
        return np.where(first, np.where(second, 0, 1), np.where(second, 2, 3)).astype(np.int64)

    def counts(self) -> list[int]:
        """How many images are in each group."""
        return [int(count) for count in np.bincount(self.groups, minlength=len(GROUPS))]


def twins_images(watched: Watched) -> None:
    """For a pair that has ended: an expander that asks once it is opened."""
    baseline = watched.baseline
    if baseline is None or not (can_be_asked(baseline) and can_be_asked(watched.main)):
        return
    with_vcr = Side(watched.main, tr("with VCR"), tr("with"))
    _when_opened(lambda: _compare(with_vcr, Side(baseline, tr("without VCR"), tr("without"))))


def groups_images(groups: Sequence[Group], reference: Group) -> None:
    """For runs on the compare page: one of another group against one of the reference's."""
    others = [each for each in groups if each.id != reference.id and _both(each, reference)]
    if others:
        _when_opened(lambda: _choose_and_compare(others, reference))


def _choose_and_compare(others: Sequence[Group], reference: Group) -> None:
    group = others[0]
    if len(others) > 1:
        place = st.selectbox(
            tr("Run"),
            range(len(others)),
            format_func=lambda place: tr(others[place].label),
            key="images:group",
            width=360,
        )
        group = others[place]
    first, second = _both(group, reference)[0]
    _compare(
        Side(first, f"{tr(group.label)} (A)", "A"),
        Side(second, f"{tr(reference.label)} (B)", "B"),
    )


def _both(group: Group, reference: Group) -> list[tuple[Run, Run]]:
    """Runs of both groups that can be asked, of the same seed where there are such."""
    mine, theirs = (
        {seed: run for seed, run in each.by_seed.items() if can_be_asked(run)}
        for each in (group, reference)
    )
    shared = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    return shared or list(zip(mine.values(), theirs.values(), strict=False))


def _when_opened(show: Callable[[], None]) -> None:
    opened = st.expander(
        f"**{tr(QUESTION)}**",
        icon=":material/photo_library:",
        key="images",
        on_change="rerun",
        expanded=TASK in st.query_params,
    )
    if opened.open:
        with opened:
            show()
    else:
        links.choose(TASK, "")


def can_be_asked(run: Run) -> bool:
    """Whether a run has ended and kept its network."""
    ended = run.state.is_over or run.state is RunState.INTERRUPTED
    return ended and run.checkpoint_step is not None


def _compare(first: Side, second: Side) -> None:
    """Counts for every task, and the images of one task that only one of the runs gets right."""
    with_answers(
        [first.question, second.question],
        partial(_show, first, second),
        partial(show_skeleton, SHOWN),
        key="images",
    )


def _show(first: Side, second: Side, answer: Answer, other: Answer) -> None:
    told = in_common(answer, other, (first.source, second.source))
    if not told:
        st.caption(tr("These runs were not measured on the same images: nothing to compare."))
        return
    task = _task(list(told), first)
    _sentence(told[task], first, second)
    _table(told, first, second)
    _images(told[task], task, first, second)


def _heads(first: Side, second: Side) -> list[str]:
    """The names of the four groups of images."""
    return [tr(text, first=first.name, second=second.name) for text in GROUPS]


def in_common(answer: Answer, other: Answer, sources: tuple[str, str]) -> dict[str, Told]:
    """The tasks on which both runs were measured on the same images: with the same true labels.

    ``sources`` are the tasks that they were trained on.
    """
    places = [
        {task["name"]: place for place, task in enumerate(each.facts["tasks"])}
        for each in (answer, other)
    ]
    found = {}
    for task in answer.facts["tasks"]:
        name = task["name"]
        if name not in places[1] or (name == SOURCE and sources[0] != sources[1]):
            continue
        factor = parse_target(name or sources[0]).factor
        mine, theirs = places[0][name], places[1][name]
        truth = answer.arrays[f"truth/{mine}"]
        if np.array_equal(truth, other.arrays[f"truth/{theirs}"]):
            first = answer.arrays[f"predicted/{mine}"]
            second = other.arrays[f"predicted/{theirs}"]
            found[name] = Told(factor, tuple(task["classes"]), truth, first, second)
    return found


def _task(names: Sequence[str], side: Side) -> str:
    """The task whose images are shown, as the link says; at first one that was not trained."""
    words = {name: task_name(name, side) for name in names}
    spoken = {name or f"{side.source} (trained)": name for name in names}
    start = next((name for name in spoken if spoken[name] != SOURCE), next(iter(spoken)))
    linked = links.choice(TASK, list(spoken), start)
    chosen = st.segmented_control(
        tr("Task"),
        list(spoken),
        default=linked,
        format_func=lambda name: words[spoken[name]],
        key="images:task",
        required=True,
        on_change=lambda: st.session_state.pop(PAGE, None),
    )
    links.choose(TASK, str(chosen))
    return spoken[str(chosen)]


def task_name(name: str, side: Side) -> str:
    """A task for people; the one that was trained says so."""
    return tr("{task} (trained)", task=named(side.source)) if name == SOURCE else named(name)


def _sentence(told: Told, first: Side, second: Side) -> None:
    """The counts in words."""
    _, mine, theirs, _ = told.counts()
    text = tr(
        "**{first}** right on **{count}** of {total} test images where **{second}** is wrong; "
        "{other} the other way round.",
        first=plain(first.name[:1].upper() + first.name[1:]),
        second=plain(second.name),
        count=f"{mine:,}",
        other=f"{theirs:,}",
        total=f"{len(told.truth):,}",
    )
    st.markdown(text)


def _table(told: Mapping[str, Told], first: Side, second: Side) -> None:
    """All tasks at a glance."""
    rows = [
        [task_name(name, first), *(f"{count:,}" for count in each.counts())]
        for name, each in told.items()
    ]
    table([tr("Task"), *_heads(first, second)], rows, caption=tr(QUESTION))


def _images(told: Told, task: str, first: Side, second: Side) -> None:
    """The images themselves: only the first right, then only the second."""
    page = int(st.session_state.get(PAGE, 0))
    chosen = [pick(told.groups, group, page) for group in (1, 2)]
    config = first.run.config
    question = ImagesQuestion(
        run=first.run.id,
        task=task,
        rows=tuple(int(row) for rows in chosen for row in rows),
        data=config.data,
        seed=config.seed,
    )
    if dataset_info(parse_target(task).dataset or config.data.dataset).image_shape == POINT:
        everything = tuple(range(len(told.truth)))[:MOST_POINTS]
        with_answers(
            [question.model_copy(update={"rows": everything})],
            partial(_points, told, _heads(first, second)),
            partial(show_skeleton, 6),
            key="images:points",
        )
        return
    with_answers(
        [question],
        partial(_both_kinds, told, chosen, first, second),
        partial(show_skeleton, SHOWN),
        key="images:shown",
    )
    if max(told.counts()[1:3]) > SHOWN:
        st.button(tr("Show others"), icon=":material/shuffle:", key="images:others", on_click=_turn)


def pick(groups: NDArray[np.int64], group: int, page: int) -> NDArray[np.int64]:
    """Places of up to ``SHOWN`` images of a group; every page has others, and they come round."""
    rows = np.flatnonzero(groups == group)
    mixed = np.random.default_rng(0).permutation(rows)
    pages = max(1, -(-len(mixed) // SHOWN))
    start = page % pages * SHOWN
    return mixed[start : start + SHOWN]


def _turn() -> None:
    st.session_state[PAGE] = int(st.session_state.get(PAGE, 0)) + 1


def _both_kinds(
    told: Told, chosen: Sequence[NDArray[Any]], first: Side, second: Side, answer: Answer
) -> None:
    images, start = answer.arrays["images"], 0
    heads = _heads(first, second)
    for column, rows, group in zip(st.columns(2, gap="large"), chosen, (1, 2), strict=True):
        tiles = [
            _tile(told, int(row), images[start + place], (first.short, second.short))
            for place, row in enumerate(rows)
        ]
        start += len(rows)
        title = heads[group][:1].upper() + heads[group][1:]
        with column:
            st.markdown(f"##### {plain(title)} ({told.counts()[group]:,})")
            if tiles:
                show_tiles(tiles, label=title)
            else:
                st.caption(tr("None: there is no such image."))


def _tile(told: Told, row: int, views: NDArray[np.uint8], shorts: tuple[str, str]) -> Tile:
    truth = int(told.truth[row])
    lines = tuple(
        f"{'✓' if said == truth else '✗'} {short}: {tr_class(told.factor, told.classes[said])}"
        for short, said in zip(shorts, (int(told.first[row]), int(told.second[row])), strict=True)
    )
    return Tile(views, tr_class(told.factor, told.classes[truth]), lines)


def _points(told: Told, heads: Sequence[str], answer: Answer) -> None:
    show_points(answer.arrays["points"], told.groups[:MOST_POINTS], heads, POINT_STYLES)
