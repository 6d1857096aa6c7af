"""One object answers all: chances, counts, dates agree with each other and with sums over the counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from foretell.events.horizon.counts import CountCurves
from foretell.events.horizon.features import GRID


def curves(seed=0, n=40):
    rng = np.random.default_rng(seed)
    rises = 0.2 + rng.gamma(1.0, 0.7, (2, n, len(GRID)))
    odds, more = np.cumsum(rises, axis=2) + rng.normal(-5, 1, (2, n, 1))
    return CountCurves(odds, more, rng.normal(0, 1, n))


@given(st.integers(0, 1000), st.floats(0.01, 3000), st.floats(1.0, 3.0))
def test_a_longer_horizon_never_makes_any_number_of_visits_less_likely(seed, days, factor):
    c = curves(seed)
    both = np.array([days, days * factor])
    assert (np.diff(c.p_return(both)) >= -1e-12).all()
    assert (np.diff(c.expected(both)) >= -1e-9).all()
    for k in (1, 2, 5):
        assert (c.at_least(both[1], k) >= c.at_least(both[0], k) - 1e-9).all()


def test_expected_visits_are_the_sum_of_the_chances():
    c = curves(n=5)
    numbers = np.arange(1, 20_000)
    for days in (3.0, 40.0):
        total = sum(c.at_least(days, k) for k in numbers[:2000])
        mild = c.expected([days])[:, 0] < 50
        np.testing.assert_allclose(total[mild], c.expected([days])[mild, 0], rtol=1e-3)


def test_further_visits_are_negative_binomial():
    c = curves(3)
    more, shape = c.more([30.0])[:, 0], np.exp(c.log_shape)
    tail = stats.nbinom.sf(2, shape, shape / (shape + more))
    np.testing.assert_allclose(c.at_least(30.0, 4), c.p_return([30.0])[:, 0] * tail, rtol=1e-8)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.99])
def test_a_quantile_is_the_smallest_number_that_suffices(level):
    c = curves(5)
    k = c.quantile(64.0, level)
    assert (1 - c.at_least(64.0, k + 1) >= level).all()
    assert (1 - c.at_least(64.0, k) < level)[k > 0].all()


def test_the_date_of_the_next_visit_is_the_inverse_of_the_chance_of_a_return():
    c = curves(7)
    for level in (0.1, 0.5, 0.9):
        days = c.next_visit([level])[0]
        chance = np.array([c.take(np.array([i])).p_return([d])[0, 0] for i, d in enumerate(days)])
        np.testing.assert_allclose(chance, level * c.p_active, rtol=1e-6)


def test_no_time_brings_no_visit_and_the_last_knot_is_the_end_of_returns():
    c = curves(1)
    assert (c.p_return([0.0]) == 0).all()
    np.testing.assert_allclose(c.p_return([5000.0])[:, 0], c.p_active)
