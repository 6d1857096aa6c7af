"""Calendars of made-up days, and visits that follow them."""

import numpy as np
import polars as pl

from foretell.data.calendar import read_calendar
from foretell.events.calendar import DayCounts

START, N, MORE = 19_000, 400, 60


def days_of(*parts):
    days = np.arange(START, START + N + MORE)
    return read_calendar({"ds": pl.Series(days.astype("datetime64[D]"))} | dict(*parts))


def drawn(log_factor, rng):
    days = np.arange(START, START + N)
    customers = np.linspace(200, 1_000, N)
    mean = customers * 0.05 * (1 + 0.3 * np.sin(2 * np.pi * days / 7)) * np.exp(log_factor[:N])
    return DayCounts(days, rng.poisson(mean).astype(float), customers)
