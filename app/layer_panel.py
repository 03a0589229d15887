"""Weights layer by layer, and what a weight means at a layer in the other conventions."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import links
from app.commands import ask, follow, turn_to
from app.guard import asks
from app.state import Watched, lab_store
from app.tables import table
from app.texts import tr
from vcr_core.config import BY_LAYER, RunConfig, fields, get_value
from vcr_core.figures.history import shown_value
from vcr_core.live_view.asked import live_settings
from vcr_core.regularization import Weights, equivalent_weights
from vcr_core.regularization.options import Scale
from vcr_core.store import Run, Store

FACTORS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
OPEN = "layers:open"
CONVENTIONS: Mapping[Scale, str] = {
    "exact": "exact: the formula as written",
    "published": "published: the listing of the paper",
    "vicreg": "vicreg: the code of VICReg",
}
WHY = (
    "The exact scale divides the covariance term by D(D − 1). The published listing leaves a "
    "1/(n − 1) out, VICReg divides by D and halves the variance term."
)


def layer_panel(watched: Watched, *, locked: bool) -> None:
    """A popover; its body is made when it is opened."""
    panel = st.popover(tr("By layer"), icon=":material/layers:", key=OPEN, on_change="rerun")
    if not panel.open:
        return
    with panel, st.container(key="layer-panel"):
        weights, conventions = st.tabs([tr("Weights"), tr("In other conventions")])
        live = live_settings(lab_store(), watched.main)
        with weights:
            _weights(watched, live, locked=locked)
        with conventions:
            _conventions(watched.main, live)


def _weights(watched: Watched, live: RunConfig, *, locked: bool) -> None:
    """A row of two sliders for every layer, from input to output."""
    st.caption(tr("How many times the common weight each layer gets. 0 switches VCR off there."))
    with st.container(key="layer-weights"):
        for layer in live.layer_names:
            name, *columns = st.columns([1.1, 2, 2], vertical_alignment="center")
            name.markdown(f"**{layer}**")
            for column, field in zip(columns, BY_LAYER, strict=True):
                with column:
                    _factor(watched, live, f"{field}.{layer}", BY_LAYER[field], locked=locked)
    plain = not any(get_value(live, field) for field in BY_LAYER)
    st.button(
        tr("All layers alike"),
        icon=":material/restart_alt:",
        key="layers:alike",
        disabled=plain or locked,
        on_click=asks(_make_alike),
        args=(watched, live),
    )


def _factor(watched: Watched, live: RunConfig, field: str, weight: str, *, locked: bool) -> None:
    """One slider, named by the weight that comes of it."""
    now, key = float(get_value(live, field)), f"knob:{watched.main.id}:{field}"
    follow(key, now)
    st.select_slider(
        f"{tr(str(fields()[weight].title))}: {now * get_value(live, weight):g}",
        options=sorted({*FACTORS, now}),
        value=now,
        format_func=lambda factor: shown_value(field, factor),
        key=key,
        on_change=asks(turn_to),
        args=(watched, field, key),
        disabled=locked,
    )


def _make_alike(watched: Watched, live: RunConfig) -> None:
    for field in BY_LAYER:
        if get_value(live, field):
            ask(watched, "set", field=field, value=[])


def _conventions(run: Run, live: RunConfig) -> None:
    """This layer's weights in all three conventions."""
    layers = live.layer_names
    linked = links.choice("layer", layers, layers[-1])
    layer = st.selectbox(
        tr("Layer"), layers, index=layers.index(linked), key=f"conventions:{run.id}:{linked}"
    )
    sizes = sizes_of(lab_store(), run, layer)
    if sizes is None:
        st.caption(tr("Known once the first matrices of this layer are there."))
        return
    features, samples = sizes
    st.caption(
        tr(
            "{layer} has D = {features} features and n = {samples} samples a step.",
            layer=layer,
            features=f"{features:,}",
            samples=f"{samples:,}",
        )
    )
    found = in_all_conventions(live, layer, features=features, samples=samples)
    rows = [
        [tr(words), f"{found[scale].variance:.4g}", f"{found[scale].covariance:.4g}"]
        for scale, words in CONVENTIONS.items()
    ]
    titles = [tr(str(fields()[weight].title)) for weight in BY_LAYER.values()]
    table([tr("Convention"), *titles], rows, caption=tr("In other conventions"))
    st.caption(f"{tr('These three rows pull equally hard.')} {tr(WHY)}")


def in_all_conventions(
    live: RunConfig, layer: str, *, features: int, samples: int
) -> dict[Scale, Weights]:
    """The weights that do at a layer what the run's do there, by convention."""
    variance, covariance = live.layer_factors[layer]
    settings = live.regularizer
    weights = variance * settings.variance_weight, covariance * settings.covariance_weight
    return {
        scale: equivalent_weights(
            weights, source=settings.scale, target=scale, features=features, samples=samples
        )
        for scale in CONVENTIONS
    }


def sizes_of(store: Store, run: Run, layer: str) -> tuple[int, int] | None:
    """Features D and samples n behind the penalty of a layer; None before the first matrices."""
    kept = store.latest_snapshot(run.id, layer, "std")
    counts = store.metrics(run.id, names=[f"layer/{layer}/count"])
    known = [row.value for row in counts if row.value is not None]
    return (len(kept.values), int(known[-1])) if kept is not None and known else None
