"""Calibration over folds: coverage, PIT and recalibrations, against definitions and on simulated truth."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import foretell as ft
from foretell.errors import ParameterError
from foretell.evaluation import calibration
from foretell.evaluation.calibration import (
    ConformalRecalibration,
    IsotonicRecalibration,
    PITRecalibration,
    recalibration_on_last_fold,
)
from foretell.stats import metrics


class Normal:
    """Knows the truth, but for how much it varies."""

    name = "normal"

    def __init__(self, width=1.0):
        self.width = width

    def fit(self, panel):
        return self

    def forecast(self, panel, h, quantiles):
        from scipy.special import ndtri

        return np.broadcast_to(self.width * ndtri(quantiles), (panel.n_series, h, 1, len(quantiles)))


@pytest.fixture(scope="module")
def steps():
    noise = np.random.default_rng(0).normal(size=(60, 90))
    panel = ft.Panel.from_arrays(list(noise))
    return ft.backtest(
        panel, [Normal(), Normal(0.4)], horizon=10, cutoffs=4, config=ft.BacktestConfig(season=1)
    )


@pytest.fixture(scope="module")
def visits(small_log):
    return ft.backtest(
        small_log, ["mbg/nbd", "mean gap"], horizon="60d", cutoffs=4, config=ft.BacktestConfig(step="30d")
    )


class TestCoverage:
    def test_right_quantiles_hold_what_they_claim(self, steps):
        result = calibration.coverage_by_level(steps, "normal")
        np.testing.assert_allclose(result["observed"], result["level"] / 100, atol=0.03)

    def test_narrow_ones_hold_less(self, steps):
        result = calibration.coverage_by_level(steps, "normal (2)")
        assert (result["observed"] < result["level"] / 100).all()

    def test_the_figure_of_the_scores_is_the_80_per_cent_level(self, steps):
        result = calibration.coverage_by_level(steps, "normal").filter(pl.col("level") == 80)
        scores = steps.table().filter(pl.col("model") == "normal")
        assert result["observed"].item() == pytest.approx(scores["coverage_80"].item())


class TestPlaces:
    def test_places_are_even_where_the_distribution_is_right(self, steps):
        share = calibration.pit_histogram(steps, "normal")["share"]
        assert share.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(share, 0.1, atol=0.02)

    def test_a_u_shape_shows_that_it_is_too_narrow(self, steps):
        share = calibration.pit_histogram(steps, "normal (2)")["share"]
        assert share[0] > 0.2 < share[-1]

    def test_of_visits_they_add_up_to_one(self, visits):
        result = calibration.pit_histogram(visits, "MBG/NBD")
        assert result["share"].sum() == pytest.approx(1.0)
        assert (result["share"] > 0.0).all()


class TestRecalibration:
    def test_quantiles_hold_on_truths_that_the_recalibration_has_not_seen(self):
        rng = np.random.default_rng(1)
        truth, said = rng.normal(1.0, 2.0, 8_000), np.tile([-1.28, 0.0, 1.28], (8_000, 1))
        recalibration = ConformalRecalibration.fit(truth[:4_000], said[:4_000], [0.1, 0.5, 0.9])
        result = recalibration.apply(said[4_000:])
        shares = (truth[4_000:, None] <= result).mean(axis=0)
        np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.02)

    @given(st.integers(50, 300), st.integers(0, 1_000))
    def test_recalibrated_quantiles_are_in_order_and_finite(self, n, seed):
        rng = np.random.default_rng(seed)
        said = np.sort(rng.normal(size=(n, 3)), axis=1)
        result = ConformalRecalibration.fit(rng.normal(size=n), said, [0.1, 0.5, 0.9]).apply(said)
        assert np.isfinite(result).all()
        assert (np.diff(result, axis=1) >= 0).all()

    def test_probabilities_come_true_on_cases_that_the_recalibration_has_not_seen(self):
        rng = np.random.default_rng(2)
        chance = rng.random(20_000)
        happened = rng.random(20_000) < chance**3
        recalibration = IsotonicRecalibration.fit(happened[:10_000], chance[:10_000])
        result = recalibration.apply(chance[10_000:])
        assert metrics.expected_calibration_error(happened[10_000:], chance[10_000:]) > 0.2
        assert metrics.expected_calibration_error(happened[10_000:], result) < 0.02

    @given(st.lists(st.floats(0, 1), min_size=60, max_size=90), st.integers(0, 1_000))
    def test_recalibrated_probabilities_keep_their_order_and_are_probabilities(self, chances, seed):
        chance = np.sort(chances)
        recalibration = IsotonicRecalibration.fit(
            np.random.default_rng(seed).random(len(chance)) < chance, chance
        )
        result = recalibration.apply(chance)
        assert (np.diff(result) >= -1e-12).all()
        assert 0.0 <= result.min() <= result.max() <= 1.0

    def test_levels_hold_on_places_that_the_recalibration_has_not_seen(self):
        place = np.random.default_rng(3).beta(0.5, 0.7, 20_000)  # too narrow, and off to one side
        recalibration = PITRecalibration.fit(place[:10_000], place[:10_000])
        result = (place[10_000:, None] <= recalibration.levels([0.1, 0.5, 0.9])).mean(axis=0)
        np.testing.assert_allclose(result, [0.1, 0.5, 0.9], atol=0.015)

    def test_what_was_wrong_in_all_folds_is_recalibrated_and_what_contradicts_itself_is_not(self):
        rng = np.random.default_rng(4)
        folds = np.repeat([0, 1, 2, 3], 2_000)
        chance = rng.random(8_000)
        steady = IsotonicRecalibration.fit(rng.random(8_000) < 0.5 * chance, chance, folds)
        assert steady.apply([0.8]) == pytest.approx(0.4, abs=0.06)
        # In every other fold fewer come than said, else as many more: the mean says little of the next.
        come = np.where(folds % 2 == 0, 0.5, 1.3) * chance
        wavering = IsotonicRecalibration.fit(rng.random(8_000) < come, chance, folds)
        assert wavering.apply([0.4]) == pytest.approx(0.4, abs=0.03)
        said = np.tile([-1.28, 0.0, 1.28], (8_000, 1))
        wide = ConformalRecalibration.fit(2.0 * rng.normal(size=8_000), said, [0.1, 0.5, 0.9], folds)
        assert wide.shifts[-1] > 0.4
        moved = np.where(folds % 2 == 0, 2.0, -2.0)
        assert (
            abs(
                ConformalRecalibration.fit(
                    moved + rng.normal(size=8_000), said, [0.1, 0.5, 0.9], folds
                ).shifts[1]
            )
            < 0.2
        )
        low, high = rng.beta(2, 2, 8_000), rng.beta(0.5, 0.5, 8_000)
        assert PITRecalibration.fit(low, low, folds).levels([0.1]) == pytest.approx(0.2, abs=0.03)
        both = np.where(folds % 2 == 0, low, high)
        assert PITRecalibration.fit(both, both, folds).levels([0.1]) == pytest.approx(0.1, abs=0.03)

    def test_too_few_forecasts_recalibrate_nothing(self):
        assert ConformalRecalibration.fit([1.0] * 9, [[0.0, 1.0]] * 9, [0.1, 0.9]).shifts.tolist() == [
            0.0,
            0.0,
        ]
        assert IsotonicRecalibration.fit([1] * 9, [0.3] * 9).apply([0.3]).tolist() == [0.3]

    def test_of_a_backtest_of_series(self, steps):
        last = recalibration_on_last_fold(steps, "normal (2)").partition_by("kind", as_dict=True)
        error = {
            kind: (part["claimed"] - part["observed"]).abs().mean() for (kind,), part in last.items()
        }  # fmt: skip
        assert error["as forecast"] > 0.15
        assert error["recalibrated"] < 0.05
        assert ConformalRecalibration.of(steps, "normal (2)").shifts[-1] > 0.2

    def test_of_a_backtest_of_visits(self, visits):
        assert IsotonicRecalibration.of(visits, "MBG/NBD").apply([0.0, 1.0]).tolist() == [0.0, 1.0]
        asked = PITRecalibration.of(visits, "MBG/NBD").levels([0.0, 0.1, 0.9, 1.0])
        assert (np.diff(asked) > 0).all()
        assert asked[[0, 3]].tolist() == [0.0, 1.0]
        result = calibration.reliability_over_folds(visits, "MBG/NBD")
        assert result.size.sum() == sum(visits.fold(k)["model"].eq("MBG/NBD").sum() for k in range(4))


class TestWrongUse:
    @pytest.mark.parametrize(
        ("call", "said"),
        [
            (lambda result: calibration.pit_histogram(result, "mean gap"), "mean gap has no rows"),
            (lambda result: calibration.pit_histogram(result, "prophet"), "no model 'prophet'"),
        ],
    )
    def test_a_model_that_tells_no_distribution(self, visits, call, said):
        with pytest.raises(ParameterError, match=said):
            call(visits)

    def test_series_have_no_returns(self, steps):
        with pytest.raises(ParameterError, match="only visits"):
            calibration.reliability_over_folds(steps, "normal")

    def test_quantiles_of_another_shape(self):
        with pytest.raises(ParameterError, match="a column for each level"):
            ConformalRecalibration.fit([1.0, 2.0], [[0.0, 1.0]], [0.1, 0.9])


class TestPictures:
    def test_they_are_drawn(self, steps, visits, tmp_path):
        charts = {
            "coverage": ft.plotting.plot_coverage(steps),
            "visits": ft.plotting.plot_coverage(visits),
            "pit": ft.plotting.plot_pit(visits, "MBG/NBD"),
            "recalibration": ft.plotting.plot_recalibration(steps, "normal (2)"),
            "returns": ft.plotting.plot_recalibration(visits, "MBG/NBD"),
        }
        for name, chart in charts.items():
            assert "config" in chart.to_dict()
            assert ft.plotting.save(chart, tmp_path / f"{name}.svg").stat().st_size > 1_000

    def test_a_recalibration_needs_two_folds(self, small_log):
        result = ft.backtest(small_log, ["mbg/nbd"], horizon="60d", cutoffs=1)
        with pytest.raises(ParameterError, match="two cut-offs or more"):
            ft.plotting.plot_recalibration(result, "MBG/NBD")
