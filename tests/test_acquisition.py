"""The shop's total with the customers to come: sums, parts, and an accuracy gate on a growing shop."""

import numpy as np
import polars as pl
import pytest
from benchmarks.growth import growing_shop, held

import foretell as ft
from foretell.acquisition import Newcomers, _stranger, _visits_of_newcomers, predict_shop, shop_so_far
from foretell.errors import DataError, ParameterError


@pytest.fixture(scope="module")
def model():
    log = growing_shop(0)
    return ft.baselines.ParetoNBD().fit(log.up_to(log.as_of - 90))


def test_the_parts_add_up(model):
    weeks, whole = predict_shop(model, 84, "week"), predict_shop(model, 84)
    for table in (weeks, whole):
        np.testing.assert_allclose(table["known"] + table["new"], table["visits"])
        assert (table["visits-lo-80"] < table["visits"]).all()
        assert (table["visits"] < table["visits-hi-80"]).all()
    for name in ("newcomers", "known", "new"):
        assert weeks[name].sum() == pytest.approx(whole[name][0])
    assert (whole["new"] > whole["newcomers"]).all()


def test_newcomers_come_once_and_then_as_the_model_says_of_a_new_customer(model):
    """By hand: of one newcomer on the first day, those after the first visit are the model's answer."""
    daily = np.zeros(30)
    daily[0] = 1.0
    visits = _visits_of_newcomers(model, daily, 30)
    assert visits[0] == 1.0
    (answers,) = model.predict_blocks([29], [], [_stranger(model.log_.ids)])
    assert visits.sum() == pytest.approx(1 + answers["expected_events_29t"][0], rel=0.01)


def test_newcomers_of_a_log_are_forecast_once():
    log = growing_shop(1)
    coming = Newcomers.forecast(log, 28)
    assert Newcomers.forecast(log, 28) is coming
    assert len(Newcomers.forecast(log, 35).daily) == 35
    assert Newcomers.forecast(log.up_to(log.as_of), 28) is not coming


def test_newcomers_are_forecast_near_those_of_late():
    log = growing_shop(1)
    late = (log.first > log.as_of - 91).sum() / 91
    coming = Newcomers.forecast(log, 28)
    assert coming.daily.mean() == pytest.approx(late, rel=0.35)
    assert 0 < coming.relative < 0.5


def test_money_is_worth_what_a_visit_of_a_new_customer_is(model):
    frame = model.log_.to_polars().with_columns(amount=pl.lit(20.0) + pl.int_range(pl.len()) % 7)
    money = ft.baselines.ParetoNBD().fit(ft.read_events(frame, marks=["amount"], as_of="2023-05-27"))
    spend, visits = (predict_shop(money, 30, mark=mark) for mark in ("amount", None))
    assert spend["new"][0] / visits["new"][0] == pytest.approx(23.0, rel=0.02)
    assert {"spend", "spend-lo-80", "spend-hi-80"} < set(spend.columns)


def test_bands_hold_what_comes():
    """At nine origins of three shops; the benchmark has more."""
    inside, off = held(range(3), ft.baselines.ParetoNBD)
    assert np.mean(inside) >= 0.6
    assert np.mean(np.abs(off)) < 0.2


@pytest.mark.parametrize("ids", [pl.Series([0, 1, 3]), pl.Series([0.5, 7.0]), pl.Series(["a", "b"])])
def test_a_stranger_is_of_the_same_kind_and_not_known(ids):
    stranger = _stranger(ids)
    assert stranger not in ids.to_list()
    assert pl.Series([stranger], dtype=ids.dtype).dtype == ids.dtype


def test_what_cannot_be_told_says_why(model, small_log):
    short = small_log.up_to(small_log.start + 4)
    with pytest.raises(DataError, match="expected at least 8"):
        Newcomers.forecast(short, 7)
    with pytest.raises(ParameterError, match="by='group'"):
        predict_shop(model, 30, "group")


def test_a_shop_that_nobody_new_finds_gets_hardly_any(sample):
    """CDNOW's customers all came first in the first quarter: 26 a day."""
    assert Newcomers.forecast(sample, 30).daily.sum() < 0.03 * 26 * 30


@pytest.mark.parametrize("as_of", ["2023-06-30", "2023-06-14"])
def test_the_past_is_that_of_whole_weeks_and_months(small_log, as_of):
    log = small_log.until(as_of)
    for by, width in (("week", "1w"), ("month", "1mo")):
        table = shop_so_far(log, by, mark="amount")
        rows = log.to_polars().with_columns(pl.col("ds").cast(pl.Date))
        starts = pl.date_range(table["ds"][0], table["ds"][-1], width, eager=True)
        assert table["ds"].to_list() == starts.to_list()
        for begin, end, spend in table.iter_rows():
            inside = rows.filter(pl.col("ds").is_between(begin, end))
            assert spend == pytest.approx(inside["amount"].sum())
    assert shop_so_far(log)["end"][-1] == pl.Series([as_of]).str.to_date()[0]
    assert shop_so_far(log, "month")["end"][-1].day >= 28
    assert not len(shop_so_far(small_log.until("2022-07-05")))
    assert not len(shop_so_far(small_log.until("2022-07-05"), "month"))


def test_newcomers_of_promotions_known_ahead_are_expected():
    rng = np.random.default_rng(0)
    days = pl.date_range(pl.date(2022, 1, 3), pl.date(2023, 12, 31), eager=True)
    promotion = np.arange(len(days)) % 37 < 6
    new = rng.poisson(np.where(promotion, 13.0, 6.0))
    first = pl.DataFrame({"unique_id": range(new.sum()), "ds": days[np.repeat(np.arange(len(days)), new)]})
    weeks = np.arange(0, 84, 7)
    actual, errors = np.add.reduceat(new[501:585], weeks), []
    for calendar in (None, {"ds": days, "promotion": promotion}):
        log = ft.read_events(first, start="2022-01-03", as_of=str(days[500]), calendar=calendar)
        forecast = np.add.reduceat(Newcomers.forecast(log, 84).daily, weeks)
        errors.append(np.abs(forecast - actual).sum() / actual.sum())
    assert errors[1] < 0.6 * errors[0]
