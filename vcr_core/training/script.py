"""A run as a Python script of its own: configuration, seed, and every move of a knob."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from typing import Any

from vcr_core.errors import RunBusyError
from vcr_core.store import Command, CommandKind, Store

#: These change no number of a run: they are left out.
WITHOUT_TRACE = {CommandKind.PAUSE, CommandKind.RESUME}

TEMPLATE = '''"""Repeats run {run_id} of VCR Lab ({preset}), knob moves included.

The numbers are those of the run, bit for bit, on {device} with {threads} thread(s) and torch
{torch}; elsewhere the last digits may differ. Needs `pip install vcr-lab`, nothing else.
"""

import torch

from vcr_core.config import validate
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

CONFIG = {config}

# What was asked of the run, by the number of steps that were done then.
MOVES = {moves}

torch.set_num_threads({threads})
recorder = Recorder()
trainer = Trainer(prepare(validate(CONFIG)), recorder)
evaluation = trainer.evaluate()
while True:
    for kind, payload in MOVES.get(trainer.step, []):
        trainer.ask(kind, **payload)
    if trainer.is_over:
        break
    trainer.train_step()
    if trainer.step in trainer.control.cadence.probes:
        evaluation = trainer.evaluate()
if trainer.step not in trainer.control.cadence.probes:
    evaluation = trainer.evaluate()

if __name__ == "__main__":
    print(f"after {{trainer.step}} steps: source accuracy {{evaluation.source_accuracy:.4f}}")
    for task, accuracy in evaluation.transfer.items():
        print(f"transfer to {{task}}: {{accuracy:.4f}}")
'''


def script_of(store: Store, run_id: str) -> str:
    """A script that uses ``vcr_core`` alone and repeats a run.

    Raises:
        UnknownRunError: the store holds no such run.
        RunBusyError: it has not ended, or it began with a checkpoint of another run.
    """
    run = store.run(run_id)
    if not run.state.is_over:
        raise RunBusyError(
            f"expected a run that is over, but run {run_id} is {run.state.value}: wait for its "
            "end, or stop it"
        )
    if run.parent_id is not None:
        raise RunBusyError(
            f"expected a run that began at step 0, but run {run_id} goes on from run "
            f"{run.parent_id}: write that one's script, and set in it what this one changed"
        )
    return TEMPLATE.format(
        run_id=run_id,
        preset=run.preset,
        device=run.environment.get("device_name") or run.environment.get("device"),
        threads=run.environment.get("threads", 1),
        torch=run.environment.get("torch"),
        config=_literal(run.config_tree),
        moves=_literal(_moves(store.history(run_id))),
    )


def _moves(history: Sequence[Command]) -> dict[int, list[tuple[str, Mapping[str, Any]]]]:
    moves: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
    for command in history:
        if command.kind not in WITHOUT_TRACE:
            at = moves.setdefault(int(command.applied_step or 0), [])
            at.append((command.kind.value, dict(command.payload)))
    return moves


def _literal(value: Any) -> str:
    """Plain data as Python source."""
    return pprint.pformat(value, width=96, sort_dicts=False)
