"""The words that the live view itself shows, in English; translated when they are sent."""

from __future__ import annotations

from dataclasses import replace

from vcr_core.figures import Axis, Chart, Panel, Readout, RunLine, Trace
from vcr_core.live_view.language import Say

WORDS = {
    "region": "Live charts",
    "waiting": "The first numbers arrive in a moment.",
    "turned": "Knobs that were turned while it trained",
    "download": "Download as a picture (PNG)",
    "download_svg": "Download as a drawing (SVG)",
    "broken": "The charts cannot be drawn: the browser did not get Plotly from this app's server. "
    "Reload the page; if that does not help, reinstall the plotly package and restart the app.",
    "legend": "Click a line to hide or show it in all charts",
    "time": "Time: which step is shown",
    "play": "Play the run back",
    "pause": "Stop playing",
    "live": "Live",
    "live_help": "Follow the newest step",
    "latest": "newest step",
    "step": "step {step}",
    "step_of": "step {step} of {total}",
    "layers": "The network, layer by layer",
    "layers_help": "From input to output. Click a layer to enlarge it. Map: correlations of its "
    "features. Bars: how many features spread how far, the target dotted. Line: variance of each "
    "direction, falling.",
    "map": "correlations",
    "spread": "spread",
    "spectrum": "spectrum",
    "features": "{features} features, {samples} samples",
    "enlarge": "Enlarge {layer}",
    "enlarged": "{layer}, enlarged",
}


def translated_chart(chart: Chart, say: Say) -> Chart:
    """The chart with all its words in the viewer's language."""
    panels = tuple(_panel(panel, say) for panel in chart.panels)
    return replace(chart, title=say(chart.title), help=say(chart.help), panels=panels)


def translated_run(run: RunLine, say: Say) -> RunLine:
    """The run with its label in the viewer's language."""
    return replace(run, label=say(run.label))


def _panel(panel: Panel, say: Say) -> Panel:
    guide = panel.guide
    return replace(
        panel,
        title=say(panel.title) if panel.title else "",
        tag=say(panel.tag) if panel.tag else "",
        traces=tuple(_trace(trace, say) for trace in panel.traces),
        readouts=tuple(_readout(readout, say) for readout in panel.readouts),
        guide=replace(guide, label=say(guide.label)) if guide else None,
        x=_axis(panel.x, say),
        y=_axis(panel.y, say),
    )


def _trace(trace: Trace, say: Say) -> Trace:
    label = say(trace.label) if trace.label else ""
    return replace(trace, run=translated_run(trace.run, say), label=label)


def _readout(readout: Readout, say: Say) -> Readout:
    caption = say(readout.caption) if readout.caption else ""
    return replace(readout, run=translated_run(readout.run, say), caption=caption)


def _axis(axis: Axis, say: Say) -> Axis:
    return replace(axis, prefix=say(axis.prefix) if axis.prefix else "")
