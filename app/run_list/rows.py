"""What the list says of each run, in the visitor's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.state import RUN_PARAMETER
from app.texts import tr
from app.texts.errors import told
from app.words import STATES, duration
from vcr_core.execution import Place
from vcr_core.presets import PRESETS
from vcr_core.store import Role, Run, RunState, RunSummary, mean_transfer

ROLES = {
    Role.SINGLE: "single",
    Role.BASELINE: "pair: without",
    Role.REGULARIZED: "pair: with",
}
SHORT_STATES = {
    RunState.QUEUED: "queued",
    RunState.STARTING: "starting",
    RunState.RUNNING: "training",
    RunState.PAUSED: "paused",
    RunState.INTERRUPTED: "interrupted",
    RunState.FINISHED: "finished",
    RunState.STOPPED: "stopped",
    RunState.FAILED: "failed",
}


def describe_rows(
    runs: Iterable[Run], places: Mapping[str, Place], studies: Mapping[str, str]
) -> list[dict[str, Any]]:
    """The rows of the list; ``places`` are those in the queue, ``studies`` their names by id."""
    return [_row(run, places.get(run.id), studies.get(run.study_id or "", "")) for run in runs]


def _row(run: Run, place: Place | None, study: str) -> dict[str, Any]:
    in_work = run.state in {RunState.RUNNING, RunState.PAUSED, RunState.INTERRUPTED}
    share = run.step / run.total_steps if in_work and run.total_steps else None
    return {
        "id": run.id,
        "name": run.name,
        "title": title_of(run),
        "facts": " · ".join(filter(None, (*_facts(run), run.owner, study))),
        "link": f"./?{RUN_PARAMETER}={run.id}",
        "kind": run.state.value,
        "state": tr(SHORT_STATES[run.state]),
        "progress": share if share is None else round(min(share, 1.0), 3),
        "how": _how(run, place),
        "source": _share(run.result.get("source_accuracy")),
        "transfer": _share(mean_transfer(run.result)),
        "tags": ", ".join(run.tags),
        "notes": run.notes,
        "made": round(run.created_at),
        "actions": list(actions(run)),
    }


def _facts(run: Run) -> tuple[str, ...]:
    """What tells a run from others of its experiment: twin or not, weights, seed, id."""
    regularizer = run.config_tree["regularizer"]
    weights = tr(
        "variance {variance}, covariance {covariance}",
        variance=f"{regularizer['variance_weight']:g}",
        covariance=f"{regularizer['covariance_weight']:g}",
    )
    seed = tr("seed {seed}", seed=run.config_tree["seed"])
    role = () if run.role is Role.SINGLE else (tr(ROLES[run.role]),)
    return (*role, weights, seed, run.id[:6])


def title_of(run: RunSummary) -> str:
    """Which experiment a run belongs to."""
    if run.preset in PRESETS:
        return tr(PRESETS[run.preset].title)
    return tr("{dataset}: learns {task}", dataset=run.dataset, task=tr(run.source))


def actions(run: RunSummary) -> tuple[str, ...]:
    """What can be asked of a run now."""
    if run.deleted_at is not None:
        return ("restore",)
    if run.state in {RunState.PAUSED, RunState.INTERRUPTED}:
        return ("resume", "stop")
    if run.state.is_active:
        return ("stop",)
    return ("stop", "delete") if run.state is RunState.QUEUED else ("delete",)


def _how(run: RunSummary, place: Place | None) -> str:
    """How it stands: its place in the queue, how far it is, how long it took, why it failed."""
    if place is not None:
        where = tr("{place} of {length} in the queue", place=place.position, length=place.length)
        wait = place.wait_seconds
        starts = "" if wait is None else tr("starts in about {time}", time=duration(wait))
        return ", ".join(filter(None, (where, starts)))
    if run.state is RunState.FAILED:
        return told((run.error or "").partition("\n")[0])[:160]
    if run.state is RunState.INTERRUPTED:
        return tr(STATES[run.state])
    return " · ".join(_progress(run)) if run.total_steps else ""


def _progress(run: RunSummary) -> Iterator[str]:
    if run.state is not RunState.FINISHED:
        yield tr("step {step} of {total}", step=run.step, total=run.total_steps)
    if run.state.is_over and run.training_seconds:
        yield tr("{time} of training", time=duration(run.training_seconds))
    if run.state is RunState.RUNNING and run.step and run.training_seconds:
        left = run.training_seconds / run.step * (run.total_steps - run.step)
        yield tr("about {time} left", time=duration(left))


def _share(value: Any) -> str:
    return f"{100 * value:.1f} %" if isinstance(value, int | float) else ""
