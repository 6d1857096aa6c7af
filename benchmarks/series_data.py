"""The series that the benchmarks read, from ../shared/data beside the checkout."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

import foretell as ft

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
M4_HORIZON, M4_SEASON = 48, 24
FloatArray = npt.NDArray[np.float64]


def m4_hourly() -> ft.Panel:
    """Return M4-Hourly: 414 series with their published test part, the last 48 hours."""
    before, after = (_m4_rows(name) for name in ("train", "test"))
    return ft.Panel.from_arrays({key: np.concatenate([before[key], after[key]]) for key in before})


def _m4_rows(name: str) -> dict[str, FloatArray]:
    frame = pl.read_csv(SHARED / f"M4-Hourly-{name}.csv.gz", infer_schema_length=None)
    return {row[0]: np.array([v for v in row[1:] if v not in {None, ""}], float) for row in frame.iter_rows()}


def ett_hourly() -> pl.DataFrame:
    """Return ETTh1: ``date`` and seven readings of a transformer, by the hour."""
    return pl.read_csv(SHARED / "ETTh1.csv.gz", try_parse_dates=True)


def exchange_rates() -> FloatArray:
    """Return the daily exchange rates of eight countries, shape (7588, 8)."""
    with gzip.open(SHARED / "exchange_rate.txt.gz", "rt") as file:
        return np.loadtxt(file, delimiter=",")


def bank_calls() -> ft.Panel:
    """Return the calls to a bank in steps of five minutes."""
    frame = pl.read_csv(SHARED / "fpp3_bank_calls.csv.gz", try_parse_dates=True)
    return ft.read_series(frame, id=None, time=frame.columns[-2], target=frame.columns[-1])
