# %% [markdown]
# # Stores with promotions
#
# Daily sales of three stores. Promotions are planned, so they are known ahead: the forecast has to go by
# them.

# %%
import datetime as dt

import numpy as np
import polars as pl

import foretell as ft

rng = np.random.default_rng(0)
days = np.arange(224)
week = np.array([0.8, 0.8, 0.9, 1.0, 1.3, 1.5, 0.7])[days % 7]
tables = []
for store, size in (("north", 60), ("south", 110), ("station", 300)):
    promotion = (rng.random(224) < 0.15).astype(int)
    sold = rng.poisson(size * week * (1 + 0.4 * promotion))
    tables.append(pl.DataFrame({"store": store, "step": days, "sold": sold, "promotion": promotion}))
truth = pl.concat(tables).with_columns(day=pl.date(2024, 1, 1) + pl.duration(days="step"))
print(truth.group_by("promotion").agg(pl.col("sold").mean().round()).sort("promotion"))
# > shape: (2, 2)
# > ┌───────────┬───────┐
# > │ promotion ┆ sold  │
# > │ ---       ┆ ---   │
# > │ i64       ┆ f64   │
# > ╞═══════════╪═══════╡
# > │ 0         ┆ 157.0 │
# > │ 1         ┆ 209.0 │
# > └───────────┴───────┘

# %% [markdown]
# The last four weeks are to come: of them the plan is known, and the sales are not.

# %%
last = truth["day"].max()
ahead = pl.col("day") > last - dt.timedelta(days=28)
rows = truth.with_columns(sold=pl.when(~ahead).then("sold"))
panel = ft.read_series(rows, id="store", time="day", target="sold", future="promotion")
print(panel)
# > Panel(3 series, 588 rows, 2024-01-01 to 2024-07-14, freq='1d')

# %% [markdown]
# ## A forecast that goes by the plan
#
# The prior takes the effect of promotions out of the history by a regression, forecasts what is left, and
# puts the effect of the planned ones back, if that is better than nothing by more than chance.

# %%
model = ft.SeriesForecaster(horizon=28, model="prior").fit(panel)
forecast = model.predict(levels=[80])
print(forecast.head(3).with_columns(pl.selectors.float().round()))
# > shape: (3, 5)
# > ┌───────────┬────────────┬──────────┬────────────────┬────────────────┐
# > │ unique_id ┆ ds         ┆ foretell ┆ foretell-lo-80 ┆ foretell-hi-80 │
# > │ ---       ┆ ---        ┆ ---      ┆ ---            ┆ ---            │
# > │ str       ┆ date       ┆ f64      ┆ f64            ┆ f64            │
# > ╞═══════════╪════════════╪══════════╪════════════════╪════════════════╡
# > │ north     ┆ 2024-07-15 ┆ 64.0     ┆ 56.0           ┆ 77.0           │
# > │ north     ┆ 2024-07-16 ┆ 47.0     ┆ 41.0           ┆ 56.0           │
# > │ north     ┆ 2024-07-17 ┆ 53.0     ┆ 45.0           ┆ 65.0           │
# > └───────────┴────────────┴──────────┴────────────────┴────────────────┘

# %% [markdown]
# ## What the plan is worth
#
# The same without telling it of the promotions, held against what came:

# %%
blind = ft.SeriesForecaster(horizon=28, model="prior").fit(
    ft.read_series(rows.filter(~ahead), id="store", time="day", target="sold")
)
came = truth.filter(ahead)["sold"].to_numpy()
for name, table in (("with the plan", forecast), ("without", blind.predict(levels=[80]))):
    error = np.abs(table["foretell"].to_numpy() - came).mean() / came.mean()
    held = (
        (table["foretell-lo-80"].to_numpy() <= came) & (came <= table["foretell-hi-80"].to_numpy())
    ).mean()
    print(f"{name}: error {error:.0%}, 80 % intervals held {held:.0%}")
# > with the plan: error 6%, 80 % intervals held 83%
# > without: error 10%, 80 % intervals held 76%

# %% [markdown]
# ## What to order
#
# Stock is ordered by sums. Intervals do not add up; `predict_totals` knows how errors of neighbouring days
# go together.

# %%
print(model.predict_totals(horizon=28, by="series", levels=[80]).with_columns(pl.selectors.float().round()))
# > shape: (3, 6)
# > ┌─────────┬────────────┬────────────┬──────────┬────────────────┬────────────────┐
# > │ series  ┆ ds         ┆ end        ┆ foretell ┆ foretell-lo-80 ┆ foretell-hi-80 │
# > │ ---     ┆ ---        ┆ ---        ┆ ---      ┆ ---            ┆ ---            │
# > │ str     ┆ date       ┆ date       ┆ f64      ┆ f64            ┆ f64            │
# > ╞═════════╪════════════╪════════════╪══════════╪════════════════╪════════════════╡
# > │ north   ┆ 2024-07-15 ┆ 2024-08-11 ┆ 1926.0   ┆ 1755.0         ┆ 2112.0         │
# > │ south   ┆ 2024-07-15 ┆ 2024-08-11 ┆ 3397.0   ┆ 3212.0         ┆ 3585.0         │
# > │ station ┆ 2024-07-15 ┆ 2024-08-11 ┆ 8958.0   ┆ 8629.0         ┆ 9295.0         │
# > └─────────┴────────────┴────────────┴──────────┴────────────────┴────────────────┘
