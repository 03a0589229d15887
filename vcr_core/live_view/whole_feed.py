"""A feed for numbers that were worked out elsewhere: means over seeds, chosen matrices.

What was sent before may change when more is known (a mean does), so whenever there is something
new all of it is sent. The browser redraws with what it has; zoom and hidden lines stay.
"""

from __future__ import annotations

from vcr_core.figures import History
from vcr_core.figures.drawing import draw_marks
from vcr_core.live_view.feed import Feed
from vcr_core.live_view.language import ENGLISH, Language
from vcr_core.live_view.packing import Message, packed, rounded
from vcr_core.live_view.spec import View, page_spec, source_id
from vcr_core.store import Store

NOTHING = History()


class WholeFeed(Feed):
    """One per viewer; ``history`` is what its next message shows."""

    history: History = NOTHING
    _sent_whole: History | None = None

    def next_message(self, view: View, store: Store, language: Language = ENGLISH) -> Message:
        """Everything where anything changed, else nothing."""
        message: Message = {"feed": self.id, "follows": self.sequence}
        outline = view.outline(), language
        if self._fresh or self._outline != outline or self._sent_whole is not self.history:
            self._fresh, self._outline, self._sent_whole = False, outline, self.history
            self.sequence += 1
            spec = page_spec(view, language=language)
            message |= {"fresh": True, "spec": spec, **self._content_of(self.history)}
        return message | {"sequence": self.sequence}

    def _content_of(self, history: History) -> Message:
        return {
            "series": {
                source_id(key): {
                    "from": 0,
                    "x": series.steps,
                    "y": [None if value is None else rounded(value) for value in series.values],
                }
                for key, series in history.series.items()
            },
            "arrays": {source_id(key): packed(key, array) for key, array in history.arrays.items()},
            "marks": draw_marks(history.marks),
        }
