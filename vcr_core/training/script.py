"""A run as a Python script of its own: configuration, seed, and every move of a knob."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from typing import Any

from vcr_core.config import RunConfig, differences
from vcr_core.presets import DEFAULT_PRESET, PRESETS, find_preset
from vcr_core.presets.command import command_line
from vcr_core.store import CommandKind, Run, Store
from vcr_core.training.moves import Move, life_of, moves_in_words

#: These change no number of a run: they are left out.
WITHOUT_TRACE = {CommandKind.PAUSE, CommandKind.RESUME}

TEMPLATE = '''"""Repeats run {run_id} of VCR Lab ({preset}), knob moves included{so_far}.

The numbers are those of the run, bit for bit, on {device} with {threads} thread(s)
and torch {torch}; elsewhere the last digits may differ. Needs `pip install vcr-lab`, nothing else.
"""

import torch

{imports}
from vcr_core.training.experiment import prepare
from vcr_core.training.loop import Trainer
from vcr_core.training.recorder import Recorder

CONFIG = {config}

# What was asked of the run, by the number of steps that were done then.
MOVES = {moves}

torch.set_num_threads({threads})
recorder = Recorder()
trainer = Trainer(prepare(CONFIG), recorder)
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
STILL_TRAINS = " as far as step {step}, where it stands now"


def script_of(store: Store, run_id: str, *, whole: bool = True) -> str:
    """A script that uses ``vcr_core`` alone and repeats a run, one that still trains so far.

    A fork is repeated from the beginning of the run that it goes on from. ``whole`` spells out
    every setting, so that the script means the same under later versions of the presets.

    Raises:
        UnknownRunError: the store does not hold the run, or the one that it goes on from.
    """
    run, life = store.run(run_id), life_of(store, run_id)
    environment = run.environment
    imports, config = _spelt_out(life.config) if whole else _from_preset(run, life.config)
    return TEMPLATE.format(
        run_id=run_id,
        preset=run.preset,
        so_far="" if run.state.is_over else STILL_TRAINS.format(step=run.step),
        device=environment.get("device_name") or environment.get("device") or "the same machine",
        threads=environment.get("threads") or life.config.execution.threads or 1,
        torch=environment.get("torch") or "of the same version",
        imports=imports,
        config=config,
        moves=_literal(_by_step(life.moves)),
    )


def command_line_of(store: Store, run_id: str) -> str:
    """``vcr-lab run`` with the settings and the moves of a run.

    Raises:
        UnknownRunError: the store does not hold the run, or the one that it goes on from.
    """
    run, life = store.run(run_id), life_of(store, run_id)
    preset = _preset(run)
    changes = differences(life.config, find_preset(preset).config)
    return command_line(preset, changes, moves_in_words(life))


def _preset(run: Run) -> str:
    return run.preset if run.preset in PRESETS else DEFAULT_PRESET


def _spelt_out(config: RunConfig) -> tuple[str, str]:
    tree = _literal(config.model_dump(mode="json"))
    return "from vcr_core.config import validate", f"validate(\n{tree}\n)"


def _from_preset(run: Run, config: RunConfig) -> tuple[str, str]:
    preset = _preset(run)
    changes = differences(config, find_preset(preset).config)
    imports = "from vcr_core.config import override\nfrom vcr_core.presets import find_preset"
    return imports, f"override(find_preset({preset!r}).config, {_literal(changes)})"


def _by_step(moves: Sequence[Move]) -> dict[int, list[tuple[str, Mapping[str, Any]]]]:
    found: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
    for move in moves:
        if move.kind not in WITHOUT_TRACE:
            found.setdefault(move.step, []).append((move.kind.value, dict(move.payload)))
    return found


def _literal(value: Any) -> str:
    """Plain data as Python source."""
    return pprint.pformat(value, width=96, sort_dicts=False)
