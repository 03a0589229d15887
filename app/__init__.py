"""The screen's parts: forms, controls, live view, words. Pages are short scripts that use them."""
