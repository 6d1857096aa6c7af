"""What days bring by a calendar: found where it shows, none where it does not, and known ahead."""

import copy
import dataclasses
import warnings

import numpy as np
import polars as pl
import pytest
from benchmarks.calendars import AHEAD, nothing, promotions, weekly_error
from tests.events.calendars import MORE, START, N, days_of, drawn

import foretell as ft
from foretell.data.calendar import read_calendar
from foretell.events.calendar import CalendarEffect, DayCounts
from foretell.events.clock import OperationalClock


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(1)
    promotion = np.zeros(N + MORE)
    for first in range(20, N + MORE, 45):
        promotion[first : first + 7] = 1
    words = np.where(rng.random(N + MORE) < 0.04, "fair", "")
    return {"promotion": promotion, "price": np.exp(rng.normal(0, 0.2, N + MORE)), "noon": words}


@pytest.fixture(scope="module")
def effect(columns):
    log_factor = (
        0.9 * columns["promotion"] - 1.5 * np.log(columns["price"]) + 0.5 * (columns["noon"] == "fair")
    )
    return CalendarEffect.fit(days_of(columns), drawn(log_factor, np.random.default_rng(0)))


def ratio(effect, column, high, low):
    """Factor of one value against another, the other columns at their means."""
    codes = effect.code.encode(effect.calendar.columns)
    mine = effect.column_of[: codes.shape[1]] == effect.calendar.columns.names.index(column)
    parts = codes[:, mine] @ effect.weights[: codes.shape[1]][mine]
    values = effect.calendar.columns.column(column)
    return np.exp(parts[(values == high).arg_max()] - parts[(values == low).arg_max()])


def test_each_column_has_its_own_effect(effect, columns):
    assert ratio(effect, "promotion", 1.0, 0.0) == pytest.approx(np.exp(0.9), rel=0.06)
    assert ratio(effect, "noon", "fair", "") == pytest.approx(np.exp(0.5), rel=0.12)
    low, high = np.quantile(columns["price"], [0.1, 0.9], method="nearest")
    assert ratio(effect, "price", high, low) == pytest.approx((high / low) ** -1.5, rel=0.1)


def test_factors_are_one_on_average_over_the_days_seen(effect):
    assert effect.factor(START + np.arange(N)).mean() == pytest.approx(1.0, abs=1e-4)


def test_factors_agree_with_a_plain_sum_over_codes_and_the_weeks_before(effect):
    values, names = effect.calendar.columns, effect.calendar.columns.names
    codes = effect.code.encode(values)
    width = codes.shape[1]
    for place in (0, 3, 25, 300, N + MORE - 1):
        log_factor = -effect.usual.sum()
        for k in range(len(names)):
            mine = effect.column_of[:width] == k
            log_factor += codes[place, mine] @ effect.weights[:width][mine]
            for time, (near, far) in enumerate([(0, 7), (7, 14)], start=1):
                before = codes[max(place - far, 0) : max(place - near, 0), mine]
                weights = effect.weights[time * width : (time + 1) * width][mine]
                usual = effect.usual[time * len(names) + k]
                log_factor += before.mean(axis=0) @ weights if len(before) else usual
        assert effect.factor(np.array([START + place]))[0] == pytest.approx(np.exp(log_factor))


def test_what_the_days_do_not_show_is_none():
    rng, found = np.random.default_rng(3), []
    for _ in range(9):
        calendar = days_of({"moon": (rng.random(N + MORE) < 0.1) * 1.0})
        effect = CalendarEffect.fit(calendar, drawn(np.zeros(N), rng))
        found.append(abs(ratio(effect, "moon", 1.0, 0.0) - 1))
    assert np.median(found) < 0.01
    assert max(found) < 0.1


