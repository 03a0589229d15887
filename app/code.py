"""The same experiment as a command line and as Python: always one click away."""

from __future__ import annotations

import streamlit as st

from app.texts import tr
from vcr_core.config import RunConfig, differences
from vcr_core.presets import find_preset
from vcr_core.presets.command import command_line

WITHOUT = {"regularizer.variance_weight": 0.0, "regularizer.covariance_weight": 0.0}
PYTHON = """\
from vcr_core.config import override
from vcr_core.execution import ensure_dispatcher, submit_pair
from vcr_core.presets import find_preset
from vcr_core.store import open_store

config = override(find_preset({preset!r}).config, {changes})
store = open_store()
ensure_dispatcher(store)
baseline, regularized = submit_pair(store, config, preset={preset!r})
"""


def show_code(preset: str, config: RunConfig) -> None:
    """A popover with both."""
    with st.popover(tr("Command line and Python"), icon=":material/terminal:"):
        st.caption(tr("The same two runs from a terminal:"))
        st.code(command_lines(preset, config), language="bash", wrap_lines=True)
        st.caption(tr("The same pair from Python or a notebook:"))
        st.code(python(preset, config), language="python", wrap_lines=True)


def command_lines(preset: str, config: RunConfig) -> str:
    """``vcr-lab run`` for both twins, the regularised one first."""
    changes = differences(config, find_preset(preset).config)
    return "\n".join(command_line(preset, each) for each in (changes, {**changes, **WITHOUT}))


def python(preset: str, config: RunConfig) -> str:
    """Queue the pair with the library."""
    changes = differences(config, find_preset(preset).config)
    return PYTHON.format(preset=preset, changes=repr(changes))
