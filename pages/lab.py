"""The lab: choose a preset, start twins, watch them, turn the knobs."""

from __future__ import annotations

import streamlit as st

from app.links import show_languages
from app.live_page import show_run
from app.live_view import make_ready
from app.setup import setup
from app.state import UnknownRunError, lab_store, watched
from app.texts import tr
from app.texts.errors import told

try:
    shown = watched()
except UnknownRunError as error:
    shown = None
    st.warning(
        tr("The link names a run that is not here: {reason}", reason=told(error)),
        icon=":material/search_off:",
    )

setup(collapsed=shown is not None)
if shown is None:
    make_ready(lab_store())
else:
    show_run(shown)
show_languages()
