"""Totals of many customers: they add up, and their intervals hold the error of the model."""

import weakref

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.events import totals
from foretell.events.horizon import shops
from foretell.events.horizon.forecaster import PriorCounts
from foretell.events.totals import TotalError, count_quantile


@pytest.fixture(scope="module")
def with_stores(log):
    frame = log.to_polars()
    rng = np.random.default_rng(0)
    frame = frame.with_columns(store=pl.Series(rng.choice(["a", "b", "c"], len(frame), p=[0.6, 0.3, 0.1])))
    read = ft.read_events(frame, group="store", as_of="2023-06-30")
    return ft.EventForecaster(model="prior").fit(read)


def test_totals_of_weeks_months_and_groups_add_up_to_the_customers(model, with_stores):
    expected = model.predict(["60d"])["expected_events_60d"].sum()
    assert model.predict_totals("60d")["visits"].to_list() == [pytest.approx(expected)]
    for by in ("week", "month"):
        assert model.predict_totals("60d", by=by)["visits"].sum() == pytest.approx(expected)
    groups = with_stores.predict_totals("60d", by="group")
    assert groups["group"].to_list() == ["a", "b", "c"]
    assert groups["visits"].sum() == pytest.approx(with_stores.predict_totals("60d")["visits"][0])


def test_totals_of_lists_of_customers_add_up_to_all(with_stores):
    ids = with_stores.log_.ids.to_list()
    parts = [with_stores.predict_totals("30d", by="group", ids=part) for part in (ids[::2], ids[1::2])]
    whole = with_stores.predict_totals("30d", by="group")
    np.testing.assert_allclose(parts[0]["visits"] + parts[1]["visits"], whole["visits"])


def test_months_begin_and_end_with_the_calendar(model):
    months = model.predict_totals("3mo", by="month")
    assert months["ds"].dt.to_string("%m-%d").to_list() == ["07-01", "08-01", "09-01"]
    assert months["end"].dt.to_string("%m-%d").to_list() == ["07-31", "08-31", "09-30"]


def test_a_week_is_as_sure_however_many_weeks_are_asked_for(model):
    assert model.predict_totals("4w", by="week").equals(model.predict_totals("8w", by="week").head(4))


def test_intervals_are_nested_around_the_expected_number(model):
    table = model.predict_totals("8w", by="week", levels=[50, 95])
    ordered = ["visits-lo-95", "visits-lo-50", "visits", "visits-hi-50", "visits-hi-95"]
    assert (np.diff(table.select(ordered).to_numpy(), axis=1) >= 0).all()


def test_a_total_of_many_is_no_surer_than_the_model(log):
    error = TotalError.of(log)
    assert error is TotalError.of(log)
    assert error.level > 0.02
    one, many = (error.covariance(np.full(n, 7.0)).mean() for n in (1, 100))
    assert one > many > 0.2 * error.level**2


def test_quantiles_of_totals_are_those_of_their_moments():
    draws = np.random.default_rng(0).negative_binomial(4, 4 / 104, 200_000)  # mean 100
    expected = np.quantile(draws, [0.1, 0.9])
    found = [count_quantile(np.array([100.0]), np.array([2600.0]), level)[0] for level in (0.1, 0.9)]
    np.testing.assert_allclose(found, expected, atol=2)


def test_bands_hold_what_comes_in_shops_that_were_never_seen():
    rng, inside = np.random.default_rng(4_000_000), []
    for _ in range(12):
        visits = shops.random_shop(rng)
        frame = pl.DataFrame({"unique_id": visits.owner, "ds": visits.day.astype("datetime64[D]")})
        cut = np.datetime64(visits.today - 1, "D")
        log = ft.read_events(
            frame, start=np.datetime64(visits.start, "D"), as_of=visits.day.max().astype("datetime64[D]")
        )
        model = ft.EventForecaster(model="prior").fit(log, as_of=cut)
        weeks = model.predict_totals(min(visits.end - visits.today, 90), by="week")
        known = log.ids.is_in(model.log_.ids.implode()).to_numpy()[log.owner]
        ahead = (log.times[known & (log.times >= visits.today)] - visits.today) // 7
        came = np.bincount(ahead, minlength=len(weeks))[: len(weeks)]
        inside.append(
            np.mean((came >= weeks["visits-lo-80"].to_numpy()) & (came <= weeks["visits-hi-80"].to_numpy()))
        )
    assert 0.6 < np.mean(inside) < 0.97


def test_what_a_total_cannot_be_asked_is_refused_with_the_reason(model, log):
    with pytest.raises(ft.errors.ParameterError, match="by='year'"):
        model.predict_totals(by="year")
    plain = ft.EventForecaster(model="prior").fit(ft.read_events(log.to_polars().select("unique_id", "ds")))
    with pytest.raises(ft.errors.DataError, match="no groups"):
        plain.predict_totals(by="group")


def test_a_model_that_disagrees_with_the_prior_is_less_sure(model, log, monkeypatch):
    error = TotalError.of(log)
    assert totals._with_disagreement(error, model).level == pytest.approx(error.level)
    monkeypatch.setattr(totals, "prior_counts", half_of(totals.prior_counts))
    monkeypatch.setattr(totals, "_OF_PRIOR", weakref.WeakKeyDictionary())  # each log is asked about once
    found = totals._with_disagreement(error, model)
    assert found.level == pytest.approx(np.hypot(error.level, np.log(2) / 2), rel=0.05)
    assert found.weekly == error.weekly


def half_of(counts):
    return lambda log, ticks: PriorCounts(counts(log, ticks).expected / 2, 0.0)
