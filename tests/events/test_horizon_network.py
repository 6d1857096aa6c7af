"""The horizon head: it begins at its anchor, numpy and JAX agree, the likelihood is that of its curves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from foretell.events.horizon import training
from foretell.events.horizon.features import GRID, ShopSummary, Visits, inputs
from foretell.events.horizon.network import anchor_knots, corrected, corrections, forward, initial_weights
from foretell.events.horizon.shops import random_shop


@pytest.fixture(scope="module")
def given():
    shop = random_shop(np.random.default_rng(5))
    visits = Visits(*shop.seen(), shop.today - 1)
    return inputs(visits, ShopSummary.of(visits))


def weights_for(given, spread):
    rng = np.random.default_rng(0)
    weights = initial_weights(rng, given.steps.shape[2], given.context.shape[1], units=8, dense=16)
    weights["output"] = (spread * rng.standard_normal(weights["output"].shape)).astype(np.float32)
    return weights


def test_an_untrained_network_forecasts_its_anchor(given):
    curves = forward(weights_for(given, 0.0), given)
    some = (given.anchor.p_return < 0.999) & (given.anchor.p_return > 1e-5)
    np.testing.assert_allclose(curves.p_return(GRID)[some], given.anchor.p_return[some], rtol=0.05)
    np.testing.assert_allclose(curves.expected(GRID), given.anchor.expected, rtol=0.06, atol=1e-3)


def test_numpy_and_jax_compute_the_same(given):
    weights = weights_for(given, 0.2)
    curves = forward(weights, given)
    odds, more = (np.float32(part) for part in anchor_knots(given.anchor))

    @jax.jit
    def compiled(weights):
        hidden = training.read_histories(weights, given.steps)
        return corrected(corrections(weights, hidden, given.context, jnp), odds, more, jnp)

    knots = compiled(weights)
    for ours, theirs in zip((curves.log_odds, curves.log_more, curves.log_shape), knots, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)


def test_any_weights_give_rising_curves(given):
    curves = forward(weights_for(given, 3.0), given)
    assert (np.diff(curves.log_odds, axis=1) > 0).all()
    assert (np.diff(curves.log_more, axis=1) >= 0).all()


def test_the_likelihood_is_that_of_the_curves(given):
    curves = forward(weights_for(given, 0.2), given)
    n = len(curves.log_shape)
    days, visits = np.full((n, 1), 37.5), np.arange(n)[:, None] % 6.0
    knots = (curves.log_odds, curves.log_more, curves.log_shape)
    ours = np.asarray(jax.jit(training.log_likelihood)(knots, days, visits))[:, 0]
    k = visits[:, 0]
    chance = curves.at_least(37.5, k) - curves.at_least(37.5, k + 1)
    np.testing.assert_allclose(ours, np.log(np.maximum(chance, 1e-30)), rtol=2e-3, atol=2e-3)


def test_short_histories_are_read_alike_with_and_without_the_empty_steps(given):
    weights = weights_for(given, 0.2)
    short = given.n_steps <= training.SHORT
    whole = training.read_histories(weights, given.steps[short])
    cut = training.read_histories(weights, given.steps[short][:, -training.SHORT :])
    np.testing.assert_allclose(whole, cut, atol=1e-6)
