"""Whatever comes after the cut-off may change wildly: no forecast that was made at it moves."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from tests.conftest import read_small, small_events
from tests.contract.cases import (
    CASES,
    CUTOFF,
    EVENTS,
    HORIZON,
    LAST_STEP,
    SERIES,
    answers,
    at_cut_off,
    fitted,
    make,
    panel_of,
    training_data,
    values,
    visits,
    waves,
)  # fmt: skip
from tests.events.test_forecaster_no_leakage import everything

import foretell as ft
from foretell.series.reading import Reading
from foretell.series.windows import NORMALISATIONS

CUT_OFFS = {"events": CUTOFF, "series": "2024-02-19"}


@functools.cache
def log(*, changed):
    frame = small_events()
    return read_small(everything(frame) if changed else frame)


@functools.cache
def panel(*, changed):
    """Return series beyond the cut-off; one of the changed ones begins after it."""
    series = waves()
    if changed:
        for k, one in enumerate(series.values()):
            one[LAST_STEP + 1 :] = [-1e6, 1e9, 0.0][k % 3]
        series["new"] = np.concatenate([np.full(LAST_STEP + 1, np.nan), np.full(10, 7.0)])
    return panel_of(series)


def with_covariates(*, changed):
    """Return one series with a category, a number and a constant beside it."""
    late = np.arange(60) > LAST_STEP
    weather = np.where(np.arange(60) % 3, "dry", "wet")
    price = np.sin(np.arange(60.0))
    return ft.Panel.from_arrays(
        {"a": waves()["a"]},
        freq="1d",
        start="2024-01-01",
        past={
            "weather": [np.where(late, "never seen", weather) if changed else weather],
            "price": [np.where(late, -1e9, price) if changed else price],
        },
    )


def test_the_change_is_wild_and_before_the_cut_off_there_is_none():
    assert log(changed=True).n_customers > log(changed=False).n_customers
    assert np.nanmax(panel(changed=True).values) > 1e8
    for changed in (False, True):
        seen = log(changed=changed).until(CUTOFF)
        assert_frame_equal(seen.to_polars(), training_data("events").to_polars())
        assert_frame_equal(at_cut_off(panel(changed=changed)).to_frame(), training_data("series").to_frame())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def test_what_comes_later_changes_no_answer_as_of_a_date(case):
    data = log(changed=True) if case[0] == "events" else panel(changed=True)
    model = make(case).fit(data, as_of=CUT_OFFS[case[0]])
    assert_frame_equal(answers(model), answers(fitted(case)), check_exact=True)


@pytest.mark.parametrize("name", EVENTS)
def test_later_visits_change_no_forecast_of_a_backtest(name):
    model, horizon = fitted(("events", name)), 30
    rows = ft.backtest(log(changed=True), [make(("events", name))], horizon=horizon, cutoffs=[CUTOFF]).fold(0)
    outlook = model.outlook(training_data("events"), horizon, period=7, window=30)
    assert (
        rows["y"].sum() > log(changed=False).until("2023-07-30").n_events - training_data("events").n_events
    )
    for column, forecast in (("forecast", outlook.expected), ("p_active", outlook.p_active)):
        if forecast is None:
            assert rows[column].is_null().all()
        else:
            np.testing.assert_array_equal(rows[column], forecast)


@pytest.mark.parametrize("name", SERIES)
def test_later_values_change_no_forecast_of_a_backtest(name):
    case, cutoffs = ("series", name), [CUT_OFFS["series"]]
    rows = ft.backtest(panel(changed=True), [make(case)], horizon=HORIZON, cutoffs=cutoffs).fold(0)
    expected = answers(fitted(case))
    assert rows["y"].abs().max() > 1e8
    assert_frame_equal(rows.select("unique_id", "ds"), expected.select("unique_id", "ds"))
    np.testing.assert_array_equal(rows["forecast"], expected[fitted(case).name])


def test_later_covariates_change_no_forecast():
    before, after = (at_cut_off(with_covariates(changed=changed)) for changed in (False, True))
    assert_frame_equal(*(answers(values().fit(one)) for one in (before, after)), check_exact=True)


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_no_scaler_sees_later_values(kind):
    panels = (at_cut_off(panel(changed=changed)) for changed in (False, True))
    before, after = (Reading.fit(one, kind, log=False) for one in panels)
    for name in ("loc", "scale", "typical"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_a_search_scores_what_was_forecast_before_the_held_back_values():
    longer = panel(changed=True).select(list("abcdef"))
    longer = longer.up_to(int(longer.starts.min()) + LAST_STEP + HORIZON)
    space, grid = {"training.learning_rate": [0.02]}, ft.SearchConfig(method="grid")
    found = ft.tune(longer, space, model=values(), horizon=HORIZON, objective="mae", search=grid)
    model = values(training=found.model.training).fit(training_data("series"))
    truth = longer.values.reshape(6, -1)[:, -HORIZON:]
    error = np.abs(truth - answers(model)["foretell"].to_numpy().reshape(6, HORIZON)).mean()
    assert found.value == pytest.approx(error)


def test_a_search_scores_what_was_forecast_before_the_held_back_visits():
    whole, past, horizon = log(changed=True), training_data("events"), 184
    space, grid = {"training.learning_rate": [0.02]}, ft.SearchConfig(method="grid")
    found = ft.tune(whole, space, model=visits(), horizon=horizon, objective="rmse", search=grid)
    model = visits(training=found.model.training).fit(past)
    later = whole.select(past.ids).counts - past.counts
    error = later - model.outlook(past, horizon, period=7, window=30).expected
    assert found.value == pytest.approx(float(np.sqrt((error**2).mean())))
