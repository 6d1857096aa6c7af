"""The prior and the horizon head as forecasters: their answers agree, and what they learn is of the log."""

import itertools

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.events.horizon import training
from foretell.events.horizon.forecaster import prior


@pytest.fixture(scope="module", autouse=True)
def few_and_small_steps():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_CHOICES", (0, 2))
        patch.setattr(training, "_OWN_BATCH", (44, 20))
        yield


@pytest.fixture(scope="module")
def trained(log):
    better = itertools.count(0, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_judge", lambda weights, rows: next(better))
        yield ft.EventForecaster(head="horizon").fit(log)


def test_chances_of_each_number_add_up_and_agree_with_the_table(model):
    counts = model.predict_counts("30d", most=4)
    table = model.predict(horizons=["30d"])
    chances = counts.select(pl.col("^p_.*$"))
    np.testing.assert_allclose(chances.sum_horizontal(), 1.0)
    np.testing.assert_allclose(1 - counts["p_0"], table["p_return_30d"])
    np.testing.assert_allclose(counts["visits"], table["expected_events_30d"])
    assert (counts["visits-lo-80"] <= counts["visits-hi-80"]).all()


def test_totals_by_week_add_up_to_the_customers(model):
    weeks = model.predict_cohort("30d")["foretell"].sum()
    assert weeks == pytest.approx(model.predict(horizons=["30d"])["expected_events_30d"].sum())


def test_a_longer_horizon_has_more_visits_and_a_higher_chance(model):
    table = model.predict(horizons=["7d", "30d", "90d"])
    for word in ("p_return", "expected_events"):
        shorter, longer, longest = (table[f"{word}_{days}d"] for days in (7, 30, 90))
        assert (shorter < longer).all()
        assert (longer < longest).all()
    assert (table["p_return_90d"] <= table["p_active"]).all()


def test_half_of_those_who_return_do_so_by_the_median_date(model, log):
    table = model.predict(levels=[80]).head(20)
    ahead = (table["next_event"] - table["as_of"]).dt.total_days().to_numpy()
    chances = model.return_chances(log, np.arange(1, ahead.max() + 1))
    for row, days in enumerate(ahead):
        p_active = table["p_active"][row]
        assert chances[row, days - 1] >= 0.5 * p_active - 1e-6
        assert days == 1 or chances[row, days - 2] <= 0.5 * p_active + 1e-6


def test_what_only_heads_of_the_next_gap_know_is_refused_with_the_reason(model):
    with pytest.raises(ft.errors.ParameterError, match="head='mixture'"):
        model.simulate("30d")


def test_a_forecaster_whose_settings_change_is_fitted_as_they_say(log, model):
    again = ft.EventForecaster(model="prior").fit(log)
    again.set_params(model="network", ensemble=0)
    with pytest.raises(ft.errors.ParameterError, match="ensemble"):
        again.fit(log)


def test_the_head_goes_on_from_the_prior_where_that_gains(trained, model):
    assert trained.name == "foretell, horizon"
    moved = trained.horizon_.weights_
    assert any(not np.array_equal(moved[name], value) for name, value in prior().items())
    assert all(np.isfinite(value).all() for value in moved.values())
    assert np.abs(trained.predict()["p_active"] - model.predict()["p_active"]).max() < 0.2


def test_the_head_is_the_prior_where_nothing_is_gained(log, monkeypatch):
    worse = itertools.count()
    monkeypatch.setattr(training, "_judge", lambda weights, rows: next(worse))
    weights = ft.EventForecaster(head="horizon").fit(log).horizon_.weights_
    assert weights is prior()


def test_a_trained_head_survives_saving(trained, tmp_path):
    again = ft.load(trained.save(tmp_path / "model"))
    assert again.head == "horizon"
    assert again.predict().equals(trained.predict())
