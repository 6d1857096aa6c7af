"""The mixture of rate classes: its closed forms agree with simulation, its fit finds the shop's rates."""

import numpy as np
import pytest
from scipy import special

from foretell.events.horizon.rates import LOST, MEANS, SHAPE, Histories, RateClasses


def one_class(mean, lost):
    weights = np.zeros((len(MEANS), len(LOST)))
    weights[mean, lost] = 1.0
    return RateClasses(weights)


def simulated(mean, lost, age, ahead, n=40_000, seed=0):
    """Return repeats, recency and later visits of customers of one class, drawn visit by visit."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(SHAPE, MEANS[mean] / SHAPE, n)
    now, repeats, recency, later = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    active = rng.random(n) >= LOST[lost]
    while active.any():
        now = now + rng.exponential(1 / rate)
        past, future = active & (now <= age), active & (now > age) & (now <= age + ahead)
        repeats, recency = repeats + past, np.where(past, now, recency)
        later = later + future
        active &= (now <= age + ahead) & (rng.random(n) >= LOST[lost])
    return Histories(repeats, recency, np.full(n, float(age))), later


@pytest.mark.parametrize("lost", [0, 3])
def test_expected_visits_and_chances_agree_with_simulation(lost):
    histories, later = simulated(7, lost, 100, 60)
    curves = one_class(7, lost).curves(histories, np.array([60.0]))
    assert curves.expected.mean() == pytest.approx(later.mean(), rel=0.03)
    assert curves.p_return.mean() == pytest.approx((later > 0).mean(), rel=0.03)
    silent = histories.recency < 40
    assert curves.expected[silent].mean() == pytest.approx(later[silent].mean(), rel=0.08)


def test_a_fit_finds_how_fast_customers_come():
    histories, _ = simulated(8, 0, 200, 1, n=3_000)
    weights = RateClasses.fit(histories).weights.sum(axis=1)
    assert np.log2(weights @ MEANS / MEANS[8]) == pytest.approx(0, abs=0.2)
    assert weights[6:11].sum() > 0.9


def test_a_fit_to_next_to_nobody_stays_vague():
    weights = RateClasses.fit(Histories(np.zeros(1), np.zeros(1), np.full(1, 5.0))).weights
    assert weights.max() < 0.1
    assert weights.sum() == pytest.approx(1)


def test_the_chance_of_being_active_is_that_of_mbg_nbd_with_one_chance():
    x, recency, age = 4.0, 30.0, 90.0
    alive = one_class(8, 2).alive(Histories(np.array([x]), np.array([recency]), np.array([age])))[0, 8, 2]
    scale, lost = SHAPE / MEANS[8], LOST[2]
    stays = np.log1p(-lost) - (SHAPE + x) * np.log(scale + age)
    left = np.log(lost) - (SHAPE + x) * np.log(scale + recency)
    assert alive == pytest.approx(special.expit(stays - left))
