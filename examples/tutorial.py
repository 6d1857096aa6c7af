# %% [markdown]
# # The tutorial's way, in one go
#
# From time stamps to gaps, windows and classes, and to a network that says in which class the next gap
# lies. [The tutorial](../tutorial.md) explains each step; this is for those who want to run it all.

# %%
import numpy as np
import polars as pl

import foretell as ft

visits = ["2015-05-15 14:03:51", "2015-05-15 15:32:46", "2015-06-28 18:00:17", "2015-07-16 21:27:18"]
gaps = ft.prep.day_gaps(visits)
print(gaps)
# > [ 0 44 18]

# %% [markdown]
# ## A shop
#
# Every fortieth household of a grocery chain, for a year. What came after September is put away.

# %%
rows = ft.datasets.load_complete_journey()
whole = ft.read_events(rows, id="household_id", time="timestamp", as_of="2017-12-30")
whole = whole.take(np.arange(0, whole.n_customers, 40))
log = whole.until("2017-09-30")
lengths, customers, _ = log.gaps()
inputs, targets, owner = ft.prep.make_windows(lengths, 3, customers=customers)
print(inputs.shape, inputs[0], "then", targets[0])
# > (2289, 3) [ 9 11  6] then [7]

# %% [markdown]
# ## Classes, training and test
#
# Customers are drawn whole: windows of one customer overlap.

# %%
bins = ft.prep.Bins([0, 2, 3, 5, 9, np.inf])
classes = bins.encode(targets[:, 0])
train, test, _ = ft.prep.split_random(owner, share=0.2)
print(np.bincount(classes[train]), np.bincount(classes[test]))
# > [529 308 339 366 285] [182  78  87  64  51]

# %% [markdown]
# ## What has a network to beat?
#
# The commonest class, and the class of the last gap.

# %%
usual = np.bincount(classes[train]).argmax()
last = bins.encode(inputs[:, -1])
print(
    f"the commonest {np.mean(usual == classes[test]):.0%}, as the last gap {np.mean(last[test] == classes[test]):.0%}"
)
# > the commonest 39%, as the last gap 31%

# %% [markdown]
# ## The network
#
# `head="bins"` is the tutorial's softmax over classes, on a network that reads each household's whole
# history instead of three gaps. It is small and trained for seconds here; leave `ensemble`, `network` and
# `training` out for the defaults.

# %%
model = ft.EventForecaster(
    head=ft.HeadConfig("bins", bins=[0, 2, 3, 5, 9, np.inf]),
    ensemble=1,
    network=ft.NetworkConfig(units=4, dense=4),
    training=ft.TrainConfig(epochs=15, max_steps=32, learning_rate=0.02),
).fit(log)
said = model.predict_bins()
print(said.columns)
# > ['unique_id', '[0, 2)', '[2, 3)', '[3, 5)', '[5, 9)', '[9, inf)']

# %% [markdown]
# ## Beside the truth
#
# The gap that was open at the end of September has closed since, of those who came back. A gap that is open
# on a given day is longer than most: the commonest class of these is another one than that of all gaps.

# %%
came = whole.to_polars().filter(pl.col("ds") > pl.date(2017, 9, 30))
came = came.group_by("unique_id").agg(came=pl.col("ds").min())
beside = said.join(model.predict().select("unique_id", "last_event"), on="unique_id").join(
    came, on="unique_id"
)
gaps = (beside["came"] - beside["last_event"]).dt.total_days().to_numpy()
actual = bins.encode(gaps)
likeliest = beside.select(said.columns[1:]).to_numpy().argmax(axis=1)
print(np.bincount(actual, minlength=5))
print(bool(np.mean(likeliest == actual) > np.mean(actual == usual)))
# > [ 3  2  3 10 41]
# > True
