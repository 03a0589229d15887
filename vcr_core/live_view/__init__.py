"""The live view: charts of running experiments that update without being rebuilt.

Here are its protocol (a :class:`Feed` makes the messages for one viewer), its words, its knobs and
commands, and its code for the browser. What shows it is an adapter: it carries messages to the
browser and what is asked there back, says which language is spoken and how the page around looks.
Imports neither Streamlit nor torch.
"""

from __future__ import annotations

from vcr_core.live_view.commands import obey
from vcr_core.live_view.feed import Feed
from vcr_core.live_view.language import ENGLISH, Language
from vcr_core.live_view.page_file import html_page
from vcr_core.live_view.run_view import run_view
from vcr_core.live_view.spec import Choice, Network, View
from vcr_core.live_view.watched import Watched, find_watched
from vcr_core.live_view.whole_feed import WholeFeed

__all__ = [
    "ENGLISH",
    "Choice",
    "Feed",
    "Language",
    "Network",
    "View",
    "Watched",
    "WholeFeed",
    "find_watched",
    "html_page",
    "obey",
    "run_view",
]
