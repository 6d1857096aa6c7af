"""The simulated panels of the benchmarks: the truth that they claim is in their events."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foretell.data.holdout import hold_out
from foretell.stats import metrics

PATH = Path(__file__).parents[2] / "benchmarks" / "simulated.py"


@pytest.fixture(scope="module")
def simulated():
    spec = importlib.util.spec_from_file_location("simulated", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["simulated"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["simulated"]


@pytest.fixture(scope="module", params=range(4))
def panel(simulated, request):
    return simulated.PANELS[request.param](1_500)


def test_everyone_is_known_by_the_cutoff_and_seen_in_no_day_twice(panel):
    log = panel.log()
    assert log.n_customers == 1_500 == len(panel.active)
    assert log.first.max() <= log.last_tick(panel.cutoff)
    assert log.n_events == len(panel.events)
    assert log.as_of - log.last_tick(panel.cutoff) == panel.horizon


def test_who_has_dropped_out_never_comes_back(panel):
    log = panel.log()
    came_back = hold_out(log, log.last_tick(panel.cutoff), panel.horizon, 7).count > 0
    assert not np.any(came_back & ~panel.active)
    assert 0.2 < panel.active.mean() < 0.8


def test_visits_follow_the_true_season(panel):
    log = panel.log()
    cohort = hold_out(log, log.last_tick(panel.cutoff), panel.horizon, 7).cohort
    season = panel.weekly_season()
    assert metrics.correlation(season, cohort[: len(season)]) > 0.75


def test_nobody_comes_on_closed_days(simulated):
    panel = simulated.closed_sundays_panel(500)
    assert panel.events.filter(pl.col("ds").dt.weekday() == 7).is_empty()
    assert np.sum(panel.season == 0) == panel.horizon // 7


def test_a_seed_gives_one_panel(simulated):
    assert simulated.rhythmic_panel(50, 1).events.equals(simulated.rhythmic_panel(50, 1).events)
    assert not simulated.rhythmic_panel(50, 1).events.equals(simulated.rhythmic_panel(50, 2).events)
