"""Every run in the store, newest first; a click opens it in the lab."""

from __future__ import annotations

import streamlit as st

from app.run_table import run_table

st.title("Runs", anchor=False)
run_table()
