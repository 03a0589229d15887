"""Every run in the store: find, name, stop, resume, delete, and choose some to compare."""

from __future__ import annotations

import streamlit as st

from app.links import show_languages
from app.runs_page import runs_page
from app.texts import tr

st.title(tr("Runs"), anchor=False)
runs_page()
show_languages()
