"""Tooltips for terms inside our components: marked words, and question marks beside titles."""

from app.tips.tips import all_terms, explained, known_terms, said_terms, scripts, styles, tips_spec

__all__ = ["all_terms", "explained", "known_terms", "said_terms", "scripts", "styles", "tips_spec"]
