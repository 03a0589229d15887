"""The lab: choose a preset, start twins, watch them, turn the knobs."""

from __future__ import annotations

import streamlit as st

from app.guard import say_problem
from app.links import say_problems, show_languages
from app.live_page import make_ready, options, show_run
from app.setup import setup
from app.state import UnknownRunError, watched
from app.texts import plain, tr

try:
    shown = watched()
except UnknownRunError as error:
    shown = None
    st.warning(
        tr("The link names a run that is not here: {reason}", reason=plain(str(error))),
        icon=":material/search_off:",
    )

say_problems(options(shown))
say_problem()
setup(collapsed=shown is not None)
if shown is None:
    make_ready()
else:
    show_run(shown)
show_languages()
