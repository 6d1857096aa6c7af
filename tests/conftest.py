"""What many tests share: a log of real customers, a small log with everything in it, a model of each."""

import os
import platform
import types
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import settings

import foretell as ft

# The first example of a property pays for the compilation.
settings.register_profile("foretell", deadline=None)
settings.load_profile("foretell")


SMALL_CUTOFF = "2023-06-30"
XLA_FLAGS = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def pytest_configure():
    """Share compiled programs between the processes of a run, and with later runs, before JAX is imported.

    Compiling costs far more than running on small logs: programs are made without optimisations that small
    networks do not earn back, by XLA's older emitters, and in one piece: half the time. What is set in the
    environment is left as it is.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # tests ask nothing of any network
    # A program that was compiled for the processor of another machine may not run here.
    programs = Path(__file__).parents[1] / ".pytest_cache" / "d" / f"programs of {platform.node()}"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(programs))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
        os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)


@pytest.fixture(scope="session")
def sample():
    """The CDNOW 1/10 sample up to 1997-09-30, events of one day as one."""
    rows = ft.datasets.load_cdnow(sample=True)
    log = ft.read_events(rows, id="customer_id", time="date", as_of="1998-06-30")
    return log.until("1997-09-30")


@pytest.fixture(scope="session")
def fitted(sample):
    """A model of the sample, trained no longer than it takes to leave its anchor."""
    return ft.EventForecaster(
        model="network", ensemble=2, training=ft.TrainConfig(epochs=2, max_steps=8)
    ).fit(sample)


def small_events(seed=0):
    """Return 128 customers over 18 months: closed Sundays, busy Saturdays, amounts, three shops."""
    rng = np.random.default_rng(seed)
    rows = []
    for customer in range(128):
        day, mean = int(rng.integers(0, 500)), rng.gamma(2.0, 12.0) + 2.0
        for _ in range(8):
            weekday = (day + 4) % 7  # 2022-07-01 is a Friday
            day += int(weekday == 6)
            rows.append((f"c{customer:03d}", day, float(rng.gamma(2.0, 10.0)), f"shop {rng.integers(3)}"))
            if rng.random() < 0.12:
                break
            day += 1 + int(rng.exponential(mean))
            if (day + 4) % 7 in {0, 1} and rng.random() < 0.6:
                day += 5 - (day + 4) % 7
    rows = [row for row in rows if row[1] <= 548]  # up to 2023-12-31
    frame = pl.DataFrame(rows, schema=["unique_id", "day", "amount", "shop"], orient="row")
    return frame.select(
        "unique_id", ds=pl.date(2022, 7, 1) + pl.duration(days="day"), amount="amount", shop="shop"
    )


def read_small(frame, **options):
    return ft.read_events(frame, marks=["amount"], group="shop", **{"as_of": "2023-12-31"} | options)


@pytest.fixture(scope="session")
def small_log():
    """The small log with half a year after the cut-off; some customers come after it only."""
    return read_small(small_events())


def small_forecaster(**params):
    defaults = {
        "model": "network",
        "ensemble": 2,
        "network": ft.NetworkConfig(units=4, dense=4, components=1),
        "training": ft.TrainConfig(
            epochs=3, batch_size=16, learning_rate=0.03, max_steps=4, validation_fraction=0.0
        ),
    }
    return ft.EventForecaster(**defaults | params)


@pytest.fixture(scope="session")
def small():
    """How the small log and its model are made: to make others."""
    return types.SimpleNamespace(
        cutoff=SMALL_CUTOFF, events=small_events, read=read_small, forecaster=small_forecaster
    )


@pytest.fixture(scope="session")
def small_model(small_log):
    """A model of the small log up to the cut-off, moved away from its anchor."""
    return small_forecaster().fit(small_log, as_of=SMALL_CUTOFF)
