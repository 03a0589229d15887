"""A run or a pair as one HTML file: the live view itself with every step inside, no network needed.

Open it anywhere: layers, slider and animation work as on the page.
"""

from __future__ import annotations

import html
import json
from base64 import b64encode
from collections.abc import Callable
from string import Template
from typing import Any

from vcr_core.figures import plotly_folder
from vcr_core.live_view.bundle import bundle
from vcr_core.live_view.feed import Feed, past
from vcr_core.live_view.language import ENGLISH, Language
from vcr_core.live_view.spec import View
from vcr_core.store import Store

PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root {
  --page-background: #ffffff; --page-text: #31333f; --page-accent: #0b6fc2;
  --page-problem: #b3261e; --page-font: system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --page-background: #0e1117; --page-text: #f2f3f6; --page-accent: #4aa3ec;
    --page-problem: #ff8a80; }
}
body { max-width: 1200px; margin: 0 auto; padding: 24px 16px; color: var(--page-text);
  font-family: var(--page-font); background: var(--page-background); }
h1 { font-size: 26px; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$facts</p>
<main id="view"></main>
<script>$plotly</script>
<script type="module">
import { show } from "$code";
const messages = $messages;
const element = document.getElementById("view");
function enlarge(layer) {
  show({
    data: messages[layer],
    element,
    tell: (name, value) => {
      if (name === "chosen" && value.layer in messages) enlarge(value.layer);
    },
  });
}
enlarge($first);
</script>
</body>
</html>
""")


def html_page(
    view_of: Callable[[str], View],
    layer: str,
    *,
    store: Store,
    title: str,
    facts: str,
    language: Language = ENGLISH,
) -> str:
    """The file's text; ``view_of`` gives the view with a layer enlarged, ``layer`` the first one.

    Raises:
        ValueError: the view has no row of layers.
    """
    network = view_of(layer).network
    if network is None:
        raise ValueError("expected a view with a row of layers, got one without")
    messages = {
        name: _message(view_of(name), store, language, place)
        for place, name in enumerate(network.layers)
    }
    code = b64encode(bundle().encode()).decode("ascii")
    return PAGE.substitute(
        language=language.code,
        title=html.escape(title),
        facts=html.escape(facts),
        plotly=(plotly_folder() / "plotly.min.js").read_text(encoding="utf-8"),
        code=f"data:text/javascript;charset=utf-8;base64,{code}",
        messages=_in_script(messages),
        first=_in_script(layer),
    )


def _message(view: View, store: Store, language: Language, place: int) -> dict[str, Any]:
    """One fresh message with all there is, the matrices of all steps among it."""
    message = Feed().next_message(view, store, language)
    steps = sorted({frame["step"] for frames in message["frames"].values() for frame in frames})
    message["past"] = past(view.charts, steps, store)
    message["spec"]["plotly"] = ""
    message["spec"]["choices"] = []
    return message | {"feed": "file", "fresh": True, "sequence": place + 1}


def _in_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028")
