"""Simulated shops: each family does what its name says, and a seed gives the same shop again."""

import numpy as np
import pytest

from foretell.events.horizon import shops
from foretell.events.horizon.shops import FAMILIES, blank_shop, composed, random_shop


def simulated(*names, n=400, today=500, horizon=300, seed=0, **settings):
    shop = blank_shop(np.random.default_rng(seed), n, today, horizon)
    shop.rate[:] = 1 / 15
    shop.first[:] = 0
    for name, value in settings.items():
        setattr(shop, name, value)
    return composed(shop, [FAMILIES[name] for name in names])


def gaps_of(visits):
    return np.diff(visits.day)[np.diff(visits.owner) == 0]


def test_a_seed_gives_the_same_shop_again_and_another_seed_another():
    first, again, other = (random_shop(np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.day, again.day)
    assert first.families == again.families
    assert len(first.day) != len(other.day)


@pytest.mark.parametrize("seed", range(12))
def test_every_shop_has_customers_who_were_seen_and_one_visit_a_day_at_most(seed):
    visits = random_shop(np.random.default_rng(seed))
    key = visits.owner * 10**6 + visits.day
    assert (np.diff(key) > 0).all()
    owner, day = visits.seen()
    assert set(owner) == set(range(visits.n))
    assert day.min() >= visits.start
    assert visits.day.max() < visits.end
    later = visits.counts(np.array([1, visits.end - visits.today]))
    assert later[:, 1].sum() == (visits.day >= visits.today).sum()
    assert (later[:, 0] <= 1).all()


def test_a_plain_shop_keeps_its_rate():
    visits = simulated()
    per_day = (visits.day >= visits.today).sum() / visits.n / 300
    # Of two visits on one day one is counted.
    assert per_day == pytest.approx(1 - np.exp(-1 / 15), rel=0.03)


def test_regular_buyers_come_almost_to_the_day():
    visits = simulated("rhythms", seed=1)
    every_week = np.isin(gaps_of(visits), [6, 7, 8, 13, 14, 15]).mean()
    assert every_week > 1.4 * np.isin(gaps_of(simulated()), [6, 7, 8, 13, 14, 15]).mean()


def test_alternating_gaps_are_by_turns_short_and_long():
    visits = simulated("by_turns", shape=np.full(400, 60.0))
    gaps, same = np.diff(visits.day), np.diff(visits.owner) == 0
    both = same[1:] & same[:-1]
    assert np.corrcoef(gaps[1:][both], gaps[:-1][both])[0, 1] < -0.1


@pytest.mark.parametrize("name", ["lost_after_a_visit", "lifetimes", "fading", "only_once", "hibernation"])
def test_customers_who_stop_come_less_often(name):
    assert len(simulated(name).day) < 0.93 * len(simulated().day)


def test_hibernating_customers_come_back():
    visits = simulated("hibernation", seed=2)
    assert (gaps_of(visits) > 120).sum() > 20 * max((gaps_of(simulated()) > 120).sum(), 1)


def test_newcomers_of_a_shop_with_novelty_come_more_often():
    visits = simulated("novelty", seed=1)
    age = visits.day - visits.start
    assert (age < 50).sum() / 50 > 1.3 * (age > 600).sum() / 200


def test_a_closed_month_and_closed_weekdays_have_no_visits():
    visits = simulated("closed_month", "closed_weekdays")
    repeats = visits.day[visits.day > visits.start]
    months = repeats.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    assert len(set(months)) == 11
    assert len(set(repeats % 7)) <= 6


def test_visits_by_month_are_dated_on_the_first():
    days = simulated("by_month").day
    days = days[days > days.min()].astype("datetime64[D]")
    assert (days == days.astype("datetime64[M]").astype("datetime64[D]")).all()


def test_a_promotion_pulls_visits_forward_but_adds_few():
    plain = blank_shop(np.random.default_rng(0), 5, 400, 100)
    FAMILIES["promotions"](plain)
    assert plain.speed.max() > 1.4
    assert plain.speed.min() < 0.9
    assert plain.speed.mean() < 1.3


def test_the_peak_lies_before_the_forecast_begins():
    rises = 0
    for seed in range(10):
        shop = blank_shop(np.random.default_rng(seed), 5, 400, 200)
        shops.just_after_the_peak(shop)
        far = np.abs(shop.speed[:400] - 1).argmax()
        rises += 340 <= far <= 400 or far <= 40
    assert rises == 10


def test_the_first_visit_of_an_old_panel_is_one_like_any_other():
    visits = simulated("an_old_panel")
    first = np.r_[True, np.diff(visits.owner) > 0]
    assert (visits.day[first] - visits.start).mean() == pytest.approx(15, rel=0.25)
