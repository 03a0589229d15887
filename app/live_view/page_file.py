"""A run or a pair as one HTML file: the live view itself with every step inside, no network needed.

Open it anywhere: layers, slider and animation work as on the page.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from string import Template
from typing import Any

from app.live_view.component import browser_code
from app.live_view.feed import Feed, past
from app.live_view.spec import View
from app.texts import language
from vcr_core.figures import plotly_folder
from vcr_core.store import Store

PAGE = Template("""<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root {
  --st-background-color: #ffffff; --st-text-color: #31333f; --st-primary-color: #0b6fc2;
  --st-red-color: #b3261e; --st-font: system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --st-background-color: #0e1117; --st-text-color: #f2f3f6; --st-primary-color: #4aa3ec;
    --st-red-color: #ff8a80; }
}
body { max-width: 1200px; margin: 0 auto; padding: 24px 16px; color: var(--st-text-color);
  font-family: var(--st-font); background: var(--st-background-color); }
h1 { font-size: 26px; }
$css
</style>
</head>
<body>
<h1>$title</h1>
<p>$facts</p>
<main id="view"></main>
<script>$plotly</script>
<script>
$script
const messages = $messages;
const parentElement = document.getElementById("view");
function show(layer) {
  liveView({
    data: messages[layer],
    parentElement,
    setTriggerValue: (name, value) => {
      if (name === "chosen" && value.layer in messages) show(value.layer);
    },
  });
}
show($first);
</script>
</body>
</html>
""")


def html_page(
    view_of: Callable[[str], View], layer: str, *, store: Store, title: str, facts: str
) -> str:
    """The file's text; ``view_of`` gives the view with a layer enlarged, ``layer`` the first one.

    Raises:
        ValueError: the view has no row of layers.
    """
    network = view_of(layer).network
    if network is None:
        raise ValueError("expected a view with a row of layers, got one without")
    messages = {
        name: _message(view_of(name), store, place) for place, name in enumerate(network.layers)
    }
    code = browser_code().js.replace("export default function (", "function liveView(", 1)
    return PAGE.substitute(
        language=language(),
        title=html.escape(title),
        facts=html.escape(facts),
        css=browser_code().css,
        plotly=(plotly_folder() / "plotly.min.js").read_text(encoding="utf-8"),
        script=code,
        messages=_in_script(messages),
        first=_in_script(layer),
    )


def _message(view: View, store: Store, place: int) -> dict[str, Any]:
    """One fresh message with all there is, the matrices of all steps among it."""
    message = Feed().next_message(view, store)
    steps = sorted({frame["step"] for frames in message["frames"].values() for frame in frames})
    message["past"] = past(view.charts, steps, store)
    message["spec"]["plotly"] = ""
    message["spec"]["choices"] = []
    return message | {"feed": "file", "fresh": True, "sequence": place + 1}


def _in_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value).replace("<", "\\u003c").replace("\u2028", "\\u2028")
