"""Sums of unknown numbers of amounts, beside a million draws."""

import numpy as np
import pytest

from foretell.spend.amounts import Rates
from foretell.spend.compound import Spend

LEVELS = np.array([0.1, 0.5, 0.9, 0.99])
EXPECTED = np.array([0.2, 2.0, 30.0])
P_RETURN = np.array([0.15, 0.8, 0.99])
RATES = Rates(2.0, np.array([3.5, 8.0, 40.0]), np.array([40.0, 90.0, 600.0]), paid=0.9, dispersion=0.2)


@pytest.fixture(scope="module")
def draws():
    """Sums of spend of three customers, shape (n_draws, 3)."""
    rng, n = np.random.default_rng(0), 300_000
    back = rng.random((n, 3)) < P_RETURN
    further = EXPECTED / P_RETURN - 1
    shape = 1 / RATES.dispersion
    visits = back * (1 + rng.negative_binomial(shape, shape / (shape + further), (n, 3)))
    paid = rng.binomial(visits, RATES.paid)
    rate = rng.gamma(RATES.q, 1 / RATES.gamma, (n, 3))
    return np.where(paid > 0, rng.gamma(np.maximum(paid * RATES.shape, 1e-9)) / rate, 0.0)


def test_mean_chance_and_distribution_are_those_of_draws(draws):
    spend = Spend.of(EXPECTED, P_RETURN, RATES)
    np.testing.assert_allclose(spend.mean, draws.mean(axis=0), rtol=0.02)
    np.testing.assert_allclose(spend.none, (draws == 0).mean(axis=0), atol=0.004)
    for amounts in ([5.0, 20.0, 300.0], [60.0, 100.0, 900.0]):
        np.testing.assert_allclose(spend.cdf(np.array(amounts)), (draws <= amounts).mean(axis=0), atol=0.006)


def test_quantiles_are_where_the_distribution_reaches_their_level(draws):
    spend = Spend.of(EXPECTED, P_RETURN, RATES)
    quantiles = spend.quantile(LEVELS)
    assert (np.diff(quantiles, axis=0) >= 0).all()
    for level, row in zip(LEVELS, quantiles, strict=True):
        reached = spend.cdf(row)
        np.testing.assert_allclose(np.where(row > 0, reached, level), level, atol=1e-4)
        assert (reached[row == 0] >= level).all()


def test_customers_do_not_depend_on_who_else_is_asked_for():
    spend = Spend.of(np.tile(EXPECTED, 2000), np.tile(P_RETURN, 2000), RATES.take(np.arange(6000) % 3))
    whole = spend.quantile(LEVELS[1:3])
    np.testing.assert_array_equal(whole[:, :3], whole[:, -3:])
