"""The trade-off of cheaper estimators as a picture, made from the result file.

python benchmarks/light_budget_figure.py       writes docs/images/light_budget.svg

Drawn by Plotly in a headless browser (Playwright), as the app's own figures are.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import plotly.graph_objects as go
from playwright.sync_api import sync_playwright
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from vcr_core.figures.theme import THEMES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "light_budget.json"
IMAGE = ROOT / "docs" / "images" / "light_budget.svg"
NETWORK_OF = {  # each preset's own network, among those whose steps were timed
    "sprites-shape": "ResNet of the sprites preset, 32 px",
    "digits-parity": "MLP of the digits preset",
    "fashion-coarse": "MLP of the digits preset",
}
COLOURS = ("regularized", "third", "mark", "baseline")
SIZE = {"width": 960, "height": 340}


def figure() -> go.Figure:
    """Gain against the time of a step, one panel a preset."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    drawn = make_subplots(cols=len(NETWORK_OF), subplot_titles=list(NETWORK_OF))
    for column, (preset, network) in enumerate(NETWORK_OF.items(), start=1):
        ratios, gains = found["step_ratios"][network], found["summary"][preset]
        names = [name for name in ratios if name in gains]
        for name, token in zip(names, COLOURS, strict=False):
            drawn.add_scatter(
                x=[ratios[name]["ratio"]],
                y=[gains[name]["gain"]],
                error_y={"type": "data", "array": [gains[name]["gain_se"]]},
                mode="markers",
                marker={"size": 11, "color": THEMES["light"][token]},
                name=name,
                showlegend=column == 1,
                row=1,
                col=column,
            )
        widest = max(ratios[name]["ratio"] for name in names)
        drawn.update_yaxes(rangemode="tozero", row=1, col=column)
        drawn.update_xaxes(range=[1, 1 + 1.15 * (widest - 1)], row=1, col=column)
    drawn.update_xaxes(title="time of a step ÷ without penalty")
    drawn.update_yaxes(title="gain in transfer accuracy", col=1)
    drawn.update_layout(
        template="plotly_white",
        font={"size": 12, "family": "sans-serif"},
        legend={"orientation": "h", "y": -0.3},
        margin={"l": 60, "r": 20, "t": 40, "b": 20},
        **SIZE,
    )
    return drawn


def main() -> None:
    """Draw and write."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_content("<div id='figure'></div>")
        page.add_script_tag(content=get_plotlyjs())
        url = page.evaluate(
            """async ([figure, size]) => {
                const plot = await Plotly.newPlot("figure", figure.data, figure.layout);
                return Plotly.toImage(plot, { format: "svg", ...size });
            }""",
            [json.loads(figure().to_json()), SIZE],
        )
        browser.close()
    IMAGE.write_text(unquote(url.partition(",")[2]), encoding="utf-8")
    print(IMAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
