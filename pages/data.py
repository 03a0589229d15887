"""The data sets: what each is, where it is, and its images with their labels."""

from __future__ import annotations

import streamlit as st

from app.data_page import data_page
from app.links import show_languages
from app.texts import tr

st.title(tr("Data"), anchor=False)
data_page()
show_languages()
