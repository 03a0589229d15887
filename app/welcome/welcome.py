"""The first screen: a picture of what is at stake, and three experiments to choose from."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.browser_code import BrowserCode, loader
from app.texts import tr, visitors_language
from app.tips import explained
from vcr_core.live_view.tips import theme_colours, tips_spec
from vcr_core.presets import MEASURED, PRESETS, Preset

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

HERE = Path(__file__).parent
KEY = "welcome"
WHAT_IT_IS = (
    "A network that learns one task tends to forget everything else it sees. **Variance-covariance "
    "regularisation** (VCR) asks every layer to keep its features *spread out* (variance) and "
    "*different from each other* (covariance). Start two twins, one without and one with it, and "
    "watch what each still knows."
)
PICTURES = {
    "flat": (
        "Without VCR",
        "the features of all objects lie on one line: shapes can be told apart, colours cannot",
    ),
    "spread": (
        "With VCR",
        "the features fill more directions: shapes and colours can both be told apart",
    ),
}
WORDS = {
    "choose": "Three to begin with",
    "more": "More experiments stand in the list above; every setting can be changed.",
    "steps": "What you will see",
    "seconds": "about {seconds} s for the pair",
}
STEPS = (
    (
        "Two networks start at once",
        "The same seed, the same batches; only one of them has VCR. They train on your machine, in "
        "the background.",
    ),
    (
        "You turn the weights",
        "More variance, less covariance, another learning rate, while they train. Every move "
        "leaves a mark on the curves.",
    ),
    (
        "You see what they know",
        "Accuracy on tasks that nobody taught them, and the features of every layer, live. Go back "
        "to any step, save what you see.",
    ),
)


def hero() -> None:
    """Title, what it is about, and the picture: drawn at once, so that nothing below it jumps."""
    words, picture = st.columns([6, 5], gap="large", vertical_alignment="center")
    with words:
        st.title("VCR Lab", anchor=False)
        st.markdown(tr(WHAT_IT_IS), help=explained(tr(WHAT_IT_IS)))
    with picture, st.container(key="hero"):
        st.html(f'<div class="vcr-hero">{"".join(map(_figure, PICTURES))}</div>')


def _figure(name: str) -> str:
    """One drawing with its caption."""
    head, text = (escape(tr(part)) for part in PICTURES[name])
    source = f"data:image/svg+xml;base64,{_base64(name)}"  # st.html takes no drawing as it is
    return (
        f'<figure class="vcr-{name}"><img src="{source}" alt="{text}" width="200" height="130">'
        f"<figcaption><b>{head}</b>: {text}</figcaption></figure>"
    )


@cache
def _base64(name: str) -> str:
    return b64encode((HERE / f"{name}.svg").read_bytes()).decode()


def welcome(chosen: str, choose: Callable[[str], None]) -> None:
    """Cards of the measured experiments and what comes next; ``choose`` hears a card's preset."""

    def told() -> None:
        name = str(st.session_state[KEY].chosen or "")
        if name in PRESETS:
            choose(name)

    _component()(
        key=KEY,
        data=_code().attached(
            {
                "words": {name: tr(text) for name, text in WORDS.items()},
                "tips": tips_spec(visitors_language()),
                "colours": theme_colours(),
                "cards": [_card(PRESETS[name]) for name in MEASURED],
                "chosen": chosen,
                "steps": [[tr(head), tr(text)] for head, text in STEPS],
            }
        ),
        on_chosen_change=told,
        on_code_change=_code().forget,
    )


def _card(preset: Preset) -> dict[str, str]:
    return {
        "name": preset.name,
        "title": tr(preset.title),
        "text": tr(preset.summary),
        "takes": tr(WORDS["seconds"], seconds=preset.seconds),
        "icon": _icon(preset.config.data.dataset),
    }


@cache
def _icon(dataset: str) -> str:
    return (HERE / f"{dataset}.svg").read_text(encoding="utf-8")


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("vcr_lab.welcome", js=loader())


@cache
def _code() -> BrowserCode:
    return BrowserCode.built("welcome")
