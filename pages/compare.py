"""Two to twelve runs against each other: ``?runs=id,id``."""

from __future__ import annotations

import streamlit as st

from app.compare_page import compare_page
from app.links import show_languages
from app.texts import tr

st.title(tr("Compare"), anchor=False)
compare_page()
show_languages()