def test_days_and_weeks_that_differ_by_themselves_are_no_effect(columns):
    rng = np.random.default_rng(4)
    level = np.repeat(rng.normal(0, 0.5, N // 7 + 1), 7)[:N]
    seen = drawn(level, rng)
    sure = CalendarEffect.fit(days_of({"promotion": columns["promotion"]}), drawn(np.zeros(N), rng))
    unsure = CalendarEffect.fit(days_of({"promotion": columns["promotion"]}), seen)
    # An effect that is found by chance comes with how unsure it is.
    found = np.log(ratio(unsure, "promotion", 1.0, 0.0))
    deviation = np.sqrt(unsure.covariance[0, 0]) / unsure.code.scale[0]
    assert abs(found) < 3 * deviation
    assert unsure.covariance[0, 0] > 4 * sure.covariance[0, 0]


def test_unknown_days_are_average_days_and_values_beyond_the_seen_ones_the_nearest(effect, columns):
    after = START + N + MORE + 20
    assert effect.factor(np.array([after, START - 1])).tolist() == [1.0, 1.0]
    assert effect.unknown(np.array([after, START + N])).tolist() == [True, False]
    dear = columns | {"price": np.full(N + MORE, 50.0), "promotion": np.zeros(N + MORE)}
    dearest = columns | {"price": np.full(N + MORE, columns["price"].max()), "promotion": np.zeros(N + MORE)}
    days = START + np.arange(N, N + MORE)
    np.testing.assert_allclose(
        effect.moved(days_of(dear)).factor(days), effect.moved(days_of(dearest)).factor(days), rtol=0.02
    )


def test_a_word_never_seen_counts_as_the_average(effect, columns):
    new = columns | {"noon": np.where(np.arange(N + MORE) == N + 20, "circus", "")}
    moved = effect.moved(days_of(new))
    assert moved.unknown(START + np.array([N + 20, N + 21])).tolist() == [True, False]
    assert (
        0.9 < moved.factor(START + np.array([N + 20]))[0] / moved.factor(START + np.array([N + 21]))[0] < 1.2
    )


def test_totals_are_as_unsure_as_what_is_not_known(effect):
    days = START + N + np.arange(MORE + 24)
    covariance = effect.covariance_of(days, np.arange(len(days)) // 7, len(days) // 7)
    deviation = np.sqrt(np.diag(covariance))
    assert deviation[:8].max() < 0.06
    np.testing.assert_allclose(deviation[-2:], effect.spread, rtol=0.05)


def test_too_few_days_or_visits_say_nothing(columns):
    seen = drawn(np.zeros(N), np.random.default_rng(0))
    calendar = days_of(columns)
    assert CalendarEffect.fit(calendar, DayCounts(*(part[:10] for part in seen))) is None
    assert CalendarEffect.fit(calendar, seen._replace(visits=seen.visits * 0)) is None


def test_it_survives_as_plain_values(effect):
    again = CalendarEffect.from_description(effect.describe())
    days = START + np.arange(N + MORE)
    np.testing.assert_array_equal(again.factor(days), effect.factor(days))
    assert CalendarEffect.from_description(None) is None


@pytest.mark.parametrize("name", ["weights", "covariance", "usual", "pull", "spread"])
def test_forged_values_are_refused(effect, name):
    bad = -1.0 if name == "spread" else [0.0]
    with pytest.raises(ft.errors.DataError, match="effect of the calendar"):
        CalendarEffect.from_description(effect.describe() | {name: bad})


# Through the forecaster


@pytest.fixture(scope="module")
def shop():
    return promotions(np.random.default_rng((8, 0)))


@pytest.fixture(scope="module")
def log(shop):
    return shop.log(known=True)


@pytest.fixture(scope="module")
def cutoff(log):
    return log.start + 380


@pytest.fixture(scope="module")
def model(log, cutoff):
    return ft.EventForecaster(model="prior").fit(log.up_to(cutoff))


def test_promotions_known_ahead_leave_less_than_half_of_the_weekly_error(shop, log):
    errors = [weekly_error(one, 380, "prior") for one in (log, shop.log(known=False))]
    assert errors[0] < 0.45 * errors[1]


def test_a_calendar_that_says_nothing_does_no_harm():
    shop = nothing(np.random.default_rng((8, 1)))
    errors = [weekly_error(shop.log(known=known), 380, "prior") for known in (True, False)]
    assert errors[0] < errors[1] + 0.01


def test_both_clocks_run_by_the_same_factors(model, log, cutoff):
    clock = OperationalClock.fit(log.up_to(cutoff))
    days = np.arange(log.start, log.as_of)
    np.testing.assert_allclose(clock.days.effect.factor(days), model.calendar_effect_.factor(days))
    promoted = log.calendar.at(days).ravel() == 1
    assert clock.speed(days)[promoted].mean() > 1.7 * clock.speed(days)[~promoted].mean()


def test_visits_after_the_cut_off_change_nothing_and_days_ahead_do(shop, log, cutoff, model):
    before = log.up_to(cutoff)
    quiet = ft.EventForecaster(model="prior").fit(log, as_of=log.date(cutoff))
    assert quiet.predict(["84d"]).equals(model.predict(["84d"]))
    none_ahead = shop.calendar.with_columns(
        promotion=pl.when(pl.col("ds") > pl.lit(log.date(cutoff).item())).then(0.0).otherwise("promotion")
    )
    other = dataclasses.replace(before, calendar=read_calendar(none_ahead))
    fewer = ft.EventForecaster(model="prior").fit(other)
    expected = [one.predict_cohort("84d", "84d")["foretell"][0] for one in (model, fewer)]
    assert expected[1] < 0.95 * expected[0]


def test_days_that_are_not_known_are_said_once_and_widen_totals(shop, log, cutoff, model):
    end = log.date(cutoff + 21).item()
    short = dataclasses.replace(
        log.up_to(cutoff), calendar=read_calendar(shop.calendar.filter(pl.col("ds") <= pl.lit(end)))
    )
    unsure = ft.EventForecaster(model="prior").fit(short)
    with pytest.warns(ft.errors.CovariateWarning, match="not known for 7 of the 28 days that are forecast"):
        weeks = unsure.predict_totals("28d", by="week")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unsure.predict(["28d"])
    width = (weeks["visits-hi-80"] - weeks["visits-lo-80"]) / weeks["visits"]
    assert width[3] > 1.3 * width[:3].max()


def test_nothing_is_said_of_days_that_nobody_asked_about(shop, log, cutoff):
    end = log.date(cutoff + 21).item()
    known = read_calendar(shop.calendar.filter(pl.col("ds") <= pl.lit(end)))
    model = ft.EventForecaster(model="prior").fit(dataclasses.replace(log.up_to(cutoff), calendar=known))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_totals("21d")
    with pytest.warns(ft.errors.CovariateWarning, match="1 of the 22 days"):
        model.predict(["22d"])


def test_a_saved_model_and_an_update_go_on_with_the_calendar(log, cutoff, model, tmp_path):
    again = ft.load(model.save(tmp_path / "model"))
    assert again.predict(["84d"]).equals(model.predict(["84d"]))
    moved = again.update(as_of=log.date(cutoff + 7))
    assert moved.calendar_effect_.factor(np.array([cutoff + 30])) == pytest.approx(
        model.calendar_effect_.factor(np.array([cutoff + 30])), rel=0.1
    )


def test_a_model_without_its_log_keeps_the_calendar(log, cutoff, model, tmp_path):
    blank = ft.load(model.save(tmp_path / "model", data=False), data=log.up_to(cutoff))
    assert blank.predict(["84d"]).equals(model.predict(["84d"]))


def test_another_plan_changes_what_is_expected_and_leaves_the_model_as_it_was(shop, log, cutoff):
    few = log.up_to(cutoff).take(range(150))
    with pytest.warns(ft.errors.SmallDataWarning):  # prior and statistics answer
        blend = ft.EventForecaster(ensemble=1).fit(few)
    ahead = pl.col("ds") > pl.lit(log.date(cutoff).item())
    always = shop.calendar.with_columns(promotion=pl.when(ahead).then(1.0).otherwise("promotion"))
    busy = copy.copy(blend).attach(few.with_calendar(always))
    before, after = (one.predict_cohort("84d", "84d")["foretell"][0] for one in (blend, busy))
    assert after > 1.4 * before
    clock, prior = busy.model_.clock, busy.auto_.statistics["prior"].shop_.clock
    days = np.arange(cutoff + 1, cutoff + 50)
    np.testing.assert_array_equal(clock.days.effect.factor(days), prior.effect.factor(days))
    assert blend.predict_cohort("84d", "84d")["foretell"][0] == before


def test_the_summary_says_what_days_bring_and_who_answers(model):
    found, who = model.summary().splitlines()
    assert found.startswith("promotion 1 brings 2.")
    assert who == "counts, chances and dates: foretell, prior"


def test_horizons_reach_over_days_of_promotions(model):
    weekly = model.predict_cohort(AHEAD, 7)["foretell"].to_numpy()
    days = model.log_.as_of + 1 + np.arange(AHEAD)
    factors = model.calendar_effect_.factor(days).reshape(-1, 7).mean(axis=1)
    assert np.corrcoef(weekly, factors)[0, 1] > 0.97
