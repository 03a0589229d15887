"""The lab: choose a preset, start twins, watch them, turn the knobs."""

from __future__ import annotations

import streamlit as st

from app.guard import say_problem
from app.links import say_problems, show_languages
from app.live_page import options, show_run
from app.live_view import make_ready
from app.setup import setup
from app.state import UnknownRunError, lab_store, watched
from app.texts import plain, tr
from app.texts.errors import told

try:
    shown = watched()
except UnknownRunError as error:
    shown = None
    st.warning(
        tr("The link names a run that is not here: {reason}", reason=plain(told(error))),
        icon=":material/search_off:",
    )

say_problems(options(shown))
say_problem()
setup(collapsed=shown is not None)
if shown is None:
    make_ready(lab_store())
else:
    show_run(shown)
show_languages()
