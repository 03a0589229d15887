# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Two twins, one regularised
#
# Two networks learn to name the **shape** of small rendered objects. They start from the same
# weights and see the same batches. One of them also feels *variance-covariance regularisation*:
# every layer is asked to keep its features spread out and different from each other.
#
# Nobody asks them about colour or background. Which of them still knows?
#
# On Colab, install first: `%pip install vcr-lab`

# %%
import os

from vcr_core.config import override
from vcr_core.execution import ensure_dispatcher, submit_pair
from vcr_core.notebook import numbers, watch
from vcr_core.presets import find_preset
from vcr_core.store import open_store

preset = find_preset("sprites-shape")
print(preset.summary)

# %% [markdown]
# Every setting has a dotted name. The environment variable lets a test train for a moment only.

# %%
epochs = int(os.environ.get("FIRST_PAIR_EPOCHS", preset.config.training.epochs))
config = override(preset.config, {"training.epochs": epochs, "seed": 0})

# %% [markdown]
# The twins train in processes of their own. Interrupting the cell below does not stop them, and
# the page (`vcr-lab app`) shows the same runs.

# %%
store = open_store()
ensure_dispatcher(store)
baseline, regularized = submit_pair(store, config, preset=preset.name)
history = watch(store, [baseline, regularized])

# %% [markdown]
# Every number as a data frame: one row a run and step, one column a name.

# %%
table = numbers(store, [baseline, regularized])
table.filter(regex="^(source|transfer)/").dropna()

# %% [markdown]
# And the end of it, side by side.

# %%
results = {
    name: store.run(run_id).result["transfer"]
    for name, run_id in [("without", baseline), ("with", regularized)]
}
results
