"""Studies over runs: which settings transfer best, with seeds, and found again after a crash.

    from vcr_core.store import open_store
    from vcr_core.sweeps import read_study, run_study, study_table

    store = open_store()
    study = read_study({
        "name": "digits-weights",
        "preset": "digits-parity",
        "vary": {"regularizer.variance_weight": [0, 0.1, 1]},
        "seeds": 5,
    })
    run_study(study, store)                     # again after a crash: it goes on
    table = study_table(store, "digits-weights")
    print(table.best.label, table.best.gains["mean transfer"])

A study is a validated specification (:class:`Study`), its trials are records in the store, and
its runs are ordinary runs of the queue that name their study. Everything that a study shows is read
from the store, by whatever process. Nothing here imports torch.
"""

from __future__ import annotations

from vcr_core.statistics import Difference, Estimate, estimate, paired_difference
from vcr_core.sweeps.driver import Progress, hold_study, run_study
from vcr_core.sweeps.records import Kind, Trial, TrialState
from vcr_core.sweeps.results import MEAN, SOURCE, Row, StudyTable, describe, study_table
from vcr_core.sweeps.spec import Span, Study, load_study, parse_vary, read_study
from vcr_core.sweeps.studies import stored_spec

__all__ = [
    "MEAN",
    "SOURCE",
    "Difference",
    "Estimate",
    "Kind",
    "Progress",
    "Row",
    "Span",
    "Study",
    "StudyTable",
    "Trial",
    "TrialState",
    "describe",
    "estimate",
    "hold_study",
    "load_study",
    "paired_difference",
    "parse_vary",
    "read_study",
    "run_study",
    "stored_spec",
    "study_table",
]
