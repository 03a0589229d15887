"""Entry of the page: ``streamlit run app/main.py`` or ``vcr-lab app``."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # streamlit puts this script's folder on the path, not its parent
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from app.guard import wait_for_store  # noqa: E402
from app.state import lab_store, open_lab  # noqa: E402
from app.styled import is_styled, styles  # noqa: E402
from app.texts import say_language, tr  # noqa: E402
from app.tips import all_terms  # noqa: E402
from vcr_core.errors import StoreError  # noqa: E402

ICON = ROOT / "app" / "brand" / "icon.svg"
st.set_page_config(page_title="VCR Lab", page_icon=str(ICON), layout="wide")
if not is_styled():
    with st.container(key="style"):
        st.markdown(f"<style>{styles()}</style>", unsafe_allow_html=True)
st.logo(str(ICON))
say_language()
try:
    lab_store()
    open_lab()
except StoreError as error:
    wait_for_store(error, open_lab)
    st.stop()
PAGES = (
    ("lab", "Lab", ":material/science:"),
    ("runs", "Runs", ":material/list:"),
    ("compare", "Compare", ":material/compare_arrows:"),
    ("data", "Data", ":material/image:"),
)
page = st.navigation(
    [
        st.Page(
            ROOT / "pages" / f"{name}.py",
            title=tr(title),
            icon=icon,
            default=name == "lab",
            url_path="" if name == "lab" else name,
        )
        for name, title, icon in PAGES
    ],
    position="top",
)
st.set_page_config(page_title="VCR Lab" if page.url_path == "" else f"{page.title} – VCR Lab")
try:
    page.run()
except StoreError as error:
    wait_for_store(error, open_lab)
all_terms()
