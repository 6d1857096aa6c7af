"""Every forecaster, ours and the statistics: how a small one is made, its data, and what it is asked."""

from __future__ import annotations

import functools

import numpy as np
import polars as pl
from tests.conftest import SMALL_CUTOFF, read_small, small_events

import foretell as ft
from foretell import baselines
from foretell.nn.backend import keras
from foretell.series.prior import Prior

CUTOFF = SMALL_CUTOFF
LAST_STEP = 49  # the last step of the series that is learned from
HORIZON = 3
HEADS = ("mixture", "bins", "gap", "hazard")
METHODS = ("direct", "recursive", "seq2seq")
QUICK = {"epochs": 1, "max_steps": 2}


def visits(head="mixture", cell="rnn", **params):
    network = ft.NetworkConfig(cell, units=4, dense=4, components=1)
    training = ft.TrainConfig(**QUICK, batch_size=16, validation_fraction=0.0)
    given = {"ensemble": 1, "network": network, "training": training, "head": ft.HeadConfig(head, paths=4)}
    return ft.EventForecaster(**{"model": "network"} | given | params)


def stores():
    plain = visits()
    thresholds = ft.StoreConfig(min_customers=20, min_visits=1, training=plain.training)
    return ft.StoreForecaster(
        models="store",
        ensemble=1,
        network=plain.network,
        training=plain.training,
        head=plain.head,
        stores=thresholds,
    )


def values(method="direct", **params):
    given = {
        "network": ft.NetworkConfig(layers=1, units=4, dense=4),
        "training": ft.TrainConfig(**QUICK, refit=False),
        "window": ft.WindowConfig(lookback=14, patch=7, season=7, method=method),
        "ensemble": 1,
        "model": "network",
    }
    return ft.SeriesForecaster(HORIZON, **given | params)


def own_windows(shape):
    """Return a network for windows as users write it: what it gives are the corrections to the anchor."""
    window = keras.Input((shape.lookback, shape.n_columns))
    state = keras.layers.GRU(4)(window)
    return keras.Model(window, keras.layers.Dense(shape.n_outputs, kernel_initializer="zeros")(state))


EVENTS = {f"head {head}": functools.partial(visits, head) for head in HEADS} | {
    "auto": functools.partial(visits, model="auto"),
    "prior": lambda: ft.EventForecaster(model="prior"),
    "stores": stores,
    "own cell": lambda: visits(cell=keras.layers.GRUCell(4)),
    "Pareto/NBD": baselines.ParetoNBD,
    "BG/NBD": baselines.BGNBD,
    "MBG/NBD": baselines.MBGNBD,
    "mean gap": baselines.MeanGap,
    "median gap": baselines.MedianGap,
    "repeat rate": baselines.RepeatRate,
}
SERIES = {method: functools.partial(values, method) for method in METHODS} | {
    "auto": functools.partial(values, model="auto"),
    "own network": functools.partial(values, network=own_windows),
    "prior alone": functools.partial(values, model="prior"),
    "prior": functools.partial(Prior, 7),
    "naive": baselines.Naive,
    "seasonal naive": functools.partial(baselines.SeasonalNaive, 7),
    "drift": baselines.Drift,
    "AutoETS": functools.partial(baselines.AutoETS, 7),
}
CASES = [("events", name) for name in EVENTS] + [("series", name) for name in SERIES]


def make(case):
    """Return a new forecaster of a case, not fitted."""
    kind, name = case
    return (EVENTS if kind == "events" else SERIES)[name]()


def waves(length=60, seed=0):
    """Return six weekly waves."""
    steps, rng = np.arange(length), np.random.default_rng(seed)
    return {
        name: 10 + k + 3 * np.sin(2 * np.pi * steps / 7 + k) + rng.normal(0, 0.5, length)
        for k, name in enumerate("abcdef")
    }


def panel_of(series):
    return ft.Panel.from_arrays(series, freq="1d", start="2024-01-01")


def at_cut_off(panel):
    return panel.up_to(int(panel.starts.min()) + LAST_STEP)


@functools.cache
def training_data(kind):
    """Return what the forecasters of one question learn from: the same data in all checks."""
    if kind == "events":
        return read_small(small_events()).until(CUTOFF)
    return at_cut_off(panel_of(waves()))


@functools.cache
def fitted(case):
    """Return the forecaster of a case, fitted once for all checks, which only ask it."""
    return make(case).fit(training_data(case[0]))


def answers(model, **options):
    if model.kind == "events":
        return model.predict(horizons=["7d", "30d"], levels=[80], **options)
    return model.predict(horizon=HORIZON, levels=[80], **options)


def numbers(table):
    return table.select(pl.selectors.float())
