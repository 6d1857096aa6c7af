"""Whole ticks for continuous intervals."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from foretell.core.time import interval_ticks, period_edges


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_an_interval_has_at_least_one_tick_after_the_as_of_date(one, other):
    first, last = interval_ticks([min(one, other)], [max(one, other)], as_of=10)[0]
    assert 11 <= first <= last


def test_whole_ticks_neither_widen_nor_narrow_intervals_on_average():
    rng = np.random.default_rng(0)
    lower = rng.uniform(0, 50, 100_000)
    upper = lower + rng.uniform(2, 50, 100_000)
    ticks = interval_ticks(lower, upper, as_of=0)
    widening = np.mean(ticks[:, 1] - ticks[:, 0] + 1 - (upper - lower))
    assert abs(widening) < 0.01


def test_ticks_in_an_interval_hold_the_probability_that_it_claims():
    # Short enough that an interval rounded outwards would cover 0.83.
    rng = np.random.default_rng(0)
    mean = rng.uniform(4, 40, 100_000)
    ticks = interval_ticks(-mean * np.log(0.9), -mean * np.log(0.1), as_of=0)
    event = np.ceil(rng.exponential(mean)).astype(int)
    assert abs(np.mean((ticks[:, 0] <= event) & (event <= ticks[:, 1])) - 0.8) < 0.01


@given(st.integers(1, 400), st.integers(1, 60))
def test_periods_cover_the_horizon(horizon, period):
    lengths = np.diff(period_edges(horizon, period), prepend=0)
    assert lengths.sum() == horizon
    assert np.all(lengths[:-1] == period)
    assert 1 <= lengths[-1] <= period
