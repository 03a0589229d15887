"""What the link says about the view: layer, matrix, order, step; what is hidden and locked.

``?hide=settings,knobs`` leaves parts of the page out and ``?lock=knobs`` shows them without letting
anyone turn them, so that a teacher can hand out a page with just what the lesson needs. Whatever a
link says is checked: of a value that is none of the known ones the page says so, and goes on as if
it had not been given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.texts import LANGUAGES, PARAMETER, plain, tr
from app.texts.errors import told
from vcr_core.config import SECTIONS, RunConfig, as_text, differences, fields, override
from vcr_core.errors import ConfigError

#: Everything that a link can leave out, and what it is called.
PARTS: Mapping[str, str] = {
    "start": "Choosing and starting experiments",
    "settings": "Settings of the next experiment",
    "data": "The way to the images",
    "code": "Link, command line and Python",
    "transport": "Pause, step, stop, speed, length",
    "knobs": "Weights and learning rate",
    "fork": "Forking",
    "summary": "What came out",
    "network": "The row of layers",
    "layer": "The enlarged layer",
    "training": "Losses and ranks over time",
}
LOCKABLE = ("settings", "transport", "knobs")
OF_A_RUN = ("run", "layer", "matrix", "order", "step")
#: Parameters of the lab page that are no settings.
KNOWN = ("preset", "hide", "lock", PARAMETER, *OF_A_RUN)
LONGEST_SHOWN = 60
LIKENESS = 0.75


def choice(name: str, options: Sequence[str], default: str) -> str:
    """One of the options, as the link says, else the default."""
    asked = str(st.query_params.get(name, default))
    return asked if asked in options else default


def choose(name: str, value: str, default: str = "") -> None:
    """Keep a choice in the link; what is as it would be anyway is left out."""
    if value == default:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def step() -> int | None:
    """The step of the past that the link shows; None for the newest."""
    text = st.query_params.get("step", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def keep_step(value: Any) -> None:
    """Keep the step shown in the link; None follows the newest."""
    choose("step", str(value) if isinstance(value, int) else "")


def linked_config(base: RunConfig) -> tuple[RunConfig, list[str]]:
    """The settings that the link asks for on top of ``base``, and what it asks for in vain."""
    config, refused = base, []
    asked = {name: st.query_params[name] for name in fields() if name in st.query_params}
    try:
        return override(base, asked), []  # some fit together only: a data set and its factor
    except ConfigError:
        pass
    for name, text in asked.items():
        try:
            config = override(config, {name: text})
        except ConfigError as error:
            refused.append(f"{name}: {told(error.message)}")
    return config, refused


def keep_config(config: RunConfig, base: RunConfig) -> None:
    """Keep in the link what differs from the preset, and nothing else."""
    changed = {name: as_text(value) for name, value in differences(config, base).items()}
    for name in fields():
        if name in changed:
            st.query_params[name] = changed[name]
        elif name in st.query_params:
            del st.query_params[name]


def is_hidden(part: str) -> bool:
    """Whether the link leaves a part of the page out."""
    return part in listed("hide")


def is_locked(part: str) -> bool:
    """Whether the link shows a part of the page but lets nobody change it."""
    return part in listed("lock")


def listed(name: str) -> set[str]:
    """The known parts of the page that ``hide`` or ``lock`` names."""
    return set(_named(name)) & set(PARTS)


def _named(name: str) -> list[str]:
    parts = [part.strip() for part in st.query_params.get(name, "").split(",")]
    return [part for part in parts if part]


def say_problems(options: Mapping[str, Sequence[str]]) -> None:
    """Say what the link asks for in vain; ``options`` are the known values by parameter."""
    for problem in problems(options):
        st.warning(problem, icon=":material/link_off:")


def problems(options: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the link asks for in vain, a sentence each; settings say so themselves."""
    wanted = {**options, PARAMETER: tuple(LANGUAGES)}
    for name, known in wanted.items():
        for asked in st.query_params.get_all(name):
            if asked not in known:
                yield _not_there(name, asked, known)
    text = st.query_params.get("step")
    if text is not None and step() is None:
        yield tr(
            "The link asks for step “{asked}”: expected a whole number. The newest is shown.",
            asked=_shown(text),
        )
    for name, known in (("hide", tuple(PARTS)), ("lock", LOCKABLE)):
        for part in _named(name):
            if part not in known:
                yield _not_there(name, part, known)
    yield from _unknown_names()


def _unknown_names() -> Iterator[str]:
    """Parameters that look like mistyped ones; what other sites add to links is none of ours."""
    known = [*KNOWN, *fields()]
    for name in st.query_params:
        if name in known:
            continue
        near = get_close_matches(name, known, n=3, cutoff=LIKENESS)
        if near or name.partition(".")[0] in SECTIONS:
            said = tr("The link says “{name}”: that means nothing here.", name=_shown(name))
            hint = tr("Did you mean {names}?", names=", ".join(near)) if near else ""
            yield f"{said} {hint}".strip()


def _not_there(name: str, asked: str, known: Sequence[str]) -> str:
    if not known:
        return tr(
            "The link asks for {name} “{asked}”, which is not there.",
            name=name,
            asked=_shown(asked),
        )
    return tr(
        "The link asks for {name} “{asked}”, which is not there: expected one of {known}.",
        name=name,
        asked=_shown(asked),
        known=", ".join(known),
    )


def _shown(text: str) -> str:
    """Something from a link, as text and not too long."""
    return plain(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")


def show_languages() -> None:
    """Links to this very page in each language."""
    kept = {name: value for name, value in st.query_params.items() if name != PARAMETER}
    pages = [
        f"[{name}](?{urlencode({**kept, PARAMETER: code})})" for code, name in LANGUAGES.items()
    ]
    with st.container(key="languages"):
        st.caption(" · ".join(pages))
