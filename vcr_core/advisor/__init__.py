"""Will regularisation help? Advice from one baseline run, by what happened in settings like it.

    table       the measured settings: what their baselines looked like, and what VCR gained
    neighbours  which of them are like a run
    advice      what that says, in sentences, with how sure it is

The table is made from ``docs/evidence/when.jsonl``. Nothing here imports torch.
"""

from vcr_core.advisor.advice import Advice, Sentence, advise, advise_run
from vcr_core.advisor.table import KnownSetting, Table, load_table

__all__ = ["Advice", "KnownSetting", "Sentence", "Table", "advise", "advise_run", "load_table"]
