# %% [markdown]
# # A search for settings
#
# How fast should the network learn? A tiny one, on two short series, so that the search takes seconds.

# %%
import numpy as np

import foretell as ft

steps = np.arange(102)
rng = np.random.default_rng(0)
values = {name: 20 + 5 * np.sin(2 * np.pi * steps / 6) + rng.normal(size=102) for name in ("north", "south")}
panel, test = ft.Panel.from_arrays(values).tail_split(6)
print(panel)
print(test)
# > Panel(2 series, 192 rows, 0 to 95, freq=1)
# > Panel(2 series, 12 rows, 96 to 101, freq=1)

# %% [markdown]
# The last six steps are put away: the search must not see them. It tries each setting on a further part
# that it holds back itself, and fits the best one to all that it was given.

# %%
model = ft.SeriesForecaster(
    horizon=6,
    model="network",
    ensemble=1,
    network=ft.NetworkConfig(layers=0, dense=4),
    training=ft.TrainConfig(epochs=1),
)
result = ft.tune(
    panel, {"training.learning_rate": [1e-3, 1e-2]}, model=model, search=ft.SearchConfig(method="grid")
)
print(result.table().select("training.learning_rate", "state").sort("training.learning_rate").rows())
print(result.model.predict(levels=[80]).height)
# > [(0.001, 'complete'), (0.01, 'complete')]
# > 12

# %% [markdown]
# ## Is the best one better?
#
# That is for the steps that were put away. The best of many trials looks better in the search than it is.

# %%
whole = ft.Panel.from_arrays(values)
board = ft.evaluate(whole, horizon=6, models=[result.model, "seasonal naive"])
print(sorted(board.table()["model"]))
# > ['foretell', 'seasonal naive']
