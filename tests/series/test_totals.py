"""Sums of series and steps: they agree with their parts, and their intervals hold."""

import numpy as np
import polars as pl
import pytest

import foretell as ft
from foretell.errors import ParameterError
from foretell.series.quantiles import QUANTILES
from foretell.series.support import Support
from foretell.series.totals import Dependence, Forecaster, predict_totals


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    values = {key: 20 + rng.poisson(5, 40) for key in "abcd"}
    panel = ft.Panel.from_arrays(values, freq="1d", start="2024-01-01", static={"town": ["x", "x", "y", "y"]})
    return ft.SeriesForecaster(6, model="prior").fit(panel)


def test_totals_add_up_whichever_way_they_are_split(model):
    whole = model.predict_totals()
    assert whole.columns == ["ds", "end", "foretell", "foretell-lo-80", "foretell-hi-80"]
    for by in ("step", "series", "town", ["town", "step"]):
        parts = model.predict_totals(by=by)
        assert parts["foretell"].sum() == pytest.approx(whole["foretell"][0])
    towns = model.predict_totals(by="town")
    assert model.predict_totals(ids=["c", "d"]).row(0) == pytest.approx(towns.row(1)[1:])


def test_the_intervals_of_a_total_are_narrower_than_those_of_its_parts_together(model):
    wide = (pl.col("foretell-hi-80") - pl.col("foretell-lo-80")).sum()
    whole, series, steps = (
        model.predict_totals(by=by).select(wide).item() for by in (None, "series", "step")
    )
    assert whole < series
    assert whole < steps


def test_the_interval_of_a_sum_of_independent_normal_steps_is_that_of_a_normal():
    normal = np.array(
        [pl.Series(np.random.default_rng(1).normal(size=200_000)).quantile(q) for q in QUANTILES]
    )
    panel = ft.Panel.from_arrays(np.zeros((25, 3)))
    errors = np.random.default_rng(0).normal(size=(400, 25, 4))
    found = Dependence.fit(errors)
    assert (found.steps, found.series) == pytest.approx((0.0, 0.0), abs=0.03)
    flat = Forecaster(
        panel,
        lambda part, h, quantiles: np.broadcast_to(normal, (part.n_series, h, 1, len(normal))),
        Support.anything(1),
        "flat",
    )
    steps = predict_totals(flat, 4, by="step")
    # Three values say nothing of how errors go together: the usual correlation, a tenth between series.
    width = (steps["flat-hi-80"] - steps["flat-lo-80"]).mean()
    assert width == pytest.approx(2 * 1.2816 * np.sqrt(25 * (1 + 24 * 0.1)), rel=0.1)


def test_what_totals_cannot_be_split_by_is_refused(model):
    with pytest.raises(ParameterError, match="some of step, series, town"):
        model.predict_totals(by="week")
